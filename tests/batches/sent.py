"""Files of PaySim transactions."""

HEADER = "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,newbalanceDest\n"


def rows(count: int, first: int = 0) -> str:
    """Rows of as many payers."""
    return "".join(
        f"{1 + row % 300},{'TRANSFER' if row % 3 else 'PAYMENT'},{100 + row}.5,C{row},{1000 + row},899.5,M{row},0,0\n"
        for row in range(first, first + count)
    )


def csv_of(count: int, first: int = 0) -> bytes:
    return (HEADER + rows(count, first)).encode()

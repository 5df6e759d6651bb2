"""Generated expressions over a few fields, what the fields may hold, and what an expression comes to by the book."""

from collections.abc import Mapping
from math import nan
from random import Random
from typing import Any

from apps.scoring.engine.expressions.tree import Binary, Call, Choice, Literal, Many, Name, Node, Unary
from apps.scoring.engine.rule_fields import Field

FIELDS: Mapping[str, Field] = {
    "amount": Field("a number"), "user.count_1h": Field("a number"), "country": Field("text"), "email": Field("text"),
    "chip": Field("true or false"), "when": Field("a time"),
}  # fmt: skip
OF = {name: "text" if field.kind == "text" else "number" for name, field in FIELDS.items()}
NUMBERS = (0.0, -1.0, 0.5, 3.0, 1e15, 1e308)
TEXTS = ("", "KE", "ke", "a@example.com", "Österreich")
TIMES = ("2026-01-15T10:30:00Z", "1999-12-31T23:59:59Z")


def condition(random: Random, depth: int = 4) -> str:
    """A condition that can be evaluated."""
    if depth == 0 or random.random() < 0.3:
        return comparison(random)
    one, other = condition(random, depth - 1), condition(random, depth - 1)
    return random.choice((
        f"({one} && {other})", f"({one} || {other})", f"!({one})", f"({one} ? {other} : {comparison(random)})",
        f"({one}) == ({other})",
    ))  # fmt: skip


def comparison(random: Random) -> str:
    order, same = random.choice(("<", "<=", ">", ">=", "==", "!=")), random.choice(("==", "!="))
    text, literal = random.choice(("country", "email")), f'"{random.choice(TEXTS[1:])}"'
    return random.choice((
        f"{number(random)} {order} {number(random)}", f"{text} {order} {literal}", f"country {order} email",
        f"{random.choice(tuple(FIELDS))} {same} null", f"chip {same} {random.choice(('true', 'false'))}", "chip",
        f'{text} in ["KE", "ke"]', f"amount in [{random.choice(NUMBERS)!r}, 7.0]", f"size({text}) {order} 2",
        f'{text}.{random.choice(("startsWith", "endsWith", "contains"))}({literal})', f'{text}.matches("^[a-k]+")',
        f'when {order} timestamp("{random.choice(TIMES)}")',
    ))  # fmt: skip


def number(random: Random, depth: int = 2) -> str:
    if depth == 0 or random.random() < 0.5:
        return random.choice(("amount", "user.count_1h", "amount", "user.count_1h", repr(random.choice(NUMBERS[2:]))))
    sign = random.choice("+-*/")
    return f"({random.choice(('amount', 'user.count_1h'))} {sign} {number(random, depth - 1)})"


def values(random: Random, *, known: bool = False) -> dict[str, Any]:
    """What the fields hold, as the engine has it; unknown numbers are nan, texts None."""
    found: dict[str, Any] = {
        "amount": random.choice(NUMBERS), "user.count_1h": random.choice(NUMBERS[:4]),
        "country": random.choice(TEXTS[1:]), "email": random.choice(TEXTS[1:]), "chip": random.choice((0.0, 1.0)),
        "when": random.choice((0.0, 1768473000000.0)),
    }  # fmt: skip
    missing = [] if known else random.sample(sorted(found), random.randrange(4))
    return found | {name: None if OF[name] == "text" else nan for name in missing}


# --- by the book ------------------------------------------------------------------------------------------------------


def truth(node: Node, seen: Mapping[str, Any]) -> bool | None:
    """Kleene's logic, node by node: None is unknown."""
    match node:
        case Literal(bool(said)):
            return said
        case Name(name):
            return _flag(seen[name])
        case Unary("!", operand):
            found = truth(operand, seen)
            return None if found is None else not found
        case Binary("&&", left, right):
            both = truth(left, seen), truth(right, seen)
            return False if False in both else None if None in both else True
        case Binary("||", left, right):
            both = truth(left, seen), truth(right, seen)
            return True if True in both else None if None in both else False
        case Choice(asked, yes, no):
            found = truth(asked, seen)
            return None if found is None else truth(yes if found else no, seen)
        case Binary(("==" | "!=") as sign, left, Literal(None)):
            return (value(left, seen) is None) == (sign == "==")
        case Binary("in", left, Many(items)):
            found = value(left, seen)
            return None if found is None else found in [value(item, seen) for item in items]
        case Binary(sign, left, right):
            return _compared(sign, value(left, seen), value(right, seen))
        case Call("matches", (text, _)):
            found = value(text, seen)
            return None if found is None else "a" <= found[:1] <= "k"
        case Call(test, (text, other)):
            found = value(text, seen), value(other, seen)
            return None if None in found else TESTS[test](*found)
    raise AssertionError(node)


TESTS = {"startsWith": str.startswith, "endsWith": str.endswith, "contains": str.__contains__}


def _flag(held: Any) -> bool | None:
    return None if held != held else bool(held)


def _compared(sign: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    return {"==": left == right, "!=": left != right}[sign] if sign in ("==", "!=") else {
        "<": lambda: left < right, "<=": lambda: left <= right, ">": lambda: left > right, ">=": lambda: left >= right,
    }[sign]()  # fmt: skip


def value(node: Node, seen: Mapping[str, Any]) -> Any:
    """What a part comes to; None for unknown."""
    match node:
        case Literal(held):
            return held
        case Name(name):
            held = seen[name]
            return None if held is None or held != held else bool(held) if name == "chip" else held
        case Call("size", (text,)):
            found = value(text, seen)
            return None if found is None else float(len(found))
        case Call("timestamp", (Literal("2026-01-15T10:30:00Z"),)):
            return 1768473000000.0
        case Call("timestamp", _):
            return 946684799000.0
        case Binary(("+" | "-" | "*" | "/") as sign, left, right):
            one, other = value(left, seen), value(right, seen)
            if one is None or other is None or (sign == "/" and other == 0):
                return None
            found = {"+": lambda: one + other, "-": lambda: one - other, "*": lambda: one * other,
                     "/": lambda: one / other}[sign]()  # fmt: skip
            return None if found != found else found
    return truth(node, seen)

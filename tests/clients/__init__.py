"""Clients made from the description by the generators people use, calling every operation of the running service.

calls.py                        one call of each operation, the same for all three
test_openapi_python_client.py   its functions call, its models hold every answer without a loss
test_openapi_typescript.py      its types, checked by tsc, and openapi-fetch, run by node
test_datamodel_codegen.py       its models write every request and read every answer
"""

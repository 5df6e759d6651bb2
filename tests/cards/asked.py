"""Every place of the API a text can be sent to, taken from its description: bodies, names, paths, queries, headers."""

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from apps.api.documentation import OPENAPI
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from tests.campaign import SIZE

PATHS: dict[str, Any] = json.loads(OPENAPI.read_text())["paths"]
#: Bodies the description has no example of.
MORE_BODIES: dict[str, list[Any]] = {
    "/v1/credits": [{"coupon": "WELCOME"}],
    "/v1/payment-method": [{"success_url": "https://shop.example/done", "cancel_url": "https://shop.example/back"}],
    "/v1/payment-method/portal": [{"return_url": "https://shop.example/account"}],
    "/v1/stripe/account": [{"api_key": "sk_test_1234567890", "webhook_secret": "whsec_1234567890"}],
}
#: Signed bodies: tests/cards/test_nowhere.py sends them.
SIGNED = ("/stripe/webhook", "/stripe/screen/{handle}/{mode}")
HEADERS = (
    *("X-Request-Id", "Idempotency-Key", "Authorization", "X-API-Key", "Host", "Content-Type", "User-Agent", "Accept"),
    *("Stripe-Signature", "Forwarded", "X-Forwarded-For", "Referer", "Origin", "Cookie", "X-Unheard-Of"),
)
Step = str | int


class Place(NamedTuple):
    """One request with a text of our choice in one place."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


def everywhere(say: Callable[[], str], number: Callable[[], int]) -> Iterator[Place]:
    """A request for every place. `say` and `number` make what is put there, anew for each.

    Headers are read before anybody knows the address: of the addresses every so many-th has one of them.
    """
    turns = itertools.count()
    for path, methods in PATHS.items():
        for method, operation in methods.items():
            name, turn = f"{method.upper()} {path}", next(turns)
            bodies = [] if path in SIGNED else list(_bodies(path, operation))
            address = path.replace("{", "none_").replace("}", "")
            for number_of, body in enumerate(bodies):
                for where, changed in _changed(body, say, number):
                    yield Place(f"{name} body {number_of} {where}", method.upper(), address, {}, changed)
            body = bodies[0] if bodies else ({} if method == "post" else None)
            for where, asked in _addressed(path, operation, say):
                yield Place(f"{name} {where}", method.upper(), asked, {}, body)
            for header in HEADERS[turn % SIZE.alike :: SIZE.alike]:
                yield Place(f"{name} header {header}", method.upper(), address, {header: _fit(header, say())}, body)


def _bodies(path: str, operation: dict[str, Any]) -> Iterator[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    for body in [*(one["value"] for one in content.get("examples", {}).values()), *MORE_BODIES.get(path, [])]:
        yield _filled(body)


def _filled(body: Any) -> Any:
    """With every text and id a transaction may have."""
    if isinstance(body, list):
        return [_filled(one) for one in body]
    if not isinstance(body, dict):
        return body
    filled = {name: _filled(one) for name, one in body.items()}
    schema = next((one for one in SCHEMAS.values() if one.required <= filled.keys()), None)
    return (_texts(schema) if schema else {}) | filled


def _texts(schema: TransactionSchema) -> dict[str, Any]:
    texts = {name: "text" for name, kind in schema.types.items() if is_kind(str, kind)}
    return texts | {
        name: 1 for name, kind in schema.types.items() if name not in schema.required and is_kind(int, kind)
    }


def _changed(body: Any, say: Callable[[], str], number: Callable[[], int]) -> Iterator[tuple[str, Any]]:
    """The body with another text, or number, at each leaf, and with an unknown field, or name, in each object."""
    for at in _leaves(body, ()):
        yield f"{at}", _put(body, at, say())
        yield f"{at} as a number", _put(body, at, number())
    for at in _objects(body, ()):
        yield f"{at} unknown field", _put(body, (*at, "memo"), {"deep": [say()]})
        yield f"{at} unknown number", _put(body, (*at, "memo"), number())
        yield f"{at} unknown name", _put(body, (*at, say()), 1)


def _addressed(path: str, operation: dict[str, Any], say: Callable[[], str]) -> Iterator[tuple[str, str]]:
    named = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
    asked = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    for before in ("", "pi_", "dec_", "x-") if named else ():
        for wanted in named:
            address = path.replace(f"{{{wanted}}}", before + quote(say(), safe=""))
            yield f"path {wanted}", address.replace("{", "none_").replace("}", "")
    plain = path.replace("{", "none_").replace("}", "")
    yield "path beyond", f"{plain}/{quote(say(), safe='')}"
    for name in (*asked, "unknown"):
        yield f"query {name}", f"{plain}?{name}={quote(say(), safe='')}"
    yield "query name", f"{plain}?{quote(say(), safe='')}=1"


def _fit(header: str, text: str) -> str:
    """Headers are Latin-1 here; those that only take a form get it."""
    plain = text.encode("latin-1", "replace").decode("latin-1")
    return {"Authorization": f"Bearer {plain}", "Host": f"{plain}.example"}.get(header, plain)


def _leaves(value: Any, at: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not isinstance(value, dict | list):
        yield at
    for step, one in inner:
        yield from _leaves(one, (*at, step))


def _objects(value: Any, at: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield at
    for step, one in inner:
        yield from _objects(one, (*at, step))


def _put(body: Any, at: tuple[Step, ...], new: Any) -> Any:
    changed = copy.deepcopy(body)
    inner = changed
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = new
    return changed

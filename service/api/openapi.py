"""The OpenAPI document: what the framework finds in the routes, with our bodies, problems and examples put in."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag

from service.api import webhook_document
from service.api.auth import needed_scope
from service.api.bodies import Body
from service.api.examples import EXAMPLES
from service.api.problems import MEDIA_TYPE, Problem, title_of
from service.settings import version

_PAGE_NAME: Final = re.compile(rb"Page_[\w.]*?(\w+?)(?:View)?_(?=\")")

_DESCRIPTION: Final = """Every change of every calendar, as signed webhooks, a change log and a list of coming meetings.

Times are RFC 3339 in UTC, ids are UUIDs. Lists take `limit` and `cursor` and answer `data` and `next_cursor`. What cannot be
served is told as a problem document (RFC 9457) whose `code` is stable. `Idempotency-Key` on a POST makes it safe to repeat;
`If-Match` with an object's version makes a change conditional.

The routes under `/meeting-baas` and `/meeting-baas/v2` speak to clients of Meeting BaaS as that vendor describes them; they are
not in this document, but in `docs/migrating-from-meeting-baas.md`."""

_TAGS: Final = {
    "Project": "What is decided for all calendars of a key's project.",
    "Calendars": "Connected calendars and how they stand.",
    "Connections": "Accounts of users, their settings and how they stand.",
    "Connecting": "Users who let you in: OAuth clients, consent pages, connections.",
    "Events": "Events as the providers have them.",
    "Meetings": "What a bot scheduler asks.",
    "Changes": "The change log.",
    "Webhooks": "Where webhooks go, and what became of them.",
    "Audit": "Who did what.",
    "Push": "For the providers' servers.",
    "Operations": "For those who run the gateway.",
}

_PROBLEMS: Final = {
    400: "The request or its body is malformed.",
    401: "There is no API key, or an unknown one.",
    403: "The API key lacks the scope.",
    404: "There is no such object in this project.",
    408: "The body did not arrive within 30 seconds.",
    409: "The first request with this Idempotency-Key is still running, or the object is in no state for this.",
    410: "What was asked for is no longer kept.",
    412: "The object is at another version than `If-Match` says.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A field or parameter cannot be accepted.",
    429: "Too many requests; `Retry-After` says when to come back.",
    500: "A fault on our side.",
    503: "The provider or the database cannot answer for the moment; `Retry-After` says when to come back.",
}

_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 printable ASCII characters of your choice. The same key and body again within a day get the "
    "first answer, with `Idempotency-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_CONDITION: Final = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of the version that you have seen; 412 when it is no longer the newest.",
    "schema": {"type": "string"},
    "example": '"3"',
}


def config() -> OpenAPIConfig:
    """What the framework needs to know; it serves nothing itself."""
    return OpenAPIConfig(
        title="calgate",
        version=version,
        description=_DESCRIPTION,
        path="/.framework",
        render_plugins=(),
        use_handler_docstrings=False,
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", description="`Authorization: Bearer KEY`"),
                "header": SecurityScheme(type="apiKey", name="x-api-key", security_scheme_in="header"),
            }
        ),
        tags=[Tag(name=name, description=says) for name, says in _TAGS.items()],
    )


def document(app: Litestar) -> dict[str, Any]:
    """The document of an application that was made with `config()`."""
    found: dict[str, Any] = app.openapi_schema.to_schema()
    schemas: dict[str, Any] = found.setdefault("components", {}).setdefault("schemas", {})
    _put_types(schemas, [Problem])
    for handler in _documented(app):
        for path in handler.paths:
            place = found["paths"].get(_path(path), {})
            for method in handler.http_methods:
                if operation := place.get(method.lower()):
                    _complete(operation, handler, method, schemas)
    found["components"]["responses"] = {f"Problem{status}": _problem(status) for status in _PROBLEMS}
    found["webhooks"] = webhook_document.webhooks()
    for name, schema in webhook_document.definitions().items():
        schemas.setdefault(name, schema)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    return found


def encoded(app: Litestar) -> bytes:
    """The document as readable JSON, the same bytes each time."""
    compact = _PAGE_NAME.sub(rb"\1Page", msgspec.json.encode(document(app), order="deterministic"))
    return msgspec.json.format(compact, indent=2) + b"\n"


def _documented(app: Litestar) -> list[HTTPRouteHandler]:
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", ())]
    return [handler for handler in handlers if handler.resolve_include_in_schema()]


def _path(template: str) -> str:
    """`/calendars/{id:uuid}` as OpenAPI writes it."""
    return re.sub(r":\w+}", "}", template)


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler, method: str, schemas: dict[str, Any]) -> None:
    opt: Mapping[str, Any] = handler.opt
    parameters: list[Any] = operation.setdefault("parameters", [])
    for parameter in parameters:
        for empty in ("deprecated", "allowEmptyValue", "allowReserved"):
            parameter.pop(empty, None)
    operation.pop("deprecated", None)
    if not opt.get("public"):
        operation["security"] = [{"bearer": []}, {"header": []}]
        operation["x-scope"] = needed_scope(opt, method)
        if method == "POST":
            parameters.append(_IDEMPOTENCY)
    if opt.get("conditional"):
        parameters.append(_CONDITION)
    if isinstance(body := opt.get("body"), Body):
        operation["requestBody"] = _request_body(body, schemas)
    responses: dict[str, Any] = operation["responses"]
    responses.pop("400", None)  # the framework's own idea of a validation error
    _describe_success(responses)
    for status in _statuses(operation, opt, method):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
    if not parameters:
        del operation["parameters"]


def _describe_success(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        if not response.get("headers", True):
            # The framework's own, whose words are those of the RFC: "Document created, URL follows".
            response["description"] = title_of(int(status))
            del response["headers"]


def _statuses(operation: Mapping[str, Any], opt: Mapping[str, Any], method: str) -> list[int]:
    """The problems that a route may answer with."""
    found = {500, *opt.get("statuses", ())}
    parameters = operation["parameters"]
    if not opt.get("public"):
        found |= {401, 403, 429, 503}
    if any(parameter["in"] == "path" for parameter in parameters):
        found.add(404)
    if any(parameter["in"] == "query" for parameter in parameters):
        found.add(422)
    if "body" in opt:
        found |= {400, 408, 413, 415, 422}
    if method == "POST" and not opt.get("public"):
        found |= {400, 409}
    if opt.get("conditional"):
        found.add(412)
    return sorted(found)


def _request_body(body: Body[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    (schema,) = _put_types(schemas, [body.shape])
    _admit_spellings(schema, body.spellings, schemas)
    named = {name: {"value": value} for name, value in body.examples.items()}
    shown = {"example": named[""]["value"]} if "" in named else {"examples": named}
    return {"required": body.when_empty is None, "content": {"application/json": {"schema": schema, **shown}}}


def _admit_spellings(schema: dict[str, Any], spellings: Mapping[str, str], schemas: dict[str, Any]) -> None:
    """Say in the schemas what `Body` does before it looks at them: other names of a provider are as good."""
    mapping: dict[str, str] = schema.get("discriminator", {}).get("mapping", {})
    places = mapping.values() or [schema["$ref"]]
    for spelling, name in spellings.items():
        for place in places:
            accepted = schemas[place.rpartition("/")[2]]["properties"]["provider"]["enum"]
            if name in accepted and spelling not in accepted:
                accepted.append(spelling)
        if name in mapping:
            mapping[spelling] = mapping[name]


def _put_types(schemas: dict[str, Any], types: Sequence[Any]) -> list[dict[str, Any]]:
    """Add the schemas of msgspec types to the document's; references to them."""
    references, found = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    for schema in found.values():
        if "description" in schema:
            # A docstring's indentation would make its second paragraph a block of code.
            schema["description"] = inspect.cleandoc(schema["description"])
    schemas.update(found)
    return list(references)


def _problem(status: int) -> dict[str, Any]:
    headers = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    answer: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return answer | ({"headers": headers} if status in {429, 503} else {})

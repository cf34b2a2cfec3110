"""The webhooks of the OpenAPI document: what is sent, made out of the catalogue."""

from typing import Any

from service.core.catalogue import CATALOGUE, EventType, schema_of

_HEADERS = {
    "webhook-id": "The same at every attempt; a message may come twice.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several with spaces between.",
}


def webhooks() -> dict[str, Any]:
    """A path item for each type (OpenAPI 3.1, `webhooks`)."""
    return {each.name: {"post": _operation(each)} for each in CATALOGUE}


def _operation(each: EventType) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "header", "required": True, "description": says, "schema": {"type": "string"}}
        for name, says in _HEADERS.items()
    ]
    return {
        "operationId": f"on_{each.name.replace('.', '_')}",
        "summary": each.name,
        "description": each.description,
        "tags": ["Webhooks"],
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _body(each), "example": dict(each.example)}},
        },
        "responses": {
            "2XX": {"description": "Taken, when answered within 15 seconds."},
            "410": {"description": "Disables the endpoint."},
            "default": {"description": "Tried again later, ten times in about 75 hours."},
        },
    }


def _body(each: EventType) -> dict[str, Any]:
    """The schema without its `$defs`, which are among the document's own."""
    moved: dict[str, Any] = _moved(schema_of(each)["$defs"]["Message"])
    return moved


def definitions() -> dict[str, Any]:
    """The schemas that the bodies refer to."""
    found: dict[str, Any] = {}
    for each in CATALOGUE:
        found |= {name: _moved(schema) for name, schema in schema_of(each)["$defs"].items() if name != "Message"}
    return found


def _moved(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _moved(value) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_moved(value) for value in schema]
    if isinstance(schema, str) and schema.startswith("#/$defs/"):
        return "#/components/schemas/" + schema.removeprefix("#/$defs/")
    return schema

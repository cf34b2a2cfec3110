"""The OpenAPI document: what it promises is what the routes do, and a change of it shows in the diff."""

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from service.api import examples
from service.api.audit_log import AuditEntryView
from service.api.bodies import Body
from service.api.calendars import create, look
from service.api.connect_links import PAGES
from service.api.connection_shapes import ConnectionView
from service.api.meeting_baas.routes import ROUTES as MEETING_BAAS
from service.api.problems import Problem
from service.api.routes import ROUTES, create_api, create_document
from service.api.views import CalendarView
from service.core.announcements import Change
from service.core.catalogue import CATALOGUE
from service.core.credentials import KINDS
from service.core.event import EventView
from service.flows.meetings import MeetingView

SNAPSHOT = Path(__file__).parent.parent / "testdata" / "openapi.json"


def plain(path: str) -> str:
    """A route's path as the document writes it."""
    return re.sub(r":\w+}", "}", path)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(create_document())
    return found


def test_the_document_is_the_snapshot() -> None:
    if os.environ.get("RENEW_OPENAPI"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_bytes(create_document())
    assert SNAPSHOT.read_bytes() == create_document(), (
        "the API has changed: RENEW_OPENAPI=1 uv run pytest tests/api/test_api_document.py -n 0, then read the diff"
    )


@pytest.mark.anyio
async def test_it_is_served_where_docs_are_on(anybody: httpx.AsyncClient) -> None:
    answer = await anybody.get("/openapi.json")
    assert answer.content == create_document()
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.anyio
async def test_without_docs_there_are_none(stage: Any) -> None:
    gateway = stage.gateway
    settings = msgspec.structs.replace(gateway.settings, docs=False)
    closed = create_api(dataclasses.replace(gateway, settings=settings))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(closed), base_url="http://x") as client:
        assert [(await client.get(path)).status_code for path in ("/docs", "/openapi.json")] == [404, 404]


ANSWER_404 = {
    "removeBotRunner",
    "receiveMicrosoftPush",
    "receiveMicrosoftLifecycle",
    "getAvailability",
    "listConflicts",
}
"""Operations that name nothing in their path, and yet may find nothing."""


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, found) for path, item in document["paths"].items() for method, found in item.items()]


def test_every_route_is_in_it_and_well_described(document: dict[str, Any], api_routes: set[tuple[str, str]]) -> None:
    found = operations(document)
    assert {(method.upper(), path) for path, method, _ in found} == api_routes
    names = [operation["operationId"] for _, _, operation in found]
    assert len(set(names)) == len(names)
    for path, method, operation in found:
        assert operation["summary"], path
        assert operation["tags"], path
        public = path.startswith(("/push", "/health", "/metrics")) or path.endswith("/callback")
        assert ("security" in operation) is not public, path
        assert ("401" in operation["responses"]) is not public, path
        assert ("404" in operation["responses"]) is ("{" in path or operation["operationId"] in ANSWER_404), path
        assert ("requestBody" in operation) >= (method in {"post", "patch"} and not public), path


@pytest.fixture(scope="module")
def api_routes() -> set[tuple[str, str]]:
    return {
        (str(getattr(method, "value", method)), plain(path))
        for handler in ROUTES
        for path in handler.paths
        for method in handler.http_methods
    }


def test_times_and_filters_are_documented_by_their_names(document: dict[str, Any]) -> None:
    for path in ("/events", "/calendars/{calendar_id}/events", "/meetings"):
        names = {parameter["name"] for parameter in document["paths"][path]["get"]["parameters"]}
        assert names >= {"from", "until", "platform", "limit", "cursor"}
        assert not any(name.endswith("_") for name in names)


def resolved(document: dict[str, Any], node: Any) -> None:
    """Every reference leads somewhere."""
    if isinstance(node, dict):
        if "$ref" in node:
            target: Any = document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
        for value in node.values():
            resolved(document, value)
    elif isinstance(node, list):
        for value in node:
            resolved(document, value)


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    resolved(document, document)
    assert "service." not in json.dumps(document)


BODIES = [handler for handler in ROUTES if "body" in handler.opt]


@pytest.mark.parametrize("handler", BODIES, ids=lambda handler: handler.operation_id)
def test_the_example_of_a_body_is_accepted(document: dict[str, Any], handler: HTTPRouteHandler) -> None:
    body: Body[Any] = handler.opt["body"]
    (path,) = handler.paths
    (method,) = handler.http_methods
    content = document["paths"][plain(path)][method.lower()]["requestBody"]["content"]
    shown = content["application/json"]
    schema = shown["schema"] | {"components": document["components"]}
    several = {name: each["value"] for name, each in shown.get("examples", {}).items()}
    documented = several or {"": shown["example"]}
    assert documented == body.examples
    for example in documented.values():
        assert body.decode(msgspec.json.encode(example)) is not None
        jsonschema.validate(example, schema)


def test_each_webhook_is_in_it_with_an_example_that_fits(document: dict[str, Any]) -> None:
    assert list(document["webhooks"]) == sorted(each.name for each in CATALOGUE)
    for name, item in document["webhooks"].items():
        shown = item["post"]["requestBody"]["content"]["application/json"]
        schema = shown["schema"] | {"components": document["components"]}
        jsonschema.validate(shown["example"], schema)
        assert shown["example"]["type"] == name
        for wrong in ({"data": {}}, {"type": "other"}):
            assert not jsonschema.Draft202012Validator(schema).is_valid(shown["example"] | wrong)


@pytest.mark.parametrize("handler", [look, create], ids=lambda handler: handler.operation_id)
def test_each_provider_has_a_schema_an_example_and_its_spellings(
    document: dict[str, Any], handler: HTTPRouteHandler
) -> None:
    (path,) = handler.paths
    (method,) = handler.http_methods
    shown = document["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]
    assert set(shown["examples"]) == set(KINDS)
    choice = shown["schema"]["discriminator"]
    assert choice["propertyName"] == "provider"
    assert set(choice["mapping"]) == {*KINDS, "outlook"}
    assert choice["mapping"]["outlook"] == choice["mapping"]["microsoft"]
    schema = shown["schema"] | {"components": document["components"]}
    for provider, kind in KINDS.items():
        properties = document["components"]["schemas"][choice["mapping"][provider].rpartition("/")[2]]["properties"]
        assert set(kind.__struct_fields__) <= set(properties)
    jsonschema.validate(shown["examples"]["microsoft"]["value"] | {"provider": "outlook"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(shown["examples"]["google"]["value"] | {"provider": "outlook!"}, schema)


@pytest.mark.parametrize(
    ("example", "shape"),
    [
        (examples.CALENDAR, CalendarView),
        (examples.CONNECTION, ConnectionView),
        (examples.EVENT, EventView),
        (examples.CHANGE, Change),
        (examples.MEETING, MeetingView),
        (examples.AUDIT_ENTRY, AuditEntryView),
        (examples.PROBLEM, Problem),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_examples_are_what_the_types_say(document: dict[str, Any], example: dict[str, Any], shape: type) -> None:
    assert msgspec.to_builtins(msgspec.convert(example, shape)).keys() == example.keys()
    schema = {"$ref": f"#/components/schemas/{shape.__name__}", "components": document["components"]}
    jsonschema.validate(example, schema)


def test_the_application_serves_what_is_documented(api: Litestar, api_routes: set[tuple[str, str]]) -> None:
    served = {
        (method, plain(route.path))
        for route in api.routes
        for method in route.methods  # type: ignore[union-attr]
        if method != "OPTIONS"
    }
    foreign = {(method, path) for method, path in served if path.startswith("/meeting-baas/")}
    pages = {(method, plain(path)) for handler in PAGES for path in handler.paths for method in handler.http_methods}
    assert served - foreign - pages == api_routes | {("GET", "/docs"), ("GET", "/openapi.json")}
    assert foreign == dialect_routes()


def dialect_routes() -> set[tuple[str, str]]:
    """Another vendor's routes, which that vendor describes."""
    return {
        (str(getattr(method, "value", method)), plain(path))
        for handler in MEETING_BAAS
        for path in handler.paths
        for method in handler.http_methods
    }


def test_the_routes_of_another_vendor_are_named_and_left_out(document: dict[str, Any]) -> None:
    assert not [path for path in document["paths"] if path.startswith("/meeting-baas")]
    assert "/meeting-baas" in document["info"]["description"]

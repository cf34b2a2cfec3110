"""Google's own discovery document as judge of what is sent to the Calendar API and of what it answers."""

import json
import re
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import googleapiclient.discovery_cache
import httpx

API_ROOT = "/calendar/v3/"
FIELD_TOKENS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[*,/()]")


class Method(NamedTuple):
    verb: str
    pattern: re.Pattern[str]
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        return self.spec["id"]


class JudgedTransport(httpx.AsyncBaseTransport):
    """Wraps a transport: each Calendar API request and answer must be what the document allows."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, judge_answers: bool = True) -> None:
        self.inner = inner
        self.judge_answers = judge_answers
        self.judged: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_api = API_ROOT in request.url.path
        if is_api:
            content = await request.aread()
            self.judged.append(
                judge_request(request.method, str(request.url), json.loads(content) if content else None)
            )
        response = await self.inner.handle_async_request(request)
        if is_api and self.judge_answers and "json" in response.headers.get("content-type", "json"):
            # Read as sent and handed on unread, so that whoever asked reads it in their own way.
            raw = b"".join([chunk async for chunk in response.aiter_raw()])
            await response.aclose()
            status, headers = response.status_code, response.headers
            judged = httpx.Response(status, headers=headers, content=raw)
            judge_response(request.method, request.url.raw_path.decode(), status, judged.content)
            response = httpx.Response(status, headers=headers, stream=httpx.ByteStream(raw), request=request)
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()


def judge_request(method: str, url: str, body: dict[str, Any] | None = None) -> str:
    """The method's id in the document; an AssertionError says what Google does not know."""
    parts = urlsplit(url)
    known, path_values = find_method(method, parts.path)
    parameters = {**document()["parameters"], **known.spec.get("parameters", {})}
    sent: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        sent.setdefault(name, []).append(value)
    for name, values in sent.items():
        assert name in parameters, f"{known.id} has no parameter {name}"
        assert parameters[name]["location"] == "query", f"{name} belongs in the path"
        assert len(values) == 1 or parameters[name].get("repeated"), f"{name} is given twice"
        for value in values:
            judge_parameter(name, value, parameters[name])
    for name, spec in parameters.items():
        assert not spec.get("required") or name in sent or path_values.get(name), f"{known.id} needs {name}"
    judge_request_body(known, body)
    if "fields" in sent:
        judge_fields(sent["fields"][0], known.spec["response"]["$ref"])
    return known.id


def judge_response(method: str, path: str, status: int, body: bytes | dict[str, Any] | None) -> None:
    """An answer must be the method's response schema, an empty 204, or Google's error envelope."""
    known, _ = find_method(method, urlsplit(path).path)
    value = json.loads(body) if isinstance(body, bytes) and body else body or None
    if status >= 400:
        judge_error(status, value)
    elif "response" not in known.spec:
        assert value is None, f"{known.id} answers nothing, got {value}"
    else:
        assert status == 200, f"{known.id} answered {status}"
        judge_value(value, {"$ref": known.spec["response"]["$ref"]}, known.id, offset_needed=True)


@cache
def document() -> dict[str, Any]:
    folder = Path(googleapiclient.discovery_cache.__file__).parent / "documents"
    return json.loads((folder / "calendar.v3.json").read_text(encoding="utf-8"))


@cache
def methods() -> list[Method]:
    found = []

    def collect(resource: dict[str, Any]) -> None:
        for spec in resource.get("methods", {}).values():
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(spec["path"]))
            found.append(Method(spec["httpMethod"], re.compile(pattern), spec))
        for below in resource.get("resources", {}).values():
            collect(below)

    collect(document())
    # A fixed word beats a parameter: events/watch before events/{eventId}.
    return sorted(found, key=lambda method: method.spec["path"].count("{"))


def find_method(verb: str, path: str) -> tuple[Method, dict[str, str]]:
    rest = path.partition(API_ROOT)[2]
    for method in methods():
        match = method.pattern.fullmatch(rest)
        if match and method.verb == verb:
            return method, {name: unquote(value) for name, value in match.groupdict().items()}
    raise AssertionError(f"Google has no {verb} {path}")


def judge_parameter(name: str, value: str, spec: dict[str, Any]) -> None:
    where = f"parameter {name}={value}"
    if spec["type"] == "boolean":
        assert value in {"true", "false"}, where
    elif spec["type"] == "integer":
        assert re.fullmatch(r"-?\d+", value), where
        assert int(value) >= int(spec.get("minimum", value)), where
        assert int(value) <= int(spec.get("maximum", value)), where
    elif spec.get("format") == "date-time":
        judge_time(value, where, offset_needed=True)
    assert value in spec.get("enum", [value]), where


def judge_request_body(known: Method, body: Any) -> None:
    if "request" not in known.spec:
        assert body is None, f"{known.id} takes no body"
        return
    assert isinstance(body, dict), f"{known.id} needs a JSON object"
    reference = known.spec["request"]["$ref"]
    judge_value(body, {"$ref": reference}, known.id, offset_needed=False, nulls=known.verb == "PATCH")
    for name, spec in document()["schemas"][reference]["properties"].items():
        required = known.id in spec.get("annotations", {}).get("required", [])
        assert not required or name in body, f"{known.id} needs {name}"


def judge_error(status: int, value: Any) -> None:
    assert isinstance(value, dict), "an error must be an object"
    error = value["error"]
    assert error["code"] == status
    assert isinstance(error["message"], str)
    assert error["errors"], "an error has at least one cause"
    for cause in error["errors"]:
        assert (
            {"domain", "reason", "message"} <= set(cause) <= {"domain", "reason", "message", "location", "locationType"}
        )
    assert set(error) <= {"code", "message", "errors", "status", "details"}


def judge_value(value: Any, spec: dict[str, Any], where: str, *, offset_needed: bool, nulls: bool = False) -> None:
    """One value against one schema of the document, whose unknown fields are errors here."""
    if value is None and nulls:
        return
    if "$ref" in spec:
        spec = document()["schemas"][spec["$ref"]]
    match spec["type"]:
        case "object":
            assert isinstance(value, dict), f"{where} is no object: {value!r}"
            for name, below in value.items():
                inner = spec.get("properties", {}).get(name) or spec.get("additionalProperties")
                assert inner, f"{where} has no field {name}"
                judge_value(below, inner, f"{where}.{name}", offset_needed=offset_needed, nulls=nulls)
        case "array":
            assert isinstance(value, list), f"{where} is no array: {value!r}"
            for each in value:
                judge_value(each, spec["items"], where, offset_needed=offset_needed)
        case "boolean":
            assert isinstance(value, bool), f"{where} is no boolean: {value!r}"
        case "integer":
            assert isinstance(value, int), f"{where} is no integer: {value!r}"
            assert not isinstance(value, bool), where
        case "string":
            judge_string(value, spec, where, offset_needed=offset_needed)


def judge_string(value: Any, spec: dict[str, Any], where: str, *, offset_needed: bool) -> None:
    assert isinstance(value, str), f"{where} is no string: {value!r}"
    match spec.get("format"):
        case "date-time":
            judge_time(value, where, offset_needed=offset_needed)
        case "date":
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", value), f"{where} is no date: {value!r}"
            date.fromisoformat(value)
        case "int64":
            assert re.fullmatch(r"-?\d+", value), f"{where} is no number in a string: {value!r}"


def judge_time(value: str, where: str, *, offset_needed: bool) -> None:
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        raise AssertionError(f"{where} is no RFC 3339 time: {value!r}") from None
    assert "T" in value, where
    assert when.tzinfo is not None or not offset_needed, f"{where} lacks an offset: {value!r}"


def judge_fields(expression: str, schema: str) -> None:
    """Every name of a partial-response expression must exist in the answer's schema."""
    tokens = FIELD_TOKENS.findall(expression)
    assert "".join(tokens) == expression, f"fields={expression}"
    rest = _judge_names(tokens, {"$ref": schema})
    assert not rest, f"fields={expression}"


def _judge_names(tokens: list[str], spec: dict[str, Any]) -> list[str]:
    while True:
        tokens = _judge_name(tokens, spec)
        if not tokens or tokens[0] != ",":
            return tokens
        tokens = tokens[1:]


def _judge_name(tokens: list[str], spec: dict[str, Any]) -> list[str]:
    if "$ref" in spec:
        spec = document()["schemas"][spec["$ref"]]
    if spec["type"] == "array":
        return _judge_name(tokens, spec["items"])
    assert tokens, "fields ends too early"
    name, tokens = tokens[0], tokens[1:]
    inner = spec if name == "*" else spec.get("properties", {}).get(name) or spec.get("additionalProperties")
    assert inner, f"fields names {name}, which {spec.get('id', 'this object')} has not"
    if tokens and tokens[0] == "/":
        return _judge_name(tokens[1:], inner)
    if tokens and tokens[0] == "(":
        tokens = _judge_names(tokens[1:], inner)
        assert tokens[:1] == [")"], "fields lacks a closing bracket"
        return tokens[1:]
    return tokens

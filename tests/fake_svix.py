"""A Svix server on loopback: its semantics as published, its answers held to `svix_wire`, and faults by a seed."""

import asyncio
import base64
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import svix_wire as wire
from standardwebhooks import Webhook
from svix_wire import OPERATIONS, Operation

TOKEN = "testsk_only_the_fake_knows.eu"
DAY, HALF_A_DAY = timedelta(days=1), timedelta(hours=12)
SUCCESS, PENDING, FAIL, SENDING = range(4)
TEXTS = ("success", "pending", "fail", "sending")
FAULTS = ("500", "503", "429", "reset", "late", "lost", "cut")
"""Before anything is done: 500, 503, 429, a reset. After it is done: no answer at all, a reset, half an answer."""


def now_utc() -> datetime:
    return datetime.now(UTC)


class Refusal(Exception):
    def __init__(self, status: int, code: str, detail: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class Call(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Endpoint:
    def __init__(self, id: str, said: wire.EndpointIn, at: datetime, secret: str) -> None:  # noqa: A002
        self.id, self.created_at, self.updated_at = id, at, at
        self.url, self.description, self.uid, self.disabled = said.url, said.description, said.uid, said.disabled
        self.event_types, self.channels = said.event_types, said.channels
        self.throttle_rate, self.metadata = said.throttle_rate, said.metadata
        self.secrets = [secret]

    def wants(self, message: "Message") -> bool:
        types = self.event_types is None or message.event_type in self.event_types
        channels = self.channels is None or not set(self.channels).isdisjoint(message.channels or ())
        return not self.disabled and types and channels


class Message:
    def __init__(self, id: str, said: wire.MessageIn, at: datetime) -> None:  # noqa: A002
        self.id, self.at = id, at
        self.event_type, self.event_id = said.event_type, said.event_id
        self.payload, self.channels = said.payload, said.channels
        self.attempts: list[wire.MessageAttemptOut] = []

    def standing(self, endpoint_id: str) -> int | None:
        made = [attempt for attempt in self.attempts if attempt.endpoint_id == endpoint_id]
        if not made:
            return None
        return SUCCESS if any(attempt.status == SUCCESS for attempt in made) else FAIL


class Application:
    def __init__(self, id: str, said: wire.ApplicationIn, at: datetime) -> None:  # noqa: A002
        self.id, self.uid, self.name, self.at = id, said.uid, said.name, at
        self.endpoints: dict[str, Endpoint] = {}
        self.messages: dict[str, Message] = {}


class FakeSvix:
    """One environment. `accepted` counts by application's uid and eventId; `misuse` is what no client should have sent."""

    def __init__(self, *, fault_rate: float = 0.0, seed: int = 0, clock: Callable[[], datetime] = now_utc) -> None:
        self.url = ""
        self.token = TOKEN
        self.accepted: Counter[tuple[str | None, str | None]] = Counter()
        self.misuse: list[str] = []
        self.calls: list[Call] = []
        self.faults: Counter[str] = Counter()
        self.applications: dict[str, Application] = {}
        self.event_types: dict[str, wire.EventTypeOut] = {}
        self.fault_rate = fault_rate
        self.behaviour: Callable[[asyncio.StreamWriter], Any] | None = None  # instead of all that is below
        self._random = random.Random(seed)
        self._clock = clock
        self._ids = 0
        self._replies: dict[tuple[str, str], tuple[datetime, int, bytes]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ticks = timedelta()
        self.wants_known_types = False
        self.keeps_replies = True  # a server without a cache does not, and has its eventIds alone

    # What the server does.

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids:027d}"

    def now(self) -> datetime:
        self.ticks += timedelta(microseconds=1)  # no two changes at one time
        return self._clock() + self.ticks

    def noise(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def app(self, name: str) -> Application:
        for each in self.applications.values():
            if name in (each.id, each.uid):
                return each
        raise Refusal(404, "not_found", "Entity not found")

    def endpoint(self, app: Application, name: str) -> Endpoint:
        for each in app.endpoints.values():
            if name in (each.id, each.uid):
                return each
        raise Refusal(404, "not_found", "Entity not found")

    def message(self, app: Application, name: str) -> Message:
        for each in reversed(app.messages.values()):
            if name in (each.id, each.event_id):
                return each
        raise Refusal(404, "not_found", "Entity not found")

    def make_app(self, said: wire.ApplicationIn) -> Application:
        made = Application(self.new_id("app"), said, self.now())
        self.applications[made.id] = made
        return made

    def answer(self, call: Call, operation: Operation, names: dict[str, str], said: Any) -> tuple[int, Any]:
        key = (call.method, _template(call)[0])
        return HANDLERS[key](self, call, names, said)

    def send(self, app: Application, message: Message, endpoint: Endpoint, trigger: int) -> None:
        task = asyncio.create_task(self._attempt(app, message, endpoint, trigger))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, app: Application, message: Message, endpoint: Endpoint, trigger: int) -> None:
        body, at = json.dumps(message.payload), now_utc()
        name = message.event_id or message.id
        signature = " ".join(Webhook(secret).sign(name, at, body) for secret in endpoint.secrets)
        headers = {"webhook-id": name, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
        status, text = 0, ""
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                response = await client.post(endpoint.url, content=body, headers=headers)
                status, text = response.status_code, response.text
        outcome = SUCCESS if 200 <= status < 300 else FAIL
        made = wire.MessageAttemptOut(
            id=self.new_id("atmpt"),
            msg_id=message.id,
            endpoint_id=endpoint.id,
            url=endpoint.url,
            response=text,
            response_status_code=status,
            response_duration_ms=3,
            status=outcome,
            status_text=TEXTS[outcome],
            trigger_type=trigger,
            timestamp=self.now(),
        )
        message.attempts.append(made)

    async def idle(self) -> None:
        """Until every attempt that was begun is made."""
        while self._tasks:
            await asyncio.gather(*list(self._tasks))

    # How it listens.

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                while not writer.is_closing():
                    call = await _read(reader)
                    if self.behaviour is not None:
                        await self.behaviour(writer)
                        continue
                    await self._respond(call, writer)
            finally:
                writer.close()

    async def _respond(self, call: Call, writer: asyncio.StreamWriter) -> None:
        self.calls.append(call)
        fault = self._random.choice(FAULTS) if self._random.random() < self.fault_rate else ""
        if fault:
            self.faults[fault] += 1
        if fault in ("500", "503", "429"):
            await _write(writer, int(fault), b'{"code":"fault","detail":"of the test"}', {"retry-after": "1"})
            return
        if fault == "reset":
            writer.transport.abort()
            return
        status, content = self._handle(call)
        if fault == "late":
            await asyncio.sleep(3600)
        elif fault == "lost":
            writer.transport.abort()
        elif fault == "cut":
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(content) + 9}\r\n\r\n".encode() + content[:5])
            await writer.drain()
            writer.close()
        else:
            await _write(writer, status, content, {"content-type": "application/json"})

    def _handle(self, call: Call) -> tuple[int, bytes]:
        """Authorisation, the operation, idempotency: as the server's own layers are."""
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return 401, b'{"code":"authentication_failed","detail":"Invalid token"}'
        key = (call.headers.get("idempotency-key", ""), call.path)
        if key[0] and key in self._replies and self._clock() - self._replies[key][0] < HALF_A_DAY:
            return self._replies[key][1:]
        try:
            status, answer = self._operate(call)
        except Refusal as refusal:
            body = {"detail": refusal.detail}
            if refusal.status != 422:
                body["code"] = refusal.code
            return refusal.status, json.dumps(body).encode()
        content = b"" if answer is None else msgspec.json.encode(answer)
        if key[0] and self.keeps_replies:
            self._replies[key] = (self._clock(), status, content)
        return status, content

    def _operate(self, call: Call) -> tuple[int, Any]:
        template, names = _template(call)
        operation = OPERATIONS.get((call.method, template))
        if operation is None:
            self.misuse.append(f"{call.method} {call.path}")
            raise Refusal(404, "not_found", "Not found")
        if unknown := set(call.query) - operation.query:
            self.misuse.append(f"{call.method} {template} ?{sorted(unknown)}")
        if call.method == "POST" and not call.headers.get("idempotency-key"):
            self.misuse.append(f"{call.method} {template} without a key")
        said = None
        if operation.asked is not None:
            try:
                said = msgspec.json.decode(call.body, type=operation.asked)
            except msgspec.DecodeError as error:
                self.misuse.append(f"{call.method} {template} {error}")
                raise Refusal(422, "", [{"loc": ["body"], "msg": str(error), "type": "value_error"}]) from None
        status, answer = self.answer(call, operation, names, said)
        assert status in operation.statuses, (call, status)
        if answer is not None:
            assert operation.answered is not None
            judged = msgspec.json.decode(msgspec.json.encode(answer), type=operation.answered)
            if operation.item is not None:
                msgspec.convert(judged.data, list[operation.item])  # type: ignore[name-defined]
        return status, answer


def _out(endpoint: Endpoint, **more: Any) -> Any:
    kind = wire.MessageEndpointOut if more else wire.EndpointOut
    shown = {name: getattr(endpoint, name) for name in kind.__struct_fields__ if hasattr(endpoint, name)}
    return kind(**shown, **more)


def _message_out(message: Message, with_content: bool, **more: Any) -> Any:
    kind = wire.EndpointMessageOut if more else wire.MessageOut
    return kind(
        id=message.id,
        event_type=message.event_type,
        payload=message.payload if with_content else {},
        timestamp=message.at,
        event_id=message.event_id,
        channels=message.channels,
        **more,
    )


def _page(call: Call, found: list[Any], item: Callable[[Any], Any]) -> wire.Listed:
    """A page behind the iterator, which is the id of the last item of the page before."""
    limit = int(call.query.get("limit", 50))
    if limit > 250:
        raise Refusal(422, "", [{"loc": ["query", "limit"], "msg": "Given limit must not exceed 250", "type": "x"}])
    ids = [each.id for each in found]
    start = ids.index(call.query["iterator"]) + 1 if call.query.get("iterator") in ids else 0
    page = found[start : start + limit]
    return wire.Listed(
        data=[item(each) for each in page], done=start + limit >= len(found), iterator=page[-1].id if page else None
    )


def _create_application(svix: FakeSvix, call: Call, _names: Any, said: wire.ApplicationIn) -> tuple[int, Any]:
    app = next((each for each in svix.applications.values() if said.uid and each.uid == said.uid), None)
    status = 200
    if app is not None and call.query.get("get_if_exists") != "true":
        raise Refusal(409, "conflict", "A conflict has occurred")
    if app is None:
        app, status = svix.make_app(said), 201
    return status, wire.ApplicationOut(
        id=app.id, uid=app.uid, name=app.name, metadata={}, created_at=app.at, updated_at=app.at
    )


def _create_message(svix: FakeSvix, call: Call, names: Any, said: wire.MessageIn) -> tuple[int, Any]:
    try:
        app = svix.app(names["app"])
    except Refusal:
        if said.application is None or said.application.uid != names["app"]:
            raise
        app = svix.make_app(said.application)
    if svix.wants_known_types:
        _check_types(svix, [said.event_type])
    now = svix.now()
    for each in app.messages.values():
        if said.event_id and each.event_id == said.event_id and now - each.at < DAY:
            raise Refusal(409, "conflict", "A conflict has occurred")
    message = Message(svix.new_id("msg"), said, now)
    app.messages[message.id] = message
    svix.accepted[app.uid, said.event_id] += 1
    for endpoint in app.endpoints.values():
        if endpoint.wants(message):
            svix.send(app, message, endpoint, 0)
    return 202, _message_out(message, call.query.get("with_content") != "false")


def _check_types(svix: FakeSvix, types: Any) -> None:
    if missing := sorted(set(types or ()) - svix.event_types.keys()):
        what = f"The following event types don't exist: {', '.join(missing)}"
        raise Refusal(422, "", [{"loc": ["body", "eventTypes"], "msg": what, "type": "value_error"}])


def _create_endpoint(svix: FakeSvix, _call: Call, names: Any, said: wire.EndpointIn) -> tuple[int, Any]:
    app = svix.app(names["app"])
    _check_types(svix, said.event_types)
    if said.uid and any(each.uid == said.uid for each in app.endpoints.values()):
        raise Refusal(409, "conflict", "A conflict has occurred")
    made = Endpoint(svix.new_id("ep"), said, svix.now(), said.secret or _secret(svix))
    app.endpoints[made.id] = made
    return 201, _out(made)


def _secret(svix: FakeSvix) -> str:
    return "whsec_" + base64.b64encode(svix.noise(24)).decode()


def _list_endpoints(svix: FakeSvix, call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    found = sorted(svix.app(names["app"]).endpoints.values(), key=lambda each: each.id)
    if call.query.get("order") != "ascending":
        found.reverse()
    return 200, _page(call, found, _out)


def _show_endpoint(svix: FakeSvix, _call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    return 200, _out(svix.endpoint(svix.app(names["app"]), names["endpoint"]))


def _patch_endpoint(svix: FakeSvix, _call: Call, names: Any, said: wire.EndpointPatch) -> tuple[int, Any]:
    endpoint = svix.endpoint(svix.app(names["app"]), names["endpoint"])
    changes = {name: value for name, value in msgspec.structs.asdict(said).items() if value is not msgspec.UNSET}
    _check_types(svix, changes.get("event_types"))
    for name, value in changes.items():
        setattr(endpoint, name, value)
    endpoint.updated_at = svix.now()
    return 200, _out(endpoint)


def _delete_endpoint(svix: FakeSvix, _call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    app = svix.app(names["app"])
    del app.endpoints[svix.endpoint(app, names["endpoint"]).id]
    return 204, None


def _show_secret(svix: FakeSvix, _call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    endpoint = svix.endpoint(svix.app(names["app"]), names["endpoint"])
    return 200, wire.EndpointSecretOut(key=endpoint.secrets[0])


def _rotate_secret(svix: FakeSvix, _call: Call, names: Any, said: wire.EndpointSecretRotateIn) -> tuple[int, Any]:
    endpoint = svix.endpoint(svix.app(names["app"]), names["endpoint"])
    kept = endpoint.secrets if said.grace_period_seconds else []
    endpoint.secrets = [said.key or _secret(svix), *kept]
    endpoint.updated_at = svix.now()
    return 204, None


def _stats(svix: FakeSvix, _call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    app = svix.app(names["app"])
    endpoint = svix.endpoint(app, names["endpoint"])
    found = Counter(message.standing(endpoint.id) for message in app.messages.values())
    return 200, wire.EndpointStats(success=found[SUCCESS], pending=0, sending=0, fail=found[FAIL], canceled=0)


def _send_example(svix: FakeSvix, _call: Call, names: Any, said: wire.EventExampleIn) -> tuple[int, Any]:
    app = svix.app(names["app"])
    endpoint = svix.endpoint(app, names["endpoint"])
    known = svix.event_types.get(said.event_type)
    if known is None:
        raise Refusal(404, "not_found", "Entity not found")
    examples = ((known.schemas or {}).get("1") or {}).get("examples") or []
    if not examples:
        raise Refusal(400, "invalid_scheme", "Unable to generate example message from event-type schema")
    message = Message(svix.new_id("msg"), wire.MessageIn(event_type=said.event_type, payload=examples[0]), svix.now())
    app.messages[message.id] = message
    if endpoint.wants(message):  # read in its source: an example is filtered as any message is
        svix.send(app, message, endpoint, 0)
    return 200, _message_out(message, with_content=False)


def _recover(svix: FakeSvix, _call: Call, names: Any, said: wire.RecoverIn) -> tuple[int, Any]:
    app = svix.app(names["app"])
    endpoint = svix.endpoint(app, names["endpoint"])
    until = said.until or svix.now()
    for message in app.messages.values():
        if said.since <= message.at < until and message.standing(endpoint.id) == FAIL:
            svix.send(app, message, endpoint, 1)
    now = svix.now()
    return 202, wire.RecoverOut(id=svix.new_id("qtask"), status="running", task="endpoint.recover", updated_at=now)


def _endpoint_messages(svix: FakeSvix, call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    app = svix.app(names["app"])
    endpoint = svix.endpoint(app, names["endpoint"])
    types = set(filter(None, call.query.get("event_types", "").split(",")))
    found = []
    for message in reversed(app.messages.values()):
        standing = message.standing(endpoint.id)
        wanted = call.query.get("status")
        fits = standing is not None and (wanted is None or standing == int(wanted))
        fits = fits and (not types or message.event_type in types)
        fits = fits and ("channel" not in call.query or call.query["channel"] in (message.channels or ()))
        if "iterator" not in call.query:
            fits = fits and _between(message.at, call)
        if fits:
            found.append(message)
    ids = [message.id for message in found]
    if (iterator := call.query.get("iterator")) and iterator not in ids:
        found = [message for message in found if message.id < iterator]

    def item(message: Message) -> Any:
        standing = message.standing(endpoint.id) or 0
        return _message_out(message, with_content=False, status=standing, status_text=TEXTS[standing])

    return 200, _page(call, found, item)


def _between(at: datetime, call: Call) -> bool:
    after, before = call.query.get("after"), call.query.get("before")
    return (not after or at > datetime.fromisoformat(after)) and (not before or at < datetime.fromisoformat(before))


def _show_message(svix: FakeSvix, call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    message = svix.message(svix.app(names["app"]), names["msg"])
    return 200, _message_out(message, call.query.get("with_content") != "false")


def _message_endpoints(svix: FakeSvix, call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    app = svix.app(names["app"])
    message = svix.message(app, names["msg"])
    found = [each for each in app.endpoints.values() if message.standing(each.id) is not None]

    def item(endpoint: Endpoint) -> Any:
        standing = message.standing(endpoint.id) or 0
        return _out(endpoint, status=standing, status_text=TEXTS[standing])

    return 200, _page(call, found, item)


def _attempts(svix: FakeSvix, call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    message = svix.message(svix.app(names["app"]), names["msg"])
    return 200, _page(call, list(reversed(message.attempts)), lambda made: made)


def _resend(svix: FakeSvix, _call: Call, names: Any, _said: Any) -> tuple[int, Any]:
    app = svix.app(names["app"])
    endpoint, message = svix.endpoint(app, names["endpoint"]), svix.message(app, names["msg"])
    if not endpoint.disabled:
        svix.send(app, message, endpoint, 1)
    return 202, wire.Nothing()


def _portal(svix: FakeSvix, _call: Call, names: Any, said: wire.AppPortalAccessIn) -> tuple[int, Any]:
    try:
        app = svix.app(names["app"])
    except Refusal:
        if said.application is None:
            raise
        app = svix.make_app(said.application)
    token = svix.new_id("appsk")
    return 200, wire.AppPortalAccessOut(url=f"https://app.svix.example/login#key={app.id}.{token}", token=token)


def _list_types(svix: FakeSvix, call: Call, _names: Any, _said: Any) -> tuple[int, Any]:
    found = sorted(svix.event_types.values(), key=lambda each: each.name)
    return 200, wire.Listed(data=found[: int(call.query.get("limit", 50))], done=True)


def _upsert_type(svix: FakeSvix, _call: Call, names: Any, said: wire.EventTypeUpdate) -> tuple[int, Any]:
    known, now = svix.event_types.get(names["name"]), svix.now()
    made = wire.EventTypeOut(
        name=names["name"],
        description=said.description,
        deprecated=said.deprecated,
        archived=said.archived,
        schemas=said.schemas,
        created_at=known.created_at if known else now,
        updated_at=now,
    )
    svix.event_types[made.name] = made
    return (200 if known else 201), made


_APP = "/api/v1/app/{app}"
_ENDPOINT = _APP + "/endpoint/{endpoint}"
_MESSAGE = _APP + "/msg/{msg}"
HANDLERS: dict[tuple[str, str], Callable[..., tuple[int, Any]]] = {
    ("POST", "/api/v1/app"): _create_application,
    ("GET", _APP + "/endpoint"): _list_endpoints,
    ("POST", _APP + "/endpoint"): _create_endpoint,
    ("GET", _ENDPOINT): _show_endpoint,
    ("PATCH", _ENDPOINT): _patch_endpoint,
    ("DELETE", _ENDPOINT): _delete_endpoint,
    ("GET", _ENDPOINT + "/secret"): _show_secret,
    ("POST", _ENDPOINT + "/secret/rotate"): _rotate_secret,
    ("GET", _ENDPOINT + "/stats"): _stats,
    ("POST", _ENDPOINT + "/send-example"): _send_example,
    ("POST", _ENDPOINT + "/recover"): _recover,
    ("GET", _ENDPOINT + "/msg"): _endpoint_messages,
    ("POST", _APP + "/msg"): _create_message,
    ("GET", _MESSAGE): _show_message,
    ("GET", _MESSAGE + "/endpoint"): _message_endpoints,
    ("GET", _APP + "/attempt/msg/{msg}"): _attempts,
    ("POST", _MESSAGE + "/endpoint/{endpoint}/resend"): _resend,
    ("POST", "/api/v1/auth/app-portal-access/{app}"): _portal,
    ("GET", "/api/v1/event-type"): _list_types,
    ("PUT", "/api/v1/event-type/{name}"): _upsert_type,
}
_PATTERNS = [
    (method, template, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))) for method, template in OPERATIONS
]


def _template(call: Call) -> tuple[str, dict[str, str]]:
    for method, template, pattern in _PATTERNS:
        if method == call.method and (found := pattern.fullmatch(call.path)):
            return template, found.groupdict()
    return "", {}


async def _read(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Call(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


async def _write(writer: asyncio.StreamWriter, status: int, content: bytes, headers: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    if status != 204:
        lines.append(f"content-length: {len(content)}")
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    await writer.drain()


@asynccontextmanager
async def listening(svix: FakeSvix, port: int = 0) -> AsyncIterator[FakeSvix]:
    """The fake on a port of loopback."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await svix.serve(reader, writer)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    svix.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield svix
    finally:
        server.close()
        for task in [*tasks, *svix._tasks]:
            task.cancel()
        await asyncio.gather(*tasks, *svix._tasks, return_exceptions=True)
        await server.wait_closed()

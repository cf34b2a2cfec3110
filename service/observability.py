"""What an operator sees of a running gateway: log lines without secrets, and metrics.

A leaf: it imports nothing of the gateway, so that flows, providers and routes may all report here.
"""

import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

access_log: Final = logging.getLogger("calgate.access")

# --- Redaction -------------------------------------------------------------------------------------------------------

# No pattern may match a quote or a backslash, so that a redacted line of JSON is still JSON.
_REST: Final = r"[^\s\"'\\,;&<>)}\]]"
_REDACTIONS: Final = (
    # Authorization: Bearer x, and a bearer token on its own
    (re.compile(rf"(?i)\b(authorization\W{{1,6}}(?:(?:bearer|basic)\s+)?|bearer\s+){_REST}{{4,}}"), r"\1***"),
    # name=value and "name": "value" for the names that only secrets have
    (
        re.compile(
            r"(?i)\b((?:client_?secret|refresh_?token|access_?token|id_?token|code_verifier|password|passwd|x-api-key|"
            rf"api_?key|clientState|x-goog-channel-token)\\?[\"']?\s*[:=]\s*\\?[\"']?){_REST}+"
        ),
        r"\1***",
    ),
    # https://user:password@host
    (re.compile(r"(://)[^\s/\"'\\@]+@"), r"\1***@"),
    # Google's access and refresh tokens, webhook secrets, our own keys, anything in the shape of a JWT
    (re.compile(r"\bya29\.[\w.-]+|\b1//[\w-]{6,}|\bwhsec_[\w+/=-]+|\bcgk_[\w-]+|\beyJ[\w-]{8,}(?:\.[\w-]+)*"), "***"),
    # Google's secret address of a calendar carries its secret in the path
    (re.compile(r"/private-[0-9A-Za-z]+"), "/private-***"),
    # The query string of anything that looks like a path or a URL
    (re.compile(r"(?<=[\w/.%~*}-])\?[\w.%~\[\]-]+=[^\s\"'\\<>)]*"), "?***"),
)


def redact(text: str) -> str:
    """The text with every secret that can be told by its shape or its name replaced by `***`."""
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


# --- Logs ------------------------------------------------------------------------------------------------------------

_PLAIN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
# At INFO these log whole URLs, or a line for each tick.
_QUIET: Final = ("httpx", "httpcore", "apscheduler", "aiosqlite", "sqlalchemy", "asyncio", "uvicorn.error", "alembic")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _PLAIN}


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `message`, whatever `extra` named, and `trace` of an exception."""

    _encode: Final = staticmethod(msgspec.json.Encoder(enc_hook=str).encode)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return redact(self._encode(line).decode())


class TextLines(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        fields = "".join(f"  {name}={value}" for name, value in _fields(record).items())
        line = f"{at:%H:%M:%S} {record.levelname.lower():<7} {record.getMessage()}{fields}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return redact(line)


def configure_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send every log line of the process to `stream` (standard error); `form` is `json`, `text` or `auto`."""
    stream = stream or sys.stderr
    as_text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextLines() if as_text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


# --- Metrics ---------------------------------------------------------------------------------------------------------

registry: Final = CollectorRegistry()
ProcessCollector(registry=registry)

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_REMOTE: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)


def _counter(name: str, says: str, *labels: str) -> Counter:
    return Counter(f"calgate_{name}", says, labels, registry=registry)


def _seconds(name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"calgate_{name}_seconds", says, labels, buckets=buckets, registry=registry)


def _gauge(name: str, says: str, *labels: str) -> Gauge:
    return Gauge(f"calgate_{name}", says, labels, registry=registry)


_requests = _counter("http_requests", "Requests answered", "method", "route", "status")
_request_seconds = _seconds("http_request", "From the request to its answer", _FAST, "method", "route")
_syncs = _counter("syncs", "Rounds of synchronisation", "provider", "outcome")
_sync_seconds = _seconds("sync", "From the claim of a calendar to its settled result", _REMOTE, "provider")
_provider_calls = _counter("provider_calls", "Requests sent to providers", "provider", "outcome")
_changes = _counter("changes", "Changes written to the change log", "kind")
_deliveries = _counter("deliveries", "Attempts to deliver a webhook", "outcome")
_delivery_seconds = _seconds("delivery", "How long an attempt to deliver a webhook took", _REMOTE)
_push_notices = _counter("push_notices", "Notices received from providers", "provider", "result")
_tick_seconds = _seconds("tick", "One run of a background job", _REMOTE, "tick")
_overdue = _gauge("oldest_due_seconds", "How long the most overdue piece of work has been due", "work")
_calendars = _gauge("calendars", "Connected calendars", "status")
_build = _gauge("build_info", "Always 1; the label says which version runs", "version")


def sync_ended(provider: str, outcome: str, seconds: float) -> None:
    """A round ended; `outcome` is `changed`, `unchanged` or the name of the fact that it ended with."""
    _syncs.labels(provider, outcome).inc()
    _sync_seconds.labels(provider).observe(seconds)


def provider_called(provider: str, outcome: str) -> None:
    """One request to a provider; `outcome` is `ok` or the kind of error."""
    _provider_calls.labels(provider, outcome).inc()


def changes_written(kind: str, count: int = 1) -> None:
    """`count` changes of a kind (`created`, `updated`, `cancelled`) were committed."""
    _changes.labels(kind).inc(count)


def delivery_ended(outcome: str, seconds: float) -> None:
    """An attempt ended: `delivered` or the kind of failure, and how long it took. Fits `webhooks.ports.Observe`."""
    _deliveries.labels(outcome).inc()
    _delivery_seconds.observe(seconds)


def push_received(provider: str, *, accepted: bool) -> None:
    """A provider's notice came; a refused one was forged or stale."""
    _push_notices.labels(provider, "accepted" if accepted else "refused").inc()


def tick_ended(tick: str, seconds: float) -> None:
    """A background job ran once."""
    _tick_seconds.labels(tick).observe(seconds)


def show_backlog(*, sync_seconds: float, delivery_seconds: float, calendars: Mapping[str, int]) -> None:
    """The state of the whole installation: the most overdue work, and how many calendars stand in which state."""
    _overdue.labels("sync").set(sync_seconds)
    _overdue.labels("delivery").set(delivery_seconds)
    _calendars.clear()
    for status, count in calendars.items():
        _calendars.labels(status).set(count)


def show_version(version: str) -> None:
    """Which version runs."""
    _build.labels(version).set(1)


def exposition() -> tuple[bytes, str]:
    """All metrics in the text format of Prometheus, and its content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


# --- Requests --------------------------------------------------------------------------------------------------------

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OF_MACHINES: Final = ("/health", "/metrics")


class AccessLog:
    """ASGI middleware: one line and one count for each request, by the route's template, never by the path or the query.

    It has to be the outermost: a request that no route takes is seen here only.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, request_id = 500, ""

        async def observe(message: Message) -> None:
            nonlocal status, request_id
            if message["type"] == "http.response.start":
                status = message["status"]
                request_id = next(
                    (v.decode("latin-1") for k, v in message["headers"] if k.lower() == b"x-request-id"), ""
                )
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            _request_ended(scope, status, request_id, time.perf_counter() - started)


def _request_ended(scope: Mapping[str, Any], status: int, request_id: str, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    route = scope.get("path_template") or "(none)"
    _requests.labels(method, route, status).inc()
    _request_seconds.labels(method, route).observe(seconds)
    level = logging.DEBUG if route.startswith(_OF_MACHINES) else logging.INFO
    if access_log.isEnabledFor(level):
        milliseconds = round(seconds * 1000, 1)
        access_log.log(
            level,
            "%s %s %d",
            method,
            route,
            status,
            extra={"method": method, "route": route, "status": status, "ms": milliseconds, "request_id": request_id},
        )

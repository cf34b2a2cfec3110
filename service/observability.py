"""What an operator sees of a running gateway: log lines without secrets, and metrics.

A leaf: it imports nothing of the gateway, so that flows, providers and routes may all report here.
"""

import collections
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TextIO

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
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

# What begins a new line or moves a terminal's cursor, C1 and Unicode's own included, is shown as JSON writes it.
_SHOWN: Final = {code: f"\\u{code:04x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}

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
        return redact(self._encode(line).decode()).translate(_SHOWN)


class TextLines(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        fields = "".join(f"  {name}={value}" for name, value in _fields(record).items())
        line = f"{at:%H:%M:%S} {record.levelname.lower():<7} {record.getMessage()}{fields}".translate(_SHOWN)
        if record.exc_info:
            # Indented, so that no line of an error's own text looks like one of the log.
            trace = self.formatException(record.exc_info).split("\n")
            line = "\n    ".join([line, *(each.translate(_SHOWN) for each in trace)])
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

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_AGES: Final = (1, 5, 15, 30, 60, 120, 240, 480, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_REMOTE: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)


disable_created_metrics()  # type: ignore[no-untyped-call]  # a time of birth beside every counter doubles the page and tells nobody anything


class OfKind(Protocol):
    """An entry of the change log, as far as it is counted."""

    @property
    def kind(self) -> str: ...


class OfProvider(Protocol):
    """A provider's calendars, as far as they are shown; see `service.store.census.ProviderCensus`."""

    by_status: dict[str, int]
    stale: int
    throttled: int
    oldest_synced_at: datetime | None
    first_stale_at: datetime | None
    last_notice_at: datetime | None


class Counts(Protocol):
    """What is shown once a minute; see `service.store.census.Census`."""

    @property
    def providers(self) -> Mapping[str, OfProvider]: ...
    @property
    def channels(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def push_failing(self) -> int: ...
    @property
    def push_unsupported(self) -> int: ...
    @property
    def quarantined(self) -> int: ...
    @property
    def outbox(self) -> Mapping[str, int]: ...


class Metrics:
    """Everything that is counted, in a registry of its own; all names begin with `calgate_`. Times are in seconds."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._counter("http_requests", "Requests answered", "method", "route", "status")
        self._request_seconds = self._histogram(
            "http_request", "From a request to its answer", _FAST, "method", "route"
        )
        self._syncs = self._counter("syncs", "Rounds of synchronisation", "provider", "outcome")
        self._sync_seconds = self._histogram(
            "sync", "From a calendar's claim to its settled result", _REMOTE, "provider"
        )
        self._calls = self._counter("provider_calls", "Requests sent to providers", "provider", "outcome")
        self._changes = self._counter("changes", "Changes written to the change log", "kind")
        self._deliveries = self._counter("deliveries", "Attempts to deliver a webhook", "outcome")
        self._delivery_seconds = self._histogram("delivery", "An attempt to deliver a webhook", _REMOTE)
        self._announced = self._histogram(
            "starting_lateness", "From the moment when a meeting's start is to be announced to the commit", _REMOTE
        )
        self._pushes = self._counter("push_notices", "Notices received from providers", "provider", "result")
        self._tick_seconds = self._histogram("tick", "One run of a background job", _REMOTE, "tick")
        self._sync_age = self._histogram(
            "sync_age", "How long ago a calendar was last verified when it was verified again", _AGES, "provider"
        )
        self._lag = self._gauge("calendar_lag_seconds", "How long ago the most neglected was verified", "provider")
        self._broken = self._gauge(
            "promise_overdue_seconds", "How long a calendar has been unverified beyond its promise, at most", "provider"
        )
        self._stale = self._gauge("stale_calendars", "Calendars announced as stale", "provider")
        self._throttled = self._gauge("throttled_calendars", "Calendars that the provider made wait", "provider")
        self._channels = self._gauge("push_channels", "Push channels", "provider", "state")
        self._notice_age = self._gauge("push_notice_age_seconds", "Since a provider last pushed anything", "provider")
        self._unwatched = self._gauge("push_unwatched", "Calendars without the channel that they want", "reason")
        self._quarantined = self._gauge("quarantined_events", "Rows of providers that could not be read")
        self._outbox = self._gauge("outbox", "Deliveries that are not done", "state")
        self._workers = self._gauge("workers", "Processes that claimed work within the last minute")
        self._overdue = self._gauge("oldest_due_seconds", "How long the most overdue work has been due", "work")
        self._calendars = self._gauge("calendars", "Connected calendars", "status")
        self._build = self._gauge("build_info", "Always 1; the label says which version runs", "version")

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is the template, never the path."""
        self._requests.labels(method, route, status).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def verified(self, provider: str, age: float) -> None:
        """A whole round was applied to a calendar, `age` seconds after the last one."""
        self._sync_age.labels(provider).observe(age)

    def synced(self, provider: str, outcome: str, seconds: float, entries: Iterable[OfKind] = ()) -> None:
        """A round ended: `changed`, `unchanged`, `examined` or the name of what went wrong, and what it wrote to the change log."""
        self._syncs.labels(provider, outcome).inc()
        self._sync_seconds.labels(provider).observe(seconds)
        for kind, count in collections.Counter(entry.kind for entry in entries).items():
            self._changes.labels(kind).inc(count)

    def called(self, provider: str, outcome: str) -> None:
        """One request to a provider; `outcome` is `ok` or the kind of error."""
        self._calls.labels(provider, outcome).inc()

    def delivered(self, outcome: str, seconds: float) -> None:
        """An attempt ended: `delivered` or the kind of failure. Fits `webhooks.ports.Observe`."""
        self._deliveries.labels(outcome).inc()
        self._delivery_seconds.observe(seconds)

    def announced(self, seconds: float) -> None:
        """A meeting's start was announced, so long after the moment of its lead time (or after it became known)."""
        self._announced.observe(seconds)

    def pushed(self, provider: str, *, accepted: int = 0, refused: int = 0) -> None:
        """So many notices of a provider's came in one request; refused ones were forged or stale."""
        # The name comes from a path that anybody may ask for.
        name = provider if provider in _PUSHERS else "other"
        for result, count in (("accepted", accepted), ("refused", refused)):
            if count:
                self._pushes.labels(name, result).inc(count)

    def ticked(self, tick: str, seconds: float) -> None:
        """A background job ran once."""
        self._tick_seconds.labels(tick).observe(seconds)

    def show_backlog(self, overdue: Mapping[str, float], *, workers: int) -> None:
        """The most overdue work of the whole installation by kind, in seconds; how many processes claim work."""
        for work, seconds in overdue.items():
            self._overdue.labels(work).set(seconds)
        self._workers.set(workers)

    def show_census(self, census: Counts, now: datetime) -> None:
        """How everything in the installation stands."""
        known = (self._calendars, self._lag, self._broken, self._stale, self._throttled, self._notice_age)
        for gauge in (*known, self._channels, self._unwatched, self._outbox):
            gauge.clear()
        for provider, mine in census.providers.items():
            for status, count in mine.by_status.items():
                self._calendars.labels(status).inc(count)
            self._stale.labels(provider).set(mine.stale)
            self._throttled.labels(provider).set(mine.throttled)
            for gauge, since in (
                (self._lag, mine.oldest_synced_at),
                (self._broken, mine.first_stale_at),
                (self._notice_age, mine.last_notice_at),
            ):
                if since is not None:
                    gauge.labels(provider).set(max(0.0, (now - since).total_seconds()))
        for (provider, state), count in census.channels.items():
            self._channels.labels(provider, state).set(count)
        self._unwatched.labels("failing").set(census.push_failing)
        self._unwatched.labels("unsupported").set(census.push_unsupported)
        self._quarantined.set(census.quarantined)
        for state, count in census.outbox.items():
            self._outbox.labels(state).set(count)

    def show_version(self, version: str) -> None:
        """Which version runs."""
        self._build.labels(version).set(1)

    def exposition(self) -> tuple[bytes, str]:
        """All of it in the text format of Prometheus, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"calgate_{name}", says, labels, registry=self._registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"calgate_{name}", says, labels, registry=self._registry)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"calgate_{name}_seconds", says, labels, buckets=buckets, registry=self._registry)


_PUSHERS: Final = frozenset({"google", "microsoft"})

METRICS: Final = Metrics()
"""The process's own; a counter that is handed through every call would be an argument that nobody decides about."""


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
        started, asked = time.perf_counter(), scope["method"]
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
            _log_request(scope, asked, status, request_id, time.perf_counter() - started)


def _log_request(scope: Mapping[str, Any], asked: str, status: int, request_id: str, seconds: float) -> None:
    method = asked if asked in _METHODS else "OTHER"
    route = scope.get("path_template") or "(none)"
    METRICS.answered(method, route, status, seconds)
    level = logging.DEBUG if route.startswith(_OF_MACHINES) else logging.INFO
    if access_log.isEnabledFor(level):
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "request_id": request_id,
        }
        access_log.log(level, "%s %s %d", method, route, status, extra=fields)

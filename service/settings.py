"""Everything that an installation decides, read once from the environment; section 2 of the contract."""

import importlib.metadata
import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

version: Final = importlib.metadata.version("calgate")

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
HIDDEN: Final = frozenset({"secret_keys", "svix_token", "database_url"})


class SettingsError(Exception):
    """A variable whose value cannot be used; the message is one line with its name and what it accepts."""


class RateLimit(NamedTuple):
    """What one API key may ask for: requests per second for ever, and at once."""

    per_second: int
    burst: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings; each field is the variable `CALGATE_` + its name in capitals."""

    database_url: str = "sqlite:///calgate.db"
    host: str = "127.0.0.1"
    port: int = 8420
    public_url: str | None = None
    secret_keys: str | None = None
    sync_horizon_days: int = 30
    poll_seconds: int = 120
    sync_concurrency: int = 32
    allow_networks: tuple[Network, ...] = ()
    rate_limit: RateLimit = RateLimit(100, 1000)
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    docs: bool = True
    retention_days: int = 30
    max_calendars_per_project: int | None = None
    http_transport: Literal["httpx"] = "httpx"
    google_api_url: str = "https://www.googleapis.com/calendar/v3"
    google_token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 (an address)
    google_auth_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    microsoft_graph_url: str = "https://graph.microsoft.com/v1.0"
    microsoft_login_url: str = "https://login.microsoftonline.com"
    zoom_api_url: str = "https://api.zoom.us/v2"
    zoom_token_url: str = "https://zoom.us/oauth/token"  # noqa: S105 (an address)
    zoom_auth_url: str = "https://zoom.us/oauth/authorize"
    svix_token: str | None = None
    svix_server_url: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "Settings":
        """The settings in `env`, an empty value counting as unset. Raises SettingsError for the first bad one."""
        values: dict[str, Any] = {}
        for field, (accepts, read) in _READERS.items():
            name = variable(field)
            if text := env.get(name, "").strip():
                try:
                    values[field] = read(text)
                except ValueError:
                    # The value itself may be a secret, or hold one.
                    raise SettingsError(f"{name} accepts {accepts}") from None
        return cls(**values)

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name in HIDDEN and getattr(self, name) else repr(getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"Settings({', '.join(shown)})"


def variable(field: str) -> str:
    """The name of the variable behind a field."""
    return f"CALGATE_{field.upper()}"


class _Reader(NamedTuple):
    accepts: str
    read: Callable[[str], Any]


def _number(lowest: int, highest: int) -> _Reader:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
            raise ValueError
        return int(text)

    return _Reader(f"a number from {lowest} to {highest}", read)


def _choice(values: Mapping[str, T]) -> _Reader:
    def read(text: str) -> T:
        if text.lower() not in values:
            raise ValueError
        return values[text.lower()]

    return _Reader(" or ".join(values), read)


def _one_of(*words: str) -> _Reader:
    return _choice({word: word for word in words})


def _listed(accepts: str, read: Callable[[str], T]) -> _Reader:
    def read_all(text: str) -> tuple[T, ...]:
        return tuple(read(part.strip()) for part in text.split(",") if part.strip())

    return _Reader(f"a comma list of {accepts}", read_all)


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,255}", text, re.ASCII):
        raise ValueError
    return text


def _host_name(text: str) -> str:
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]{1,253}|\*", text, re.ASCII):
        raise ValueError
    return text.lower()


def _url(text: str) -> str:
    parts = urlsplit(text)
    port_is_valid = parts.port is None or parts.port > 0  # reading `port` raises ValueError for a bad one
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_valid:
        raise ValueError
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment or " " in text:
        raise ValueError
    return text.rstrip("/")


def _public_url(text: str) -> str:
    url = _url(text)
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK_HOSTS:
        raise ValueError
    return url


def _token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{1,4096}", text, re.ASCII):
        raise ValueError
    return text


def _database_url(text: str) -> str:
    if (
        text.startswith("sqlite:///")
        and "?" not in text
        and Path(text.removeprefix("sqlite:///")).name not in {"", ":memory:"}
    ):
        return text
    parts = urlsplit(text)
    if parts.scheme not in {"postgresql", "postgres"} or not text.startswith(f"{parts.scheme}://"):
        raise ValueError
    return text


def _rate_limit(text: str) -> RateLimit:
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text, re.ASCII)
    if match is None or not 0 < int(match[1]) <= int(match[2]):
        raise ValueError
    return RateLimit(int(match[1]), int(match[2]))


_ADDRESS: Final = _Reader("an http(s) URL without user, query and fragment", _url)

_READERS: Final[dict[str, _Reader]] = {
    "database_url": _Reader("sqlite:///FILE, sqlite:////ABSOLUTE/FILE or postgresql://...", _database_url),
    "host": _Reader("an address or host name to listen on", _host),
    "port": _number(0, 65535),
    "public_url": _Reader("an https URL without user, query and fragment (http on loopback only)", _public_url),
    "secret_keys": _Reader("a comma list of id:base64(32 bytes)", str),
    "sync_horizon_days": _number(1, 365),
    "poll_seconds": _number(1, 86400),
    "sync_concurrency": _number(1, 1024),
    "allow_networks": _listed("CIDRs such as 10.0.0.0/8", ipaddress.ip_network),
    "rate_limit": _Reader("requests per second and burst, such as 100/1000", _rate_limit),
    "allowed_hosts": _listed("host names", _host_name),
    "trusted_proxies": _listed("addresses or CIDRs", ipaddress.ip_network),
    "docs": _choice({"on": True, "off": False}),
    "retention_days": _number(1, 3650),
    "max_calendars_per_project": _number(1, 100_000_000),
    "http_transport": _one_of("httpx"),
    "google_api_url": _ADDRESS,
    "google_token_url": _ADDRESS,
    "google_auth_url": _ADDRESS,
    "microsoft_graph_url": _ADDRESS,
    "microsoft_login_url": _ADDRESS,
    "zoom_api_url": _ADDRESS,
    "zoom_token_url": _ADDRESS,
    "zoom_auth_url": _ADDRESS,
    "svix_token": _Reader("a Svix token", _token),
    "svix_server_url": _ADDRESS,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("auto", "text", "json"),
}

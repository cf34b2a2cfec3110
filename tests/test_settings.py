"""Section 2 of the contract, a row at a time."""

from ipaddress import ip_network

import pytest

from service.settings import HIDDEN, RateLimit, Settings, SettingsError, variable

GOOD = [
    ("DATABASE_URL", "sqlite:////var/lib/calgate.db", "sqlite:////var/lib/calgate.db"),
    ("DATABASE_URL", "postgresql://u:p@db/calgate", "postgresql://u:p@db/calgate"),
    ("DATABASE_URL", "postgresql://postgres:@/postgres?host=/run/pg", "postgresql://postgres:@/postgres?host=/run/pg"),
    ("HOST", "192.0.2.1", "192.0.2.1"),
    ("HOST", "::1", "::1"),
    ("PORT", "1", 1),
    ("PORT", " 65535 ", 65535),
    ("PUBLIC_URL", "https://calgate.example.com/", "https://calgate.example.com"),
    ("PUBLIC_URL", "http://127.0.0.1:8420", "http://127.0.0.1:8420"),
    ("PUBLIC_URL", "http://[::1]:8420", "http://[::1]:8420"),
    ("SECRET_KEYS", "a:AAAA", "a:AAAA"),
    ("SYNC_HORIZON_DAYS", "365", 365),
    ("POLL_SECONDS", "60", 60),
    ("SYNC_CONCURRENCY", "64", 64),
    ("ALLOW_NETWORKS", "10.0.0.0/8, fd00::/8,", (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))),
    ("RATE_LIMIT", "5/10", RateLimit(5, 10)),
    ("ALLOWED_HOSTS", "Calgate.example.com,*.example.org", ("calgate.example.com", "*.example.org")),
    ("TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8", (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"))),
    ("DOCS", "OFF", False),
    ("RETENTION_DAYS", "7", 7),
    ("MAX_CALENDARS_PER_PROJECT", "5000", 5000),
    ("HTTP_TRANSPORT", "httpx", "httpx"),
    ("GOOGLE_API_URL", "http://127.0.0.1:9000/calendar/v3/", "http://127.0.0.1:9000/calendar/v3"),
    ("GOOGLE_TOKEN_URL", "http://127.0.0.1:9000/token", "http://127.0.0.1:9000/token"),
    ("GOOGLE_AUTH_URL", "http://127.0.0.1:9000/auth", "http://127.0.0.1:9000/auth"),
    ("MICROSOFT_GRAPH_URL", "http://localhost:9000/v1.0", "http://localhost:9000/v1.0"),
    ("MICROSOFT_LOGIN_URL", "http://localhost:9000", "http://localhost:9000"),
    ("ZOOM_API_URL", "http://localhost:9000/v2/", "http://localhost:9000/v2"),
    ("ZOOM_TOKEN_URL", "http://localhost:9000/oauth/token", "http://localhost:9000/oauth/token"),
    ("ZOOM_AUTH_URL", "http://localhost:9000/oauth/authorize", "http://localhost:9000/oauth/authorize"),
    ("SVIX_TOKEN", "testsk_x", "testsk_x"),
    ("SVIX_SERVER_URL", "https://svix.example.com", "https://svix.example.com"),
    ("LOG_LEVEL", "DEBUG", "debug"),
    ("LOG_FORMAT", "json", "json"),
]

BAD = {
    "DATABASE_URL": ["sqlite://", "sqlite:///", "sqlite:///:memory:", "calgate.db", "mysql://db/x", "postgresql:db"],
    "HOST": ["a b", "http://x"],
    "PORT": ["65536", "-1", "8420.0", "http", "٣", "99999999999999999999"],
    "PUBLIC_URL": ["http://calgate.example.com", "calgate.example.com", "https://u:p@x", "https://x?y", "https://x:0"],
    "SYNC_HORIZON_DAYS": ["0", "366", "thirty"],
    "POLL_SECONDS": ["0", "1e3"],
    "SYNC_CONCURRENCY": ["0"],
    "ALLOW_NETWORKS": ["10.0.0.1/8", "private", "10.0.0.0/8 192.168.0.0/16"],
    "RATE_LIMIT": ["100", "100/10", "0/0", "a/b"],
    "ALLOWED_HOSTS": ["https://x", "a b"],
    "TRUSTED_PROXIES": ["nginx"],
    "DOCS": ["yes"],
    "RETENTION_DAYS": ["0"],
    "MAX_CALENDARS_PER_PROJECT": ["0", "many"],
    "HTTP_TRANSPORT": ["aiohttp"],
    "GOOGLE_API_URL": ["ftp://x", "x", "https://"],
    "MICROSOFT_GRAPH_URL": ["https://x#y"],
    "ZOOM_API_URL": ["api.zoom.us/v2"],
    "SVIX_SERVER_URL": ["svix"],
    "SVIX_TOKEN": ["a b", "tök", "x" * 4097],
    "LOG_LEVEL": ["loud"],
    "LOG_FORMAT": ["xml"],
}


@pytest.mark.parametrize(("name", "text", "value"), [pytest.param(*row, id=f"{row[0]}={row[1]}") for row in GOOD])
def test_a_variable_is_read(name: str, text: str, value: object) -> None:
    assert getattr(Settings.from_environment({f"CALGATE_{name}": text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"), [pytest.param(name, text, id=f"{name}={text}") for name, texts in BAD.items() for text in texts]
)
def test_a_bad_value_is_told_in_one_line_without_the_value(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^CALGATE_{name} accepts [^\n]+$") as caught:
        Settings.from_environment({f"CALGATE_{name}": text})
    assert caught.value.__cause__ is None


def test_an_empty_value_is_unset() -> None:
    empty = {variable(field): value for field in Settings.__struct_fields__ for value in ("", " ")}
    assert Settings.from_environment(empty) == Settings() == Settings.from_environment({})


def test_every_setting_is_read_from_its_variable() -> None:
    assert {f"CALGATE_{name}" for name, _, _ in GOOD} == {variable(field) for field in Settings.__struct_fields__}


def test_secrets_are_not_shown() -> None:
    settings = Settings(secret_keys="a:hidden", svix_token="hidden", database_url="postgresql://u:hidden@db/x")
    assert "hidden" not in repr(settings) + str(settings)
    assert "port=8420" in repr(settings)
    assert all(f"{name}=***" in repr(settings) for name in HIDDEN)

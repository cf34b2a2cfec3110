"""Calendar servers in a few lines, for what the API makes of them: accounts with passwords, and feeds at addresses."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx

from service.core.credentials import OAuthClient, TokenGrant, host_of, read_login
from service.core.sync import Page
from service.errors import AddressRefused, GrantRejected, ProviderError
from service.providers.protocol import Access, Account, RawCalendar

FOREVER = timedelta(days=3650)


class _Scripted:
    """What both have: no network, no events, and a `fault` that is raised instead of any answer."""

    is_guarded = True
    second_look = None

    def __init__(self) -> None:
        self.fault: Exception | None = None

    async def refresh(
        self, http: httpx.AsyncClient, client: OAuthClient, refresh_token: str, now: datetime
    ) -> TokenGrant:
        return TokenGrant(access_token=refresh_token, expires_at=now + FOREVER)

    async def pages(self, access: Access, raw_calendar_id: str, **_: Any) -> AsyncIterator[Page]:
        self.check(access.token)
        yield Page([], token="seen")

    async def stretch(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        return
        yield

    async def series(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        return
        yield

    def check(self, secret: str) -> None:
        if self.fault is not None:
            raise self.fault
        if (refusal := self.refusal(secret)) is not None:
            raise refusal

    def refusal(self, secret: str) -> ProviderError | None:
        raise NotImplementedError


class ScriptedCaldav(_Scripted):
    """Accounts whose password is what `passwords` says, each with two calendars; none has an e-mail address."""

    name = "caldav"
    keeps_account = True

    def __init__(self) -> None:
        super().__init__()
        self.passwords = {"ada": "right", "grace": "right"}

    async def calendars(self, access: Access) -> list[RawCalendar]:
        self.check(access.token)
        user = read_login(access.token).username
        home = f"https://dav.example.com/{user}"
        return [
            RawCalendar(id=f"{home}/work/", name="Work", is_primary=True, time_zone="Europe/Lisbon"),
            RawCalendar(id=f"{home}/home/", name="Home"),
        ]

    async def account(self, access: Access, calendars: Sequence[RawCalendar]) -> Account:
        return Account(id=f"https://dav.example.com {read_login(access.token).username}")

    def refusal(self, secret: str) -> ProviderError | None:
        login = read_login(secret)
        return None if self.passwords.get(login.username) == login.password else GrantRejected("http_401")


class ScriptedFeeds(_Scripted):
    """Feeds by their addresses; what is not there is 404."""

    name = "ics"
    keeps_account = False

    def __init__(self) -> None:
        super().__init__()
        self.feeds: dict[str, RawCalendar] = {}

    def publish(self, url: str, name: str, time_zone: str | None = None) -> None:
        self.feeds[url] = RawCalendar(id="feed", name=name, is_primary=True, time_zone=time_zone)

    async def calendars(self, access: Access) -> list[RawCalendar]:
        self.check(access.token)
        return [self.feeds[access.token]]

    async def account(self, access: Access, calendars: Sequence[RawCalendar]) -> Account:
        return Account(id=f"{host_of(access.token)} {hash(access.token)}")

    def refusal(self, secret: str) -> ProviderError | None:
        return None if secret in self.feeds else AddressRefused("http_404")

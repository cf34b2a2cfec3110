"""The fake Zoom as one object: its state, the requests it answers, and everything a script may do to it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from simulator.google.answers import Answer, Request
from simulator.google.faults import Fault
from simulator.zoom.meetings import find_meeting, make_meeting, show_meeting
from simulator.zoom.oauth import end_grant, give_consent, issue_code
from simulator.zoom.routes import PRESETS, handle
from simulator.zoom.state import SCOPES, Account, Client, State


class ZoomWorld(State):
    """Every public method is a control operation too: `POST /simulator/zoom/<method>` with its arguments as JSON."""

    def __init__(
        self,
        clock: Callable[[], datetime] | None = None,
        seed: int = 0,
        populate: Callable[["ZoomWorld"], None] = lambda _: None,
    ) -> None:
        super().__init__(clock, seed)
        self.populate = populate
        populate(self)

    def handle(self, request: Request) -> Answer:
        """Answer a request to Zoom's consent page, token endpoint or API."""
        return handle(self, request)

    def add_client(
        self,
        client_id: str | None = None,
        client_secret: str | None = None,
        name: str = "A bot",
        scopes: list[str] | None = None,
        redirect_uris: list[str] | None = None,
    ) -> dict[str, str]:
        """An app, with the scopes that its settings ask for; without `redirect_uris` only loopback will do."""
        client = Client(
            client_id or self.make_secret(22),
            client_secret or self.make_secret(32),
            name,
            list(SCOPES) if scopes is None else scopes,
            redirect_uris or [],
        )
        self.clients[client.client_id] = client
        return {"client_id": client.client_id, "client_secret": client.client_secret}

    def set_client(
        self,
        client_id: str,
        status: str | None = None,
        client_secret: str | None = None,
        redirect_uris: list[str] | None = None,
    ) -> None:
        """Make an app `ok` or `disabled`, rotate its secret, or change where users may be sent back."""
        client = self.clients[client_id]
        client.redirect_uris = client.redirect_uris if redirect_uris is None else redirect_uris
        client.status = status or client.status
        client.client_secret = client_secret or client.client_secret

    def add_account(self, email: str, name: str | None = None, time_zone: str = "UTC") -> str:
        """A user of Zoom."""
        name = name or email.split("@", maxsplit=1)[0].title()
        self.accounts[email] = Account(email, self.make_secret(22), name, time_zone)
        return email

    def delete_account(self, email: str) -> None:
        """The user is gone, and so are the meetings."""
        del self.accounts[email]
        self.meetings = {number: each for number, each in self.meetings.items() if each.email != email}

    def set_policy(self, email: str, **settings: Any) -> dict[str, Any]:
        """Settings of meetings that the account decides, whatever is asked for: `waiting_room`, `auto_recording` ..."""
        self.accounts[email].policy = settings
        return settings

    def grant(self, email: str, client_id: str, scopes: list[str] | None = None) -> str:
        """The user consents: a new refresh token, which ends an earlier one."""
        wanted = self.clients[client_id].scopes if scopes is None else scopes
        return give_consent(self, client_id, email, list(wanted)).refresh_token

    def consent(
        self, email: str, client_id: str, redirect_uri: str, challenge: str | None = None, method: str = "S256"
    ) -> str:
        """What the consent page sends back after Allow: a code."""
        client = self.clients[client_id]
        return issue_code(self, client, email, redirect_uri, challenge=challenge, method=method)

    def connect(self, email: str, **account: Any) -> dict[str, str]:
        """A user, an app (the first there is, or a new one) and a consent: what a gateway needs."""
        if email not in self.accounts:
            self.add_account(email, **account)
        client_id = next(iter(self.clients), None) or self.add_client()["client_id"]
        secret = self.clients[client_id].client_secret
        refresh_token = self.grant(email, client_id)
        return {"email": email, "client_id": client_id, "client_secret": secret, "refresh_token": refresh_token}

    def credentials(self) -> list[dict[str, Any]]:
        """What to connect with: the live refresh token of each consent."""
        return [
            {
                "email": grant.email,
                "client_id": grant.client_id,
                "client_secret": self.clients[grant.client_id].client_secret,
                "refresh_token": grant.refresh_token,
            }
            for grant in self.grants
            if not grant.revoked
        ]

    def add_meeting(self, email: str, topic: str, start_time: str | None = None, duration: int = 60) -> dict[str, Any]:
        """A meeting that the user makes by himself; `start_time` as Zoom writes it, the next hour by default."""
        start = start_time or f"{self.now():%Y-%m-%dT%H:59:59Z}"
        body = {"topic": topic, "type": 2, "start_time": start, "duration": duration}
        return make_meeting(self, self.accounts[email], body)

    def read_meetings(self, email: str | None = None) -> list[dict[str, Any]]:
        """The meetings there are, in the order in which they were made."""
        wanted = [each for each in self.meetings.values() if email in (None, each.email)]
        return [show_meeting(self.accounts[each.email], each) for each in wanted]

    def delete_meeting(self, email: str, meeting_id: int) -> None:
        """The user deletes a meeting by himself."""
        del self.meetings[find_meeting(self, self.accounts[email], str(meeting_id)).id]

    def revoke_consent(self, email: str, client_id: str | None = None) -> None:
        """The user removes the app: its tokens are dead."""
        for grant in self.grants:
            if grant.email == email and client_id in (None, grant.client_id):
                end_grant(self, grant)

    def expire_access_tokens(self, email: str | None = None) -> int:
        """Access tokens given so far answer 401; refresh tokens go on working."""
        ended = [token for token, access in self.access_tokens.items() if email in (None, access.grant.email)]
        for token in ended:
            del self.access_tokens[token]
        return len(ended)

    def add_fault(self, preset: str, **options: Any) -> None:
        """Let requests fail: see `simulator.google.faults.Fault` for the options; `after` has them carried out first."""
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}, know {', '.join(PRESETS)}")
        self.faults.append(Fault(preset, **options))

    def clear_faults(self) -> None:
        self.faults.clear()

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change shares of requests and lives of tokens: see `simulator.zoom.state.Settings`."""
        for name, value in settings.items():
            if not hasattr(self.settings, name):
                raise ValueError(f"unknown setting {name!r}")
            setattr(self.settings, name, value)
        shown: dict[str, Any] = msgspec.to_builtins(self.settings)
        return shown

    def read_calls(self, endpoint: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """The newest requests, oldest first."""
        wanted = [call for call in self.calls if endpoint in (None, call.endpoint)]
        shown: list[dict[str, Any]] = msgspec.to_builtins(wanted[-limit:])
        return shown

    def read_counters(self) -> dict[str, int]:
        """Requests per endpoint since the last reset, and their `total`."""
        return {**self.counters, "total": sum(self.counters.values())}

    def reset_counters(self) -> None:
        self.counters.clear()
        self.calls.clear()

    def reset(self) -> None:
        """Back to the beginning."""
        self.clear()
        self.populate(self)


PEOPLE = (("ada", "Europe/Paris"), ("grace", "America/New_York"))


def seeded_zoom(seed: int = 1, clock: Callable[[], datetime] | None = None) -> ZoomWorld:
    """Two users, who have each consented to one app."""

    def populate(world: ZoomWorld) -> None:
        client = world.add_client(f"demo-{world.seed}-zoom", f"demo-zoom-secret-{world.seed}", "Demo")
        for name, time_zone in PEOPLE:
            email = world.add_account(f"{name}@example.com", time_zone=time_zone)
            world.grant(email, client["client_id"])
        world.reset_counters()

    return ZoomWorld(clock, seed, populate)

"""The fake Microsoft as one object: its state, the requests it answers, and everything a script may do to it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import msgspec

from simulator.google.answers import Answer, Request
from simulator.google.faults import Fault, write_faults
from simulator.microsoft.access import calendars_of
from simulator.microsoft.answers import GraphAnswer
from simulator.microsoft.faults import GRAPH_PRESETS, PRESETS, TOKEN_PRESETS
from simulator.microsoft.login import end_grant, give_consent, newest_token
from simulator.microsoft.notices import Notice, Subscription
from simulator.microsoft.routes import handle
from simulator.microsoft.scripting import EventScript
from simulator.microsoft.state import CONSUMERS, DEFAULT_SCOPES, Account, Calendar, Client
from simulator.microsoft.subscriptions import LIFECYCLE, collect, show, tell_lifecycle

PERSONAL_DOMAINS = ("outlook", "hotmail", "live", "msn")


class MicrosoftWorld(EventScript):
    """Every public method is a control operation too: `POST /simulator/microsoft/<method>` with its arguments as JSON."""

    def __init__(
        self,
        clock: Callable[[], datetime] | None = None,
        seed: int = 0,
        populate: Callable[["MicrosoftWorld"], None] = lambda _: None,
    ) -> None:
        super().__init__(clock, seed)
        self.populate = populate
        populate(self)

    def handle(self, request: Request) -> Answer:
        """Answer a request to the consent page, to the token endpoint or to Graph.

        The answer to a new subscription is pending: `simulator.microsoft.answers.resolve` makes the final one of it.
        One that takes time keeps its mailbox busy, until `release`.
        """
        return handle(self, request)

    def release(self, answer: Answer) -> None:
        """A slow answer has left."""
        if isinstance(answer, GraphAnswer) and answer.mailbox is not None:
            self.under_way[answer.mailbox] -= 1
            answer.mailbox = None

    def add_client(
        self,
        client_id: str | None = None,
        client_secret: str | None = None,
        audience: str = "common",
        single_page: bool = False,
        redirect_uris: list[str] | None = None,
    ) -> dict[str, str]:
        """An app registration, for everybody (`common`), `organizations`, `consumers`, or one tenant by its id.

        Its users are sent back to its `redirect_uris` alone; without any, to any address on loopback.
        """
        client = Client(client_id or self.make_guid(), client_secret or self.make_secret(), audience, single_page)
        client.redirect_uris = redirect_uris or []
        self.clients[client.client_id] = client
        return {"client_id": client.client_id, "client_secret": client.client_secret, "tenant": audience}

    def set_client(
        self,
        client_id: str,
        status: str | None = None,
        client_secret: str | None = None,
        audience: str | None = None,
        redirect_uris: list[str] | None = None,
    ) -> None:
        """Let a client meet an AADSTS preset at every refresh (`ok` ends it), or change its secret, audience or addresses."""
        client = self.clients[client_id]
        client.status = _one_of(status, TOKEN_PRESETS) or client.status
        client.client_secret = client_secret or client.client_secret
        client.audience = audience or client.audience
        client.redirect_uris = client.redirect_uris if redirect_uris is None else redirect_uris

    def add_account(
        self,
        email: str,
        name: str | None = None,
        time_zone: str = "UTC",
        tenant: str | None = None,
        upn: str | None = None,
    ) -> str:
        """A Microsoft account with its default calendar; personal when its domain is, or by the `tenant` of those."""
        local, _, domain = email.partition("@")
        personal = domain.split(".", maxsplit=1)[0] in PERSONAL_DOMAINS
        tenant = tenant or (CONSUMERS if personal else str(uuid5(NAMESPACE_DNS, domain)))
        account = Account(email, name or local.title(), time_zone, self._make_user_id(tenant), tenant, upn or email)
        self.accounts[email] = account
        account.default_calendar = self._enlist(Calendar(self._make_calendar_id(), email, "Calendar", is_default=True))
        return email

    def set_account(
        self, email: str, status: str | None = None, mailbox: str | None = None, time_zone: str | None = None
    ) -> None:
        """Let every refresh meet an AADSTS preset, or every calendar request a Graph preset; `ok` ends it."""
        account = self.accounts[email]
        account.status = _one_of(status, TOKEN_PRESETS) or account.status
        account.mailbox = _one_of(mailbox, list(GRAPH_PRESETS)) or account.mailbox
        account.time_zone = time_zone or account.time_zone

    def grant(self, email: str, client_id: str, scopes: list[str] | None = None) -> str:
        """The user consents: a new refresh token, by default for offline access, his profile and his calendars."""
        return give_consent(self, client_id, email, scopes or DEFAULT_SCOPES)

    def connect(self, email: str, time_zone: str = "UTC", **account: Any) -> dict[str, str]:
        """An account, a client (the first there is, or a new one) and a consent: what a gateway needs."""
        if email not in self.accounts:
            self.add_account(email, time_zone=time_zone, **account)
        client_id = next(iter(self.clients), None) or self.add_client()["client_id"]
        refresh_token = self.grant(email, client_id)
        client = self.clients[client_id]
        return {
            "email": email,
            "client_id": client_id,
            "client_secret": client.client_secret,
            "tenant": client.audience,
            "refresh_token": refresh_token,
        }

    def credentials(self) -> list[dict[str, Any]]:
        """What to connect with: the newest refresh token of each live consent."""
        return [
            {
                "email": grant.email,
                "client_id": grant.client_id,
                "client_secret": self.clients[grant.client_id].client_secret,
                "tenant": self.clients[grant.client_id].audience,
                "refresh_token": newest_token(grant),
                "calendars": [each.id for each in calendars_of(self, grant.email)],
            }
            for grant in self.grants
            if not grant.revoked
        ]

    def add_calendar(self, owner: str, summary: str) -> str:
        """A further calendar of a mailbox."""
        return self._enlist(Calendar(self._make_calendar_id(), self.accounts[owner].email, summary))

    def share_calendar(self, calendar_id: str, email: str, role: str = "reader") -> None:
        """Put a calendar into somebody's list, as `reader` or as `writer`."""
        self.find_calendar(calendar_id).readers[self.accounts[email].email] = role == "writer"

    def delete_calendar(self, calendar_id: str) -> None:
        """The calendar is gone for everybody: 404, and not in the lists."""
        self.find_calendar(calendar_id).deleted = True

    def expire_delta_links(self, calendar_id: str | None = None) -> None:
        """All links given so far are refused, for one calendar or for everything; `sync_state_status` says how."""
        chosen = self.calendars.values() if calendar_id is None else [self.find_calendar(calendar_id)]
        for calendar in chosen:
            calendar.epoch += 1

    def invalidate_sync_tokens(self, calendar_id: str | None = None) -> None:
        """The same, by the name that it has with Google."""
        self.expire_delta_links(calendar_id)

    def revoke_consent(self, email: str, client_id: str | None = None) -> None:
        """The user's grant is dead, and its subscriptions with it."""
        for grant in self.grants:
            if grant.email == email and client_id in (None, grant.client_id):
                end_grant(self, grant)
                for each in list(self.subscriptions.get(email, {}).values()):
                    if each.client_id == grant.client_id:
                        tell_lifecycle(self, each, "subscriptionRemoved")

    def expire_access_tokens(self, email: str | None = None) -> int:
        """Access tokens given so far answer 401; refresh tokens go on working."""
        ended = [token for token, access in self.access_tokens.items() if email in (None, access.grant.email)]
        for token in ended:
            del self.access_tokens[token]
        return len(ended)

    def add_fault(self, preset: str, **options: Any) -> None:
        """Let requests fail: see `simulator.google.faults.Fault` for the options."""
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}, know {', '.join(PRESETS)}")
        calendar = options.get("calendar")
        if calendar is not None:
            options["calendar"] = self.find_calendar(calendar).id
        self.faults.append(Fault(preset, **options))

    def fail_writes(
        self, before: float = 0.0, after: float = 0.0, silent: float = 0.0, silence: str = "lost_answer"
    ) -> None:
        """Let fractions of all writes fail with a 500 before they are carried out, with a 500 after, or without an answer.

        Without an answer means that the connection breaks; with `silence` "hang", that nothing ever comes.
        """
        self.faults += write_faults(before=before, after=after, silent=silent, error="internal_500", silence=silence)

    def clear_faults(self) -> None:
        self.faults.clear()

    def set_push(self, **rules: Any) -> dict[str, Any]:
        """Let deliveries be lost, doubled, delayed, held back, batched: see `simulator.microsoft.notices.NoticeRules`."""
        for name, value in rules.items():
            if not hasattr(self.push_rules, name):
                raise ValueError(f"unknown push rule {name!r}")
            setattr(self.push_rules, name, value)
        shown: dict[str, Any] = msgspec.to_builtins(self.push_rules)
        return shown

    def release_pushes(self) -> int:
        """Send what `hold` holds back; the number of items."""
        count = len(self.owed)
        self.push_rules.hold = False
        self.wake()
        return count

    def take_pushes(self) -> list[Notice]:
        """The deliveries that are owed, each with all the items for its URL; none while they are held."""
        return [] if self.push_rules.hold else collect(self)

    def send_lifecycle(self, event: str, email: str | None = None, subscription_id: str | None = None) -> int:
        """Owe `reauthorizationRequired`, `subscriptionRemoved` (which also removes it) or `missed`.

        For one subscription, or for all of an account or of the world; the number of subscriptions.
        """
        if event not in LIFECYCLE:
            raise ValueError(f"unknown lifecycle event {event!r}, know {', '.join(sorted(LIFECYCLE))}")
        chosen = [
            each for each in self._subscriptions() if email in (None, each.email) and subscription_id in (None, each.id)
        ]
        for each in chosen:
            tell_lifecycle(self, each, event)
        return len(chosen)

    def suspend_subscriptions(self, email: str | None = None) -> int:
        """Ask for reauthorization, and notify of nothing until it has come."""
        for each in self._subscriptions():
            if email in (None, each.email):
                each.suspended = True
        return self.send_lifecycle("reauthorizationRequired", email)

    def read_subscriptions(self) -> list[dict[str, Any]]:
        """All subscriptions, as Graph would show them."""
        return [show(self, each) for each in self._subscriptions()]

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change rotation, limits, page sizes, gaps: see `simulator.microsoft.state.Settings`."""
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

    def read_mails(self, to: str | None = None, event_id: str | None = None) -> list[dict[str, Any]]:
        """The mails about meetings, oldest first: guests are always told, whoever writes."""
        wanted = [each for each in self.mails if to in (None, each.to) and event_id in (None, each.event)]
        shown: list[dict[str, Any]] = msgspec.to_builtins(wanted)
        return shown

    def read_counters(self) -> dict[str, int]:
        """Requests per endpoint since the last reset, and their `total`; `push` counts deliveries made, outside of it."""
        return {**self.counters, "total": sum(self.counters.values()) - self.counters["push"]}

    def reset_counters(self) -> None:
        self.counters.clear()
        self.calls.clear()

    def reset(self) -> None:
        """Forget everything, and be as at the start: empty, or as seeded."""
        self.clear()
        self.populate(self)

    def _subscriptions(self) -> list[Subscription]:
        return [each for live in self.subscriptions.values() for each in live.values()]

    def _enlist(self, calendar: Calendar) -> str:
        self.calendars[calendar.id] = calendar
        return calendar.id

    def _make_calendar_id(self) -> str:
        return f"AAMkAD{self.make_secret(64).replace('.', '-').replace('~', '_')}AAA="

    def _make_user_id(self, tenant: str) -> str:
        return f"{self.random.getrandbits(64):016x}" if tenant == CONSUMERS else self.make_guid()


def _one_of(wanted: str | None, known: list[str]) -> str | None:
    if wanted not in (None, "ok", *known):
        raise ValueError(f"unknown preset {wanted!r}, know ok, {', '.join(known)}")
    return wanted

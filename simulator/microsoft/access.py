"""Whose mailbox a request is about, and which calendars of it an account may read or change."""

from simulator.google.answers import Request
from simulator.microsoft.errors import GraphError, access_denied, invalid_id, not_found
from simulator.microsoft.faults import GRAPH_PRESETS
from simulator.microsoft.state import Account, Calendar, State

CALENDAR_PREFIX = "AAMkAD"


def find_mailbox(state: State, name: str | None, account: Account) -> Account:
    """The account behind `me` or `users/{name}`; somebody else's mailbox is not for delegated access."""
    if name is not None and name.lower() not in {account.email.lower(), account.upn.lower(), account.id}:
        names = {
            each for other in state.accounts.values() for each in (other.email.lower(), other.upn.lower(), other.id)
        }
        if name.lower() in names:
            raise access_denied()
        raise GraphError(404, "ErrorInvalidUser", f"The requested user '{name}' is invalid.")
    if account.mailbox != "ok":
        raise GraphError(*GRAPH_PRESETS[account.mailbox])
    return account


def calendars_of(state: State, email: str) -> list[Calendar]:
    """An account's calendars, the default one first, then its own, then those shared with it."""
    return sorted(
        (
            each
            for each in state.calendars.values()
            if not each.deleted and (each.owner == email or email in each.readers)
        ),
        key=lambda each: (each.owner != email, not each.is_default),
    )


def find_calendar(state: State, calendar_id: str | None, account: Account) -> Calendar:
    """A calendar that this account may read, its default one for None; anything else is as good as absent."""
    if calendar_id is None:
        return state.calendars[account.default_calendar]
    if not calendar_id.startswith(CALENDAR_PREFIX):
        raise invalid_id()
    calendar = state.calendars.get(calendar_id)
    if (
        calendar is None
        or calendar.deleted
        or (calendar.owner != account.email and account.email not in calendar.readers)
    ):
        raise not_found()
    return calendar


def require_writer(calendar: Calendar, account: Account) -> None:
    if calendar.owner != account.email and not calendar.readers.get(account.email):
        raise access_denied()


def origin_of(request: Request) -> str:
    """Scheme and host as the client spelled them, so that links lead back here."""
    host = request.headers.get("host", "graph.microsoft.com")
    scheme = request.headers.get("x-forwarded-proto") or ("https" if host == "graph.microsoft.com" else "http")
    return f"{scheme}://{host}"

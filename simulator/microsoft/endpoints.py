"""What each Graph endpoint does, one function per method and path."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from simulator.google.answers import Answer, Request
from simulator.microsoft import subscriptions
from simulator.microsoft.access import calendars_of, find_calendar, require_writer
from simulator.microsoft.busy import read_schedules
from simulator.microsoft.changes import merged
from simulator.microsoft.delta import read_delta
from simulator.microsoft.edits import delete_event, find_event, insert_event, patch_event, respond
from simulator.microsoft.errors import invalid
from simulator.microsoft.identifiers import show_id
from simulator.microsoft.listing import METADATA, list_calendars, list_events, list_instances, list_view, select
from simulator.microsoft.mailing import tell, tell_cancelled
from simulator.microsoft.query import text
from simulator.microsoft.rows import Row, row_of
from simulator.microsoft.state import Account, Calendar, Grant, Record, State
from simulator.microsoft.views import Preference, is_organizer, occurrence_id, show_account, show_calendar, show_event

ANSWERS = {"accept": "accepted", "decline": "declined", "tentativelyAccept": "tentativelyAccepted"}


@dataclass(frozen=True, slots=True)
class Context:
    """One authenticated request."""

    state: State
    grant: Grant
    account: Account
    request: Request
    names: dict[str, str]
    body: dict[str, Any]
    prefer: Preference
    looping: bool

    def calendar(self, *, to_write: bool = False) -> Calendar:
        calendar = find_calendar(self.state, self.names.get("calendar"), self.account)
        if to_write:
            require_writer(calendar, self.account)
        return calendar

    def event(self, *, to_write: bool = False) -> tuple[Calendar, Record]:
        """The event of the path; without a calendar there, of any calendar of the account."""
        calendars = [self.calendar()] if "calendar" in self.names else calendars_of(self.state, self.account.email)
        calendar, record = find_event(self.state, calendars, self.names["event"])
        if to_write:
            require_writer(calendar, self.account)
        return calendar, record

    def show(self, calendar: Calendar, record: Record) -> dict[str, Any]:
        """An event in full; an occurrence without exception is shown as what it is."""
        stored = record.key in calendar.records or record.master is None
        row = row_of(record) if stored else Row(record.key, calendar.records[record.master or ""], record.slot)
        shown = show_event(self.state, calendar, row, self.prefer) | self._exceptions(calendar, record)
        return select(
            {"@odata.context": f"{METADATA}#users('{self.account.id}')/events/$entity", **shown}, self.request
        )

    def _exceptions(self, calendar: Calendar, master: Record) -> dict[str, Any]:
        """What a series has lost and what differs in it, for who asks: `$select` for the one, `$expand` for the other."""
        shown: dict[str, Any] = {}
        if "cancelledOccurrences" in (text(self.request.query, "$select") or ""):
            master_id = show_id(master.key, immutable=self.prefer.immutable)
            shown["cancelledOccurrences"] = [occurrence_id(master_id, name) for name in sorted(master.removed)]
        if "exceptionOccurrences" in (text(self.request.query, "$expand") or ""):
            rows = [row_of(calendar.records[key]) for _, key in sorted(master.exceptions.items())]
            shown["exceptionOccurrences"] = [show_event(self.state, calendar, row, self.prefer) for row in rows]
        return shown


def _get_me(context: Context) -> dict[str, Any]:
    return select({"@odata.context": f"{METADATA}#users/$entity", **show_account(context.account)}, context.request)


def _list_calendars(context: Context) -> dict[str, Any]:
    return list_calendars(context.state, context.account, context.request)


def _get_calendar(context: Context) -> dict[str, Any]:
    shown = show_calendar(context.state, context.calendar(), context.account.email)
    return select({"@odata.context": f"{METADATA}#users('me')/calendars/$entity", **shown}, context.request)


def _read_delta(context: Context) -> dict[str, Any]:
    return read_delta(context.state, context.calendar(), context.request, context.prefer, looping=context.looping)


def _list_view(context: Context) -> dict[str, Any]:
    return list_view(context.state, context.calendar(), context.request, context.prefer)


def _list_events(context: Context) -> dict[str, Any]:
    return list_events(context.state, context.calendar(), context.request, context.prefer)


def _list_instances(context: Context) -> dict[str, Any]:
    return list_instances(context.state, *context.event(), context.request, context.prefer)


def _get_event(context: Context) -> dict[str, Any]:
    return context.show(*context.event())


def _insert_event(context: Context) -> Answer:
    calendar = context.calendar(to_write=True)
    is_known = context.body.get("transactionId") in calendar.transactions
    record = insert_event(context.state, calendar, context.body)
    if not is_known:
        tell(context.state, calendar, record, None)
    return Answer(201, msgspec.json.encode(context.show(calendar, record)))


def _patch_event(context: Context) -> dict[str, Any]:
    calendar, record = context.event(to_write=True)
    before = dict(merged(calendar, record))
    if_match = context.request.headers.get("if-match")
    record = patch_event(context.state, calendar, record, context.body, if_match=if_match)
    tell(context.state, calendar, record, before)
    return context.show(calendar, record)


def _delete_event(context: Context) -> None:
    calendar, record = context.event(to_write=True)
    before = dict(merged(calendar, record))
    delete_event(context.state, calendar, record, if_match=context.request.headers.get("if-match"))
    tell_cancelled(context.state, calendar, record, before)


def _cancel_event(context: Context) -> Answer:
    calendar, record = context.event(to_write=True)
    if not is_organizer(context.state.accounts[calendar.owner], merged(calendar, record)):
        raise invalid("You need to be an organizer to cancel a meeting.", "ErrorAccessDenied")
    before = dict(merged(calendar, record))
    delete_event(context.state, calendar, record)
    tell_cancelled(context.state, calendar, record, before)
    return Answer(202)


def _respond(context: Context) -> Answer:
    calendar, record = context.event(to_write=True)
    if is_organizer(context.state.accounts[calendar.owner], merged(calendar, record)):
        raise invalid("You can't respond to this meeting because you're the meeting organizer.", "ErrorInvalidRequest")
    respond(context.state, calendar, record, context.account.email, ANSWERS[context.names["answer"]])
    return Answer(202)


def _read_schedules(context: Context) -> dict[str, Any]:
    return read_schedules(context.state, context.account, context.body, context.prefer)


def _list_subscriptions(context: Context) -> dict[str, Any]:
    return subscriptions.list_all(context.state, context.grant)


def _create_subscription(context: Context) -> Answer:
    return subscriptions.create(
        context.state, context.grant, context.account, context.body, immutable=context.prefer.immutable
    )


def _get_subscription(context: Context) -> dict[str, Any]:
    found = subscriptions.find(context.state, context.grant, context.names["subscription"])
    return {"@odata.context": f"{METADATA}#subscriptions/$entity", **subscriptions.show(context.state, found)}


def _renew_subscription(context: Context) -> dict[str, Any]:
    found = subscriptions.find(context.state, context.grant, context.names["subscription"])
    return subscriptions.renew(context.state, found, context.body)


def _delete_subscription(context: Context) -> None:
    found = subscriptions.find(context.state, context.grant, context.names["subscription"])
    subscriptions.forget(context.state, found)


def _reauthorize(context: Context) -> None:
    subscriptions.find(context.state, context.grant, context.names["subscription"]).suspended = False


def _unknown(_: Context) -> None:
    raise invalid("Resource not found for the segment.", "BadRequest")


ENDPOINTS: dict[str, Callable[[Context], dict[str, Any] | Answer | None]] = {
    "me.get": _get_me,
    "calendars.list": _list_calendars,
    "calendars.get": _get_calendar,
    "calendar.getSchedule": _read_schedules,
    "calendarView.delta": _read_delta,
    "calendarView.list": _list_view,
    "events.list": _list_events,
    "events.get": _get_event,
    "events.instances": _list_instances,
    "events.insert": _insert_event,
    "events.patch": _patch_event,
    "events.delete": _delete_event,
    "events.cancel": _cancel_event,
    "events.respond": _respond,
    "subscriptions.list": _list_subscriptions,
    "subscriptions.create": _create_subscription,
    "subscriptions.get": _get_subscription,
    "subscriptions.renew": _renew_subscription,
    "subscriptions.delete": _delete_subscription,
    "subscriptions.reauthorize": _reauthorize,
    "unknown": _unknown,
}

"""What endpoints subscribe to: families of types and calendars, judged here for one message, there by the database."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, cast, not_, or_

from webhooks.message import about
from webhooks.tables import messages

ON_REQUEST = ("event.", "integration.")
"""Families of types that only those endpoints get which name them."""


def covers(pattern: str, event_type: str) -> bool:
    """Whether a pattern (`calendar.active`, `event.*`, `*`) covers a type."""
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def passes(
    event_types: Sequence[str] | None,
    calendar_ids: Collection[str] | None,
    *,
    type: str,  # noqa: A002  the name that everybody has for it
    calendar_id: UUID | None,
    also: Iterable[UUID | str] | None,
) -> bool:
    """Whether a message of this type and about these calendars passes an endpoint's filters, ids as text.

    No types are all but the families on request; `event.*` means the family, `*` everything. A message that belongs to no
    calendar passes the filter by calendar.
    """
    if (
        calendar_ids is not None
        and calendar_id is not None
        and not any(each in calendar_ids for each in about(calendar_id, also))
    ):
        return False
    if event_types is None:
        return not type.startswith(ON_REQUEST)
    return any(covers(pattern, type) for pattern in event_types)


def stored_pass(event_types: Sequence[str] | None, calendar_ids: Collection[UUID] | None) -> ColumnElement[bool]:
    """The same of rows of messages."""
    if event_types is None:
        of_types = and_(*[not_(of_type(f"{family}*")) for family in ON_REQUEST])
    else:
        of_types = or_(*[of_type(pattern) for pattern in event_types])
    if calendar_ids is None:
        return of_types
    # JSON has other functions in each database; a UUID is found in its text all the same.
    also = cast(messages.c.also_calendar_ids, String)
    named = [also.contains(str(calendar_id), autoescape=True) for calendar_id in calendar_ids]
    return and_(of_types, or_(messages.c.calendar_id.is_(None), messages.c.calendar_id.in_(list(calendar_ids)), *named))


def of_type(pattern: str) -> ColumnElement[bool]:
    """Rows of messages whose type a pattern covers."""
    if pattern.endswith("*"):
        return messages.c.type.startswith(pattern[:-1], autoescape=True)
    return messages.c.type == pattern

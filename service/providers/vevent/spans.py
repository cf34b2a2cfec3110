"""When an event that somebody else has written is, how that is written, and where a patch moves it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from service.core.series_moves import Move
from service.errors import SeriesUnmovable
from service.providers.vevent.composing import Form, Span, Style, checked, form_of
from service.providers.vevent.reading import Component
from service.providers.vevent.zones import recognise


def span_of(read: Component) -> Span:
    """When it is: two days, the second of which is over by then, or two moments (UTC)."""
    form = form_of_component(read)
    first, last = read.days
    if first is not None and last is not None:
        return Span(form, first, last)
    return Span(form, read.starts_at, read.ends_at)


def form_of_component(read: Component) -> Form:
    """How its start is written."""
    start = read.start
    if start.is_day:
        return Form(read.zones.default, is_day=True)
    tzid = read.properties["DTSTART"][0].parameters.get("TZID")
    # An offset behind the time, which no other reader has to know, is written as UTC.
    is_utc = start.is_utc or (tzid is None and start.zone is not read.zones.default)
    return Form(UTC if is_utc else start.zone, None if is_utc else tzid, is_utc=is_utc)


def moved_span(span: Span, fields: Mapping[str, Any], style: Style) -> Span:
    """The span with the fields of a patch, of which those that are None say nothing."""
    given = {name: fields[name] for name in ("starts_at", "ends_at", "start_date", "end_date") if fields.get(name)}
    name = fields.get("time_zone")
    was_day = span.form.is_day
    if "start_date" in given or (was_day and "end_date" in given):
        length = span.end - span.start if was_day else timedelta(days=1)
        start = given.get("start_date", span.start)
        end = given.get("end_date") or (start + length if not was_day else span.end)
        return checked(Span(span.form if was_day else Form(span.form.zone, is_day=True), start, end))
    if was_day and "starts_at" not in given:
        return span
    form = span.form
    if was_day or (name and recognise(name) != _zone_name(form)):
        form = form_of(name or style.time_zone)
    start = given.get("starts_at", span.start)
    end = given.get("ends_at", span.end if not was_day else start)
    return checked(Span(form, start, end))


def move_between(old: Span, new: Span) -> Move:
    """How a series moves. Raises SeriesUnmovable where there is no such thing."""
    if old.form.is_day != new.form.is_day:
        raise SeriesUnmovable("times do not become days, nor days times")
    return Move(
        before=_wall(old.form, old.start),
        after=_wall(new.form, new.start),
        zone=old.form.zone,
        new_zone=new.form.zone,
        is_all_day=new.form.is_day,
    )


def _zone_name(form: Form) -> str | None:
    return "UTC" if form.is_utc else getattr(form.zone, "key", None)


def _wall(form: Form, at: datetime | date) -> datetime:
    if isinstance(at, datetime):
        return at.astimezone(form.zone).replace(tzinfo=None)
    return datetime(at.year, at.month, at.day)  # noqa: DTZ001  (on the wall clock)

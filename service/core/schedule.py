"""When the next thing happens: polls, pauses, channel renewals and windows, all reckoned from `now`.

Every `jitter` is a random number in [0, 1) that the caller drew.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

LOOK_BACK: Final = timedelta(days=1)
OVERLAP: Final = timedelta(hours=1)
SAFETY_POLL: Final = timedelta(hours=1)
NEAR: Final = timedelta(minutes=30)
TODAY: Final = timedelta(hours=24)
DAILY_REQUESTS: Final = 1_000_000
POLLED_SHARE: Final = 0.8
PUSHED_SHARE: Final = 0.2
"""Of a client's requests in a day, what may go into polls: of calendars without push, and of those with it, whose
notices need the rest."""

EARLIEST: Final = 0.9
"""What part of its interval a calendar rests at least, and how much more at most."""

LEAST_PROMISE: Final = timedelta(minutes=15)
PROMISED_INTERVALS: Final = 3
"""A calendar is promised to be verified within so many of its intervals, and never sooner than that."""

CALM_PUSHES: Final = 5
CALM_SPACING: Final = timedelta(seconds=1)
STORM_QUIET: Final = timedelta(seconds=3)
STORM_LONGEST: Final = timedelta(seconds=30)


class Window(msgspec.Struct, frozen=True):
    """The stretch of time that the store keeps equal to the provider."""

    start: datetime
    end: datetime

    def overlaps(self, starts_at: datetime, ends_at: datetime) -> bool:
        """As Google reckons `timeMin` and `timeMax`: both bounds exclusive, on the end and on the start.

        So an instant at the very start is outside: no listing would show it, and none may prove it gone.
        """
        return starts_at < self.end and ends_at > self.start


def window_at(now: datetime, horizon_days: int) -> Window:
    """Yesterday to `horizon_days` ahead, on whole hours so that a listing can be repeated exactly."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return Window(hour - LOOK_BACK, hour + timedelta(days=horizon_days))


def window_stretch(known_until: datetime, now: datetime, horizon_days: int) -> Window | None:
    """What has come into the window since it was last listed, once that is an hour or more.

    It reaches back an hour: an instant at `known_until` itself is in no listing that begins or ends there.
    """
    wanted = window_at(now, horizon_days).end
    return Window(known_until - OVERLAP, wanted) if wanted - known_until >= OVERLAP else None


def poll_interval(
    base: timedelta,
    *,
    pushed: bool,
    until_next_meeting: timedelta | None,
    sharers: int,
) -> timedelta:
    """How long an unchanged calendar may rest.

    With healthy push an hour; without, `base`, half of it when a meeting is within half an hour, and twice it when
    nothing is on today. Polling is a budget: the `sharers`, which are the client's calendars that are pushed, or those
    that are not, together stay within their share of its day's requests.
    """
    share = PUSHED_SHARE if pushed else POLLED_SHARE
    affordable = timedelta(days=1) * sharers / (DAILY_REQUESTS * share)
    if pushed:
        return max(SAFETY_POLL, affordable)
    if until_next_meeting is None or until_next_meeting > TODAY:
        wanted = base * 2
    else:
        wanted = base / 2 if until_next_meeting <= NEAR else base
    return max(wanted, affordable)


def no_sooner(interval: timedelta, least_seconds: int | None) -> timedelta:
    """An interval of which not even the earliest `next_poll` comes before so many seconds, where somebody wants that."""
    return interval if least_seconds is None else max(interval, timedelta(seconds=least_seconds) / EARLIEST)


def next_poll(now: datetime, interval: timedelta, jitter: float) -> datetime:
    """`interval` from now, give or take a tenth, so that calendars connected together do not stay together."""
    return now + interval * (EARLIEST + 2 * (1 - EARLIEST) * jitter)


def promise(interval: timedelta) -> timedelta:
    """For how long a calendar that was just verified, and rests for `interval`, counts as verified.

    The interval has everything in it that makes polls rare: push, what a client's day affords, what a feed asks for.
    Pauses that begin later (throttling, errors) are in nothing that was promised.
    """
    return max(LEAST_PROMISE, interval * PROMISED_INTERVALS)


def retry_soon(failures: int, jitter: float) -> timedelta:
    """The pause after the first failures in a row, while nobody need know: about 5 s, then about 20 s."""
    return timedelta(seconds=min(5 * 4 ** max(failures - 1, 0), 60) * (0.75 + 0.5 * jitter))


def back_off(doublings: int, jitter: float) -> timedelta:
    """The pause in `error`: full jitter below a minute that doubles up to an hour, never under 5 s."""
    ceiling = min(60 * 2 ** min(max(doublings, 0), 10), 3600)
    return timedelta(seconds=max(5.0, ceiling * jitter))


def throttle_pause(throttles: int, jitter: float) -> timedelta:
    """The pause after a throttling answer that named no time: from 30 s, doubling up to an hour."""
    ceiling = min(30 * 2 ** min(throttles, 10), 3600)
    return timedelta(seconds=ceiling * (0.5 + 0.5 * jitter))


def channel_renewal(opened_at: datetime, expires_at: datetime, jitter: float) -> datetime:
    """When to open a push channel's successor: at 75 to 85 % of its life, while the old one still delivers."""
    return opened_at + (expires_at - opened_at) * (0.75 + 0.1 * jitter)


def due_after_push(
    now: datetime, *, last_attempt_at: datetime | None, recent: int, storm_since: datetime | None
) -> datetime:
    """When a notified calendar is to be read.

    At once, but no sooner than a second after the last read began. In a storm (`recent` notices within ten seconds)
    when it has been quiet for three seconds, at the latest half a minute after `storm_since`: one read then sees all.
    """
    if recent > CALM_PUSHES and storm_since is not None:
        return min(now + STORM_QUIET, storm_since + STORM_LONGEST)
    if last_attempt_at is None:
        return now
    return max(now, last_attempt_at + CALM_SPACING)

"""What is kept of a feed between two rounds, as the round's token: prints and validators, nothing that leads back to it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from service.errors import CursorExpired
from service.providers.ics.fetching import Validators
from service.providers.ics.text import Prints
from service.providers.vevent.series import Identity

VERSION: Final = 1
SHORTEST_REST: Final = timedelta(minutes=5)
LONGEST_REST: Final = timedelta(hours=24)
BELIEVED_FOR: Final = timedelta(hours=24)
"""For so long an unchanged feed is not expanded again; and for an hour when something in it could not be read."""

DOUBTED_FOR: Final = timedelta(hours=1)
MANY: Final = 10
FEW_LEFT: Final = 5
"""A feed of more than MANY events that has kept fewer than one in FEW_LEFT of them is looked at twice."""


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A feed as it was last believed.

    `body` and `prints` are of its text; until `expand_at` (seconds since the epoch) the same text is not expanded
    again. `is_doubted` says that the last answer had lost nearly everything, and was not believed. `rest` is in seconds.
    """

    version: int = VERSION
    validators: Validators
    body: bytes
    prints: Prints
    identity: Identity = "uid"
    is_doubted: bool = False
    expand_at: int
    rest: int


def read_state(token: str) -> State:
    """Raises CursorExpired for what is no token of ours."""
    try:
        state = msgspec.json.decode(token, type=State)
    except msgspec.DecodeError:
        raise CursorExpired("no state of a feed") from None
    if state.version != VERSION:
        raise CursorExpired("a state of another version")
    return state


def write_state(state: State) -> str:
    """The state as a token: about a kilobyte."""
    return msgspec.json.encode(state).decode()


def is_doubtful(before: int, now: int) -> bool:
    """Whether a feed has lost so many events at once that a bad moment of its publisher is likelier than a change.

    Of ten events one deleted by one looks the same for a moment; so all of few are doubted too, which costs an honest
    change one more look, five minutes later.
    """
    if now == 0:
        return before > 0
    return before > MANY and now * FEW_LEFT < before


def rest_of(interval: timedelta | None, headers: Mapping[str, str]) -> timedelta:
    """For how long the publisher wants no question: what the feed says, else what its server does (RFC 9111, max-age)."""
    asked = interval or _max_age(headers) or timedelta(0)
    return min(max(asked, SHORTEST_REST), LONGEST_REST)


def expand_at(now: datetime, *, is_clean: bool) -> int:
    """When to expand even an unchanged text again, which heals whatever went wrong with it."""
    return int((now + (BELIEVED_FOR if is_clean else DOUBTED_FOR)).timestamp())


def _max_age(headers: Mapping[str, str]) -> timedelta | None:
    for directive in headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "max-age" and value.strip('"').isdecimal() and len(value) < 12:
            return timedelta(seconds=int(value.strip('"')))
    return None

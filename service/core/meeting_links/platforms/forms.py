"""What a row of the platforms' table is made of."""

import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from service.core.meeting_links.addresses import Address

Outcome = Literal["meeting", "registration"]
Sameness = Literal["place", "host", "platform"]

RETIRED: Final = "retired"
SIGN_IN: Final = "sign_in_required"
VIEW_ONLY: Final = "view_only"


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One form that a platform's links have.

    `hosts`: a name stands for itself and all below it, `=name` for itself alone, `*.name` for what is below it.
    `path` is matched from end to end, a slash at its end apart; of its groups `id` is the meeting's and `code` a
    passcode. With `glued` the path may go on after the match with what a lost line break left there, which is cut off.
    `needs` is a parameter without which there is no meeting; `id_in`, `code_in` and `token_in` name parameters with the
    id, with a passcode as people type it, and with an opaque key. `typed`: invitations have the passcode in their text.
    `inner` finds the path and query that are meant inside an address that leads there in a roundabout way.
    """

    hosts: tuple[str, ...]
    path: re.Pattern[str]
    fragment: re.Pattern[str] | None = None
    glued: bool = False
    needs: str | None = None
    id_in: tuple[str, ...] = ()
    code_in: tuple[str, ...] = ()
    token_in: tuple[str, ...] = ()
    typed: bool = False
    inner: Callable[[Address], tuple[str, str] | None] | None = None
    outcome: Outcome = "meeting"
    hint: str | None = None


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """A service with rooms. `tier` 1 is what nearly every bot can join, 3 what none does.

    `same`: when two links are one meeting: by `place` (host, path and what else matters), by id on one `host`, or by
    id on the whole `platform`. `strangers` are hosts of the same firm that have no rooms.
    """

    name: str
    tier: Literal[1, 2, 3]
    forms: tuple[Form, ...]
    same: Sameness = "place"
    strangers: frozenset[str] = frozenset()


def words(text: str) -> tuple[str, ...]:
    """A long list, written as words with blanks between them."""
    return tuple(text.split())


def form(
    hosts: str,
    path: str,
    *,
    fragment: str | None = None,
    needs: str | None = None,
    id_in: str = "",
    code_in: str = "",
    token_in: str = "",
    glued: bool = False,
    typed: bool = False,
    inner: Callable[[Address], tuple[str, str] | None] | None = None,
    outcome: Outcome = "meeting",
    hint: str | None = None,
) -> Form:
    """A form, its lists written as words with blanks between them."""
    return Form(
        hosts=words(hosts),
        path=re.compile(path, re.IGNORECASE | re.ASCII),
        fragment=re.compile(fragment, re.IGNORECASE | re.ASCII) if fragment is not None else None,
        glued=glued,
        needs=needs,
        id_in=words(id_in),
        code_in=words(code_in),
        token_in=words(token_in),
        typed=typed,
        inner=inner,
        outcome=outcome,
        hint=hint,
    )


def room(but: str = "") -> str:
    """The pattern of a room's name right below a host that has pages of its own there."""
    words = "|".join((*_PAGES, *but.split()))
    return rf"(?!(?:{words})(?:/|$))(?P<id>[^/.][^/]*)"


_PAGES: Final = words(
    "about account api apps? assets auth billing blogs? business careers compare company contact contact-us "
    "cookies customers dashboard developers? docs downloads? en enterprise error events explore faq features "
    "help home index\\.html information integrations invite jobs join legal log-?in log-?out org "
    "partners press pricing privacy products? profile recordings? register resources search security "
    "settings sign-?in sign-?out sign-?up solutions static status subscribe support templates terms tos user "
    "users webinars? robots\\.txt favicon\\.ico sitemap\\.xml"
)

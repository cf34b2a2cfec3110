"""Whether an event's text at the provider is the one that was written, in whatever way it is wrapped and whatever call follows it."""

import re
from typing import Final

from service.core.meeting_links.markup import is_markup, read_markup

_MARK: Final = re.compile("\x02\\d+\x03|[\x04-\x06]")
_CALL: Final = re.compile("[-_=~*─━—]{4,}|-::~|--donotdelete|joinzoommeeting")
"""How the way into a call begins, without white space: Teams, Zoom, FaceTime and Meet rule a line, Webex warns."""


def is_same_text(ours: str | None, theirs: str | None) -> bool:
    """Whether `theirs` says what was written (`ours`), but for white space, HTML, and a provider's way into a call behind it.

    Whatever else somebody has put before, behind or into it makes it another text, a bare link too.
    """
    mine, _ = _read(ours)
    shown, has_link = _read(theirs)
    if not shown.startswith(mine):
        return False
    rest = shown[len(mine) :]
    return not rest or (has_link and _CALL.match(rest.casefold()) is not None)


def _read(text: str | None) -> tuple[str, bool]:
    """What a reader sees, without white space, and whether a link is in it."""
    shown, has_link = text or "", "://" in (text or "")
    if is_markup(shown):
        markup = read_markup(shown)
        shown = _MARK.sub("", markup.text)
        has_link = bool(markup.targets) or "://" in shown
    return "".join(shown.split()), has_link

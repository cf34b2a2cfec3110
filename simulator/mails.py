"""The mail that providers send about meetings: who was told what, so that a test can see it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

MAILS_KEPT = 20_000
INVITATION, UPDATE, CANCELLATION, ANSWER = "invitation", "update", "cancellation", "answer"


@dataclass(slots=True)
class Mail:
    """One mail: an `invitation`, an `update`, a `cancellation`, or a guest's `answer`."""

    at: datetime
    kind: str
    sender: str
    to: str
    event: str
    subject: str


def kinds_for(before: Iterable[str], after: Iterable[str], organizer: str) -> dict[str, str]:
    """Which mail each guest gets of a change of the list of guests; the organizer gets none."""
    was, is_now = {each.lower() for each in before}, {each.lower() for each in after}
    told = {each: INVITATION if each not in was else UPDATE for each in is_now}
    told |= dict.fromkeys(was - is_now, CANCELLATION)
    told.pop(organizer.lower(), None)
    return dict(sorted(told.items()))

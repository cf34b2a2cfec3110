"""Answers that need more than a body: a request that is still under way, and a subscription whose URLs must prove alive."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

import anyio

from simulator.google.answers import Answer

AskUrl = Callable[[str], Awaitable[tuple[int, str, str]]]
"""Sends an empty POST and gives status, content type and text. Raises OSError or TimeoutError when it cannot."""


@dataclass(slots=True)
class Check:
    """A URL that must answer with the token that it is sent."""

    url: str
    token: str

    @property
    def address(self) -> str:
        return f"{self.url}{'&' if '?' in self.url else '?'}validationToken={quote(self.token)}"


@dataclass(slots=True)
class Pending:
    """What is to be asked before a subscription exists, and what then becomes of the request."""

    checks: list[Check]
    seconds: float
    settle: Callable[[str | None], Answer]


@dataclass(slots=True)
class GraphAnswer(Answer):
    """`mailbox` is busy until the answer has left, when it takes time; `pending` is set while URLs are to be asked."""

    mailbox: str | None = None
    pending: Pending | None = None


async def resolve(answer: Answer, post: AskUrl) -> Answer:
    """Ask the URLs of a pending answer, all at once, and give the final one. No other request waits for it."""
    if not isinstance(answer, GraphAnswer) or answer.pending is None:
        return answer
    pending = answer.pending
    failures: list[str] = []

    async def ask(check: Check) -> None:
        try:
            with anyio.fail_after(pending.seconds):
                status, content_type, text = await post(check.address)
        except TimeoutError:
            failures.append("Subscription validation request timed out.")
            return
        except OSError:
            failures.append("Subscription validation request failed. The notification endpoint cannot be reached.")
            return
        if status != 200:
            failures.append(
                "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request."
            )
        elif not content_type.lower().startswith("text/plain") or text != check.token:
            failures.append("Subscription validation request failed. Validation token must be echoed as plain text.")

    async with anyio.create_task_group() as tasks:
        for check in pending.checks:
            tasks.start_soon(ask, check)
    return pending.settle(failures[0] if failures else None)

"""What an HTTP API of bots is asked, and what its answers mean. All of it pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from service.core.bots import BotStatus

MEETING_BAAS_URL: Final = "https://api.meetingbaas.com"
LONGEST_PAUSE: Final = 30.0
MOST_WITHDRAWALS: Final = 5
"""A bot that cannot be told to leave leaves by itself when it is alone; more tries would not make it sooner."""

_ACCEPTED_BEFORE: Final = 409
_AGAIN: Final = frozenset({408, 425, 429})
_GONE: Final = frozenset({404, 410})
_ID_NAMES: Final = ("id", "bot_id", "uuid")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a runner; `body` is JSON to be."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner's answer means: the bot's status, or that it is to be asked again at `retry_at`."""

    status: BotStatus
    reason: str | None = None
    retry_at: datetime | None = None


def launch(kind: str, url: str | None, headers: Mapping[str, str], data: Mapping[str, Any]) -> Question:
    """The request that has a bot sent; `data` is that of `bot.launch`. Whoever gets it twice sees the same key."""
    key = str(data["bot_id"])
    sent = {**headers, "idempotency-key": key}
    if kind != "meeting_baas":
        return Question(method="POST", url=url or "", headers=sent, body=dict(data))
    base = (url or MEETING_BAAS_URL).rstrip("/")
    address = base if urlsplit(base).path.endswith("/bots") else f"{base}/v2/bots"
    config = dict(data["config"])
    extra = config.get("extra")
    known = {"calgate_bot_id": key, "meeting_key": data["meeting_key"]}
    body = {**config, "meeting_url": data["meeting_url"], "extra": known | extra if isinstance(extra, dict) else known}
    return Question(method="POST", url=address, headers=sent, body=body)


def withdrawal(kind: str, url: str | None, headers: Mapping[str, str], external_id: str) -> Question | None:
    """The request that tells a launched bot to leave; None for an API that we know of no such request."""
    if kind != "http" or not url:
        return None
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{quote(external_id, safe='')}"
    return Question(method="DELETE", url=parts._replace(path=path).geturl(), headers=dict(headers))


def judge_launch(
    status: int | None,
    *,
    attempt: int,
    retry_after: timedelta | None,
    fault: str | None,
    ends_at: datetime,
    now: datetime,
    jitter: float,
) -> Outcome:
    """What the answer to the launching attempt number `attempt` (from 1) means; no `status` when there was no answer.

    `jitter` is a number in [0, 1). A bot is asked for until its meeting is over.
    """
    if status is not None and (200 <= status < 300 or status == _ACCEPTED_BEFORE):
        return Outcome(status=BotStatus.LAUNCHED)
    if status is not None and status < 500 and status not in _AGAIN:
        return Outcome(status=BotStatus.FAILED, reason=f"runner_refused: status {status}")
    said = f"status {status}" if status is not None else fault or "no answer"
    retry_at = now + _pause(attempt, retry_after, jitter)
    if retry_at >= ends_at:
        return Outcome(status=BotStatus.FAILED, reason=f"runner_unavailable: {said}")
    return Outcome(status=BotStatus.LAUNCHING, reason=f"runner_unavailable: {said}", retry_at=retry_at)


def judge_withdrawal(status: int | None, *, attempt: int, now: datetime, jitter: float) -> datetime | None:
    """When to tell the runner again that a bot is to leave; None when it knows, or never will."""
    is_done = status is not None and (200 <= status < 300 or status in _GONE)
    refuses = status is not None and status < 500 and status not in _AGAIN
    if is_done or refuses or attempt >= MOST_WITHDRAWALS:
        return None
    return now + _pause(attempt, None, jitter)


def external_id(body: bytes) -> str | None:
    """What the runner calls the bot, if its JSON says so at the top or under `data`."""
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    places = [tree, tree.get("data")] if isinstance(tree, dict) else []
    for place in places:
        for name in _ID_NAMES:
            found = place.get(name) if isinstance(place, dict) else None
            if isinstance(found, str | int) and not isinstance(found, bool) and 0 < len(str(found)) <= 200:
                return str(found).replace("\0", "")
    return None


def _pause(attempt: int, retry_after: timedelta | None, jitter: float) -> timedelta:
    pause = min(2.0 ** min(attempt - 1, 10), LONGEST_PAUSE) * (1 + 0.1 * jitter)
    asked = retry_after.total_seconds() if retry_after is not None else 0.0
    return timedelta(seconds=max(pause, min(asked, LONGEST_PAUSE * 2)))

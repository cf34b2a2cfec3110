"""What the Svix client sends through: one call at a time, under bounds of ours, whatever the server does."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, cast

import httpx
import msgspec

from webhooks.attempt import DROPPED, fit, kind_of
from webhooks.ports import Clients

READ_AT_MOST = 4 * 1024 * 1024
"""A page of 250 messages with their content is the largest answer that is asked for."""

REPEATABLE = frozenset({"GET", "POST", "PUT", "PATCH"})
"""Sent again at once when a connection dropped: the client gives every POST an idempotency key."""

answered: ContextVar[int] = ContextVar("answered", default=0)
"""The status of the answer that came last in this task."""


class SvixFailed(Exception):
    """A call that came to nothing; the message is for people, and holds no secret of ours."""


class SvixAway(SvixFailed):
    """No answer, or none that can be read; `kind` is one of those of `webhooks.message.Outcome`."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class SvixUnreadable(SvixAway):
    """An answer of success without what should be in it; `status` is the answer's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__("protocol", detail)
        self.status = status


class SvixRefused(SvixFailed):
    """An answer that is no success. `is_svix` says whether it reads like one of Svix's own, not of something before it."""

    def __init__(self, status: int, text: str, *, retry_after: str | None = None, is_svix: bool = False) -> None:
        super().__init__(f"Svix answered {status}{': ' + text if text else ''}")
        self.status = status
        self.text = text
        self.retry_after = retry_after
        self.is_svix = is_svix


class Channel:
    """Satisfies what the Svix client asks of `httpx.AsyncClient`: `request`, and nothing else.

    Raises SvixAway and SvixRefused instead of letting the client read answers that are no success: it would lose
    their headers, and break on those that are not Svix's.
    """

    def __init__(self, clients: Clients, token: str) -> None:
        self._clients = clients
        self._token = token

    async def request(self, *, method: str, url: str, headers: dict[str, str], **rest: Any) -> httpx.Response:
        """One call; the deadline over it is the caller's."""
        answered.set(0)
        request = httpx.Request(
            method,
            url,
            params=rest.get("params"),
            content=rest.get("content"),
            headers={**headers, "accept": "application/json", "accept-encoding": "identity"},
            extensions={"timeout": httpx.Timeout(rest.get("timeout")).as_dict()},
        )
        try:
            response = await self._sent(request)
        except httpx.TimeoutException:
            raise SvixAway("timeout", "Svix did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise SvixAway(kind_of(error), f"Svix cannot be reached ({type(error).__name__})") from None
        answered.set(response.status_code)
        if not response.is_success:
            raise self._refusal(response)
        return response

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._exchange(request)
        except DROPPED:
            if request.method not in REPEATABLE:
                raise
            return await self._exchange(request)

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        async with self._clients.borrow() as client:
            answer = await client.send(request, stream=True, follow_redirects=False)
            content = bytearray()
            try:
                raw = cast("AsyncGenerator[bytes, None]", answer.aiter_raw())
                async with aclosing(raw) as chunks:
                    async for chunk in chunks:
                        content += chunk
                        if len(content) > READ_AT_MOST:
                            raise SvixAway("protocol", f"Svix answered with more than {READ_AT_MOST} bytes")
            finally:
                await answer.aclose()
        kept = {name: answer.headers[name] for name in ("content-type", "retry-after") if name in answer.headers}
        return httpx.Response(answer.status_code, headers=kept, content=bytes(content), request=request)

    def _refusal(self, response: httpx.Response) -> SvixRefused:
        """What an answer says; Svix says `{"code", "detail"}`, for 422 with a list of what is wrong as the detail."""
        text, is_svix = "", False
        try:
            said = msgspec.json.decode(response.content)
        except (msgspec.DecodeError, ValueError, RecursionError):
            said = None
        if isinstance(said, dict) and isinstance(detail := said.get("detail"), str | list):
            is_svix = True
            text = detail if isinstance(detail, str) else "; ".join(map(_wrong, detail))
        return SvixRefused(
            response.status_code,
            self.redact(fit(text))[:500],
            retry_after=response.headers.get("retry-after"),
            is_svix=is_svix,
        )

    def redact(self, text: str) -> str:
        """A text that a server has sent, without the token that it was sent, and on one line."""
        return re.sub(r"[\x00-\x1f\x7f]+", " ", text.replace(self._token, "[redacted]"))


def _wrong(item: Any) -> str:
    """One entry of a 422: where, and what."""
    if not isinstance(item, dict):
        return ""
    where = item.get("loc")
    place = ".".join(map(str, where)) if isinstance(where, list) else ""
    return f"{place} {item.get('msg', '')}".strip()

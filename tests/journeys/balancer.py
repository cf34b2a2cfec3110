"""A balancer in front of replicas, as small as it can be: each request to the next of them, or to another if that is away."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import httpx

HOP = {b"host", b"content-length", b"connection", b"transfer-encoding"}


class Balancer:
    """An ASGI application. What a replica did not answer goes to the next: everything that is sent through it here may
    come twice. 503 when nobody answers, as a provider would see it."""

    def __init__(self) -> None:
        self.replicas: Sequence[str] = ()
        self._turn = count()
        self._client = httpx.AsyncClient(timeout=20, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        answer = await self._ask(scope, body)
        status, headers, content = (
            (503, [], b"") if answer is None else (answer.status_code, answer.headers.raw, answer.content)
        )
        kept = [(name, value) for name, value in headers if name.lower() not in HOP]
        await send({"type": "http.response.start", "status": status, "headers": kept})
        await send({"type": "http.response.body", "body": content})

    async def _ask(self, scope: Any, body: bytes) -> httpx.Response | None:
        path = scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        headers = [(name, value) for name, value in scope["headers"] if name not in HOP]
        for _ in self.replicas:
            replica = self.replicas[next(self._turn) % len(self.replicas)]
            try:
                return await self._client.request(scope["method"], replica + path, headers=headers, content=body)
            except httpx.TransportError:
                continue
        return None

    async def aclose(self) -> None:
        await self._client.aclose()

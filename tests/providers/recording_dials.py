"""A connect layer that dials nothing and writes down what it was asked to dial, under the real guarded transport."""

import ipaddress
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from service.providers.addresses import Address, Policy
from service.providers.guarded_http import Guard, Slots, Transport


class Names:
    """A resolver with a script: each look-up takes the next answer, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ipaddress.ip_address(text) for text in answer]


class Dials(httpcore.AsyncNetworkBackend):
    """Refuses each connection after having noted its (address, port)."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.made.append((host, port))
        raise httpcore.ConnectError("nothing is dialled in a test")


def slots_over(
    resolve: Any,
    policy: Policy,
    size: int = 1,
    tls: ssl.SSLContext | None = None,
    network: httpcore.AsyncNetworkBackend | None = None,
) -> Slots:
    return Slots(size, policy, lambda context, guard: Transport(context, Guard(guard, resolve, network)), tls=tls)

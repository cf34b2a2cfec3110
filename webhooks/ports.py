"""What this package asks of the program around it: a database, HTTP clients, a cipher and a clock."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import httpx
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.message import Dispatch, Outcome

Clock = Callable[[], datetime]
"""Answers the present moment as an aware datetime."""

Observe = Callable[[str, float], None]
"""Told about each finished attempt: `delivered` or the kind of failure, and how long it took in seconds."""

Vouch = Callable[[Mapping[str, str]], Awaitable[Mapping[str, str]]]
"""Asked before each attempt that has headers of its endpoint's to send along: those of them that may still be sent."""


class Sessions(Protocol):
    """Hands out database connections, SQLite or PostgreSQL."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection to read from; it must not hold a lock that a writer waits for."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One transaction (BEGIN IMMEDIATE on SQLite), committed on exit and rolled back by an exception."""


class Clients(Protocol):
    """Slots of HTTP clients that judge an address before they dial it."""

    def borrow(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """A client with one connection, the borrower's alone until the exit.

        A refused address is a subclass of `httpx.ConnectError` whose `kind` says why (`blocked_address`, `dns`).
        """


class Sends(Protocol):
    """Makes attempts its own way; `client` is a slot that it may use or not."""

    async def send(self, client: httpx.AsyncClient, dispatch: Dispatch) -> Outcome:
        """Attempt a dispatch within the deadline. Nothing comes out as an exception."""


class Cipher(Protocol):
    """Authenticated encryption bound to a place, so that a sealed value cannot be moved to another row."""

    def seal(self, plaintext: bytes, place: str) -> bytes: ...

    def open(self, sealed: bytes, place: str) -> bytes: ...

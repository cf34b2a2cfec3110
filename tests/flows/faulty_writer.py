"""A writer between the gateway and a provider's: by the dice it fails before the deed, after it, or dies with its process."""

import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from service.core.drafts import Draft, Patch
from service.errors import TransientFault
from service.providers.protocol import Access
from service.providers.writing import Place, Target, Writer, Written

T = TypeVar("T")


class Killed(BaseException):
    """The process is gone: nobody catches this, and nothing is cleaned up."""


class FaultyWriter:
    """`before`, `after` and `killed` are the chances of each fault of a call."""

    def __init__(self, inner: Writer, dice: random.Random, *, before: float, after: float, killed: float = 0.0) -> None:
        self._inner = inner
        self._dice = dice
        self.before, self.after, self.killed = before, after, killed
        self.struck = 0

    def roll(self, seed: int) -> None:
        """Other dice."""
        self._dice = random.Random(seed)

    def heal(self) -> None:
        """No faults from here on."""
        self.before = self.after = self.killed = 0.0

    async def create(self, access: Access, place: Place, draft: Draft, *, key: str) -> Written:
        return await self._risk(lambda: self._inner.create(access, place, draft, key=key))

    async def withdraw(self, access: Access, place: Place, draft: Draft, *, key: str) -> None:
        await self._risk(lambda: self._inner.withdraw(access, place, draft, key=key))

    async def change(self, access: Access, place: Place, target: Target, patch: Patch, *, strict: bool) -> Written:
        return await self._risk(lambda: self._inner.change(access, place, target, patch, strict=strict))

    async def remove(self, access: Access, place: Place, target: Target, *, notify: bool, strict: bool) -> None:
        await self._risk(lambda: self._inner.remove(access, place, target, notify=notify, strict=strict))

    async def read(self, access: Access, place: Place, target: Target) -> Written:
        return await self._risk(lambda: self._inner.read(access, place, target))

    async def _risk(self, deed: Callable[[], Awaitable[T]]) -> T:
        self._strike(self.before, "no connection")
        done: Any = await deed()
        self._strike(self.after, "timeout")
        return done

    def _strike(self, chance: float, reason: str) -> None:
        if self._dice.random() < self.killed / 2:
            self.struck += 1
            raise Killed
        if self._dice.random() < chance:
            self.struck += 1
            raise TransientFault(reason)

"""The provider is asked as long as the wish that it is asked for is ours."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.flows.writing.reaching import Account, reach
from service.flows.writing.scene import Scene
from service.providers.protocol import Access
from service.store.tables import Found

T = TypeVar("T")


async def ask(scene: Scene, call: Callable[[Access], Awaitable[T]], account: Account | Found | None = None) -> T:
    """`reach` in the name of the calendar's account, or of another, with the wish held for long enough at each try.

    Raises service.errors.ProviderError, and Overtaken when the wish has passed to somebody else.
    """

    async def held(access: Access) -> T:
        if scene.hold is not None:
            await scene.hold()
        return await call(access)

    return await reach(scene.gateway, account if account is not None else scene.calendar, held)

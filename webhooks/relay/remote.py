"""The Svix server: its client, one application for each project, and the catalogue of types that it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

import httpx
from svix.api.client import AuthenticatedClient
from svix.api.event_type import EventTypeAsync
from svix.api.svix import ClientBase, SvixAsync, SvixOptions
from svix.models import ApplicationIn, EventTypeUpsertIn

from webhooks.ports import Clients
from webhooks.relay.channel import Channel, SvixAway, SvixFailed, SvixRefused, SvixUnreadable, answered

DEADLINE = 15.0
"""Seconds for one call, waiting for a slot included."""

AT_ONCE = 8
"""How many calls are made together where one wish needs many."""

T = TypeVar("T")
Item = TypeVar("Item")


class KnownType(NamedTuple):
    """A type of webhook, as Svix's catalogue has it; without `on_request` endpoints get it that name no types."""

    name: str
    description: str
    schema: dict[str, Any]
    example: dict[str, Any]
    on_request: bool


class _Client(SvixAsync):
    """The client of the package, with connections of ours in place of its own."""

    def __init__(self, client: AuthenticatedClient, channel: Channel) -> None:
        # Not the parent's, which opens a pool of its own: it has no bound on what it reads.
        self._client = client
        self._httpx_client = cast("httpx.AsyncClient", channel)


class _Options(ClientBase):
    """What the package makes of a token and an address: the region's server, headers, bounds."""

    @property
    def client(self) -> AuthenticatedClient:
        return self._client


class Remote:
    """One Svix environment. Without `server_url` it is the one of the token's region at svix.com."""

    def __init__(
        self,
        clients: Clients,
        token: str,
        server_url: str | None,
        catalogue: Sequence[KnownType],
        *,
        deadline: float = DEADLINE,
    ) -> None:
        # No retries here: the outbox has its schedule, and who waits for an answer is told to come again.
        options = SvixOptions(server_url=server_url, retry_schedule=[], timeout=deadline)
        self._channel = Channel(clients, token)
        self._svix = _Client(_Options(token, options).client, self._channel)
        self._deadline = deadline
        self.catalogue = tuple(catalogue)
        self._is_told = False
        self._telling = asyncio.Lock()

    async def call(self, work: Callable[[SvixAsync], Awaitable[T]]) -> T:
        """What some calls of the client answer, all within one deadline. Raises SvixFailed and nothing else."""
        try:
            async with asyncio.timeout(self._deadline):
                return await work(self._svix)
        except TimeoutError:
            raise SvixAway("timeout", f"Svix did not answer within {self._deadline:g} s") from None
        except SvixFailed:
            raise
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            # The client reads answers without looking: what is no JSON, or not what it expects, comes out as any of these.
            raise SvixUnreadable(
                answered.get(), f"Svix answered what cannot be read ({type(error).__name__})"
            ) from None

    async def each(self, items: Sequence[Item], work: Callable[[Item], Awaitable[T]]) -> list[T]:
        """The same work for many, some at once, in their order. Raises what the first that fails raises."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(item: Item) -> T:
            async with slots:
                return await work(item)

        tasks = [asyncio.create_task(one(item)) for item in items]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def open_application(self, project_id: UUID) -> None:
        """See that the project has an application there. Raises SvixFailed."""
        await self.call(lambda svix: svix.application.get_or_create(application(project_id)))

    async def tell_catalogue(self, *, again: bool = False) -> None:
        """See that the server knows every type: endpoints may name only those. Once in a process. Raises SvixFailed."""
        async with self._telling:
            if self._is_told and not again:
                return
            await self.each(self.catalogue, self._tell)
            self._is_told = True

    async def _tell(self, known: KnownType) -> None:
        schema = {**known.schema, "examples": [known.example]}
        wish = EventTypeUpsertIn(description=known.description, schemas={"1": schema})

        async def work(svix: SvixAsync) -> None:
            types: EventTypeAsync = svix.event_type
            await types.upsert(known.name, wish)

        await self.call(work)

    async def check(self) -> None:
        """Make one call that needs the token. Raises SvixFailed: SvixRefused with 401 when the token is not taken."""
        await self.call(lambda svix: svix.event_type.list())

    def redact(self, text: str) -> str:
        """A text of the server's, without the token."""
        return self._channel.redact(text)


def application(project_id: UUID) -> ApplicationIn:
    """A project's application: its uid is the project's id."""
    return ApplicationIn(name=f"calgate {project_id}", uid=str(project_id))


def misses_a_type(error: SvixRefused) -> bool:
    """Whether the server refuses because of a type of webhook that it does not know."""
    return "eventtype" in error.text.lower().replace(" ", "").replace("_", "")


def is_unknown(error: SvixFailed) -> bool:
    """Whether Svix itself says that there is no such thing."""
    return isinstance(error, SvixRefused) and error.status == httpx.codes.NOT_FOUND and error.is_svix

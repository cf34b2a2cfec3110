"""Which endpoints a project has at Svix, and which of them is meant by an id of ours."""

from typing import Any
from uuid import UUID

from svix.api.endpoint import EndpointListOptions
from svix.api.svix import SvixAsync
from svix.models import EndpointOut, ListResponseEndpointOut, Ordering

from webhooks.desk import MOST_ENDPOINTS, UnknownObject
from webhooks.relay.channel import SvixRefused
from webhooks.relay.remote import Remote, is_unknown
from webhooks.relay.shapes import endpoint_id_of

PAGE = 250
"""As many as Svix gives at once."""

MOST_PAGES = MOST_ENDPOINTS // PAGE + 2


class Directory:
    """The endpoints of projects, read anew at each question: others change them too. All raise SvixFailed."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def all(self, project_id: UUID) -> list[EndpointOut]:
        """Every endpoint of a project, in the order of our ids; none where it has no application yet."""
        found: list[EndpointOut] = []
        iterator: str | None = None
        for _ in range(MOST_PAGES):
            options = EndpointListOptions(limit=PAGE, iterator=iterator, order=Ordering.ASCENDING)

            async def work(svix: SvixAsync, options: EndpointListOptions = options) -> ListResponseEndpointOut:
                return await svix.endpoint.list(str(project_id), options)

            try:
                page: Any = await self._remote.call(work)
            except SvixRefused as error:
                if is_unknown(error):
                    return []
                raise
            found += page.data
            iterator = page.iterator
            if page.done or not iterator:
                break
        return sorted(found, key=endpoint_id_of)

    async def one(self, project_id: UUID, endpoint_id: UUID) -> EndpointOut:
        """The endpoint of this id. Raises UnknownObject."""

        async def work(svix: SvixAsync) -> EndpointOut:
            return await svix.endpoint.get(str(project_id), str(endpoint_id))

        try:
            return await self._remote.call(work)
        except SvixRefused as error:
            if not is_unknown(error):
                raise
        # Somebody may have made it in the portal, where it got no uid.
        for out in await self.all(project_id):
            if endpoint_id_of(out) == endpoint_id:
                return out
        raise UnknownObject

"""Which API keys still go along with webhooks: receivers of Meeting BaaS's v1 know their sender by one."""

from collections.abc import Mapping

from service.core.meeting_baas.notices import KEY_HEADER
from service.store import api_keys
from service.store.database import Database
from webhooks.ports import Vouch


def vouch_by(database: Database) -> Vouch:
    """Lets an endpoint's headers pass, but for an API key that is refused by now: that one is left out.

    Asked anew for each webhook that has a key, so that a key which was revoked by whatever process is sent no more. What
    it answers raises DatabaseUnavailable.
    """

    async def vouch(headers: Mapping[str, str]) -> Mapping[str, str]:
        key = headers.get(KEY_HEADER)
        if key is None:
            return headers
        async with database.look() as conn:
            is_valid = await api_keys.find(conn, key) is not None
        return headers if is_valid else {name: value for name, value in headers.items() if name != KEY_HEADER}

    return vouch

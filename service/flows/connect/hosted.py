"""A user's walk through a provider's consent page: begun for an integrator, finished when the browser comes back.

`begin` ──► auth_url ──► the provider ──► GET /connect/{provider}/callback ──► `finish` ──► Outcome

    begun = await begin(gateway, project_id, "google", wish, own_url="https://calgate.example.com", browser=cookie)
    outcome = await finish(gateway, "google", query, browser=cookie, by=visitor(request))
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

LIFETIME: Final = timedelta(minutes=10)
"""For so long a user may look at a consent page."""


class Begun(msgspec.Struct, frozen=True):
    """Where to send the user, and until when it is good."""

    auth_url: str
    provider: str
    expires_at: datetime

"""The providers by name, as `credentials` and the store spell them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from service.providers.addresses import Policy
from service.providers.caldav.client import CaldavCalendar
from service.providers.google.client import GoogleCalendar
from service.providers.google.push import GooglePush
from service.providers.ics.client import IcsFeed
from service.providers.microsoft.client import GRAPH_URL, LOGIN_URL, MicrosoftCalendar
from service.providers.microsoft.push import MicrosoftPush
from service.providers.protocol import Provider, PushReader
from service.providers.vevent.expansion import Expander

CALDAV: Final = "caldav"
GOOGLE: Final = "google"
ICS: Final = "ics"
MICROSOFT: Final = "microsoft"

CLOSED: Final = Policy()
"""The public internet alone."""


def make_providers(
    *,
    google_api_url: str,
    google_token_url: str,
    microsoft_graph_url: str = GRAPH_URL,
    microsoft_login_url: str = LOGIN_URL,
    clock: Callable[[], datetime],
    policy: Policy = CLOSED,
    expander: Expander | None = None,
) -> Mapping[str, Provider]:
    """One provider of each kind, pointed at the servers of the settings.

    `policy` says where addresses that users give may lead. `expander` reads their calendars, and is the caller's to
    close; without one, processes that are started end with this one.
    """
    expander = expander or Expander()
    return {
        CALDAV: CaldavCalendar(expander, policy, clock=clock),
        GOOGLE: GoogleCalendar(google_api_url, google_token_url, clock=clock),
        ICS: IcsFeed(expander, policy, clock=clock),
        MICROSOFT: MicrosoftCalendar(microsoft_graph_url, microsoft_login_url, clock=clock),
    }


def make_push_readers() -> Mapping[str, PushReader]:
    """The readers of the providers that push over HTTP."""
    return {GOOGLE: GooglePush(), MICROSOFT: MicrosoftPush()}

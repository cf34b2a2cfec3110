"""The providers by name, as `credentials` and the store spell them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from service.providers.addresses import Policy
from service.providers.caldav.client import CaldavCalendar
from service.providers.caldav.writing import CaldavWriter
from service.providers.google.busy import GoogleBusy
from service.providers.google.client import GoogleCalendar
from service.providers.google.login import GoogleLogin
from service.providers.google.push import GooglePush
from service.providers.google.writing import GoogleWriter
from service.providers.ics.client import IcsFeed
from service.providers.login import Login
from service.providers.microsoft.busy import MicrosoftBusy
from service.providers.microsoft.client import GRAPH_URL, LOGIN_URL, MicrosoftCalendar
from service.providers.microsoft.login import MicrosoftLogin
from service.providers.microsoft.push import MicrosoftPush
from service.providers.microsoft.writing import MicrosoftWriter
from service.providers.protocol import Provider, PushReader
from service.providers.vevent.expansion import Expander
from service.providers.writing import BusyReader, QuickAdder, Writer
from service.providers.zoom.login import ZoomLogin
from service.settings import Settings

CALDAV: Final = "caldav"
GOOGLE: Final = "google"
ICS: Final = "ics"
MICROSOFT: Final = "microsoft"
ZOOM: Final = "zoom"

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


class Hands(msgspec.Struct, frozen=True, kw_only=True):
    """What providers do besides reading, by name, each on the connections and quotas of its reading."""

    writers: Mapping[str, Writer]
    quick_adders: Mapping[str, QuickAdder]
    busy_readers: Mapping[str, BusyReader]


def make_hands(providers: Mapping[str, Provider]) -> Hands:
    """The writers, and what goes with them, of those providers of `make_providers` that have any."""
    writers: dict[str, Writer] = {}
    quick_adders: dict[str, QuickAdder] = {}
    busy_readers: dict[str, BusyReader] = {}
    for name, provider in providers.items():
        if isinstance(provider, GoogleCalendar):
            writers[name] = quick_adders[name] = GoogleWriter(provider.api)
            busy_readers[name] = GoogleBusy(provider.api)
        elif isinstance(provider, MicrosoftCalendar):
            writers[name] = MicrosoftWriter(provider.graph)
            busy_readers[name] = MicrosoftBusy(provider.graph)
        elif isinstance(provider, CaldavCalendar):
            writers[name] = CaldavWriter(
                provider.expander, provider.policy, clock=provider.clock, logins=provider.logins
            )
    return Hands(writers=writers, quick_adders=quick_adders, busy_readers=busy_readers)


def make_logins(settings: Settings) -> Mapping[str, Login]:
    """Where users sign in, by provider."""
    return {
        GOOGLE: GoogleLogin(settings.google_auth_url, settings.google_token_url),
        MICROSOFT: MicrosoftLogin(settings.microsoft_login_url),
        ZOOM: ZoomLogin(settings.zoom_auth_url, settings.zoom_token_url, settings.zoom_api_url),
    }

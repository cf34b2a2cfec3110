"""The providers by name, as `credentials` and the store spell them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from service.providers.google.client import GoogleCalendar
from service.providers.google.push import GooglePush
from service.providers.microsoft.client import GRAPH_URL, LOGIN_URL, MicrosoftCalendar
from service.providers.microsoft.push import MicrosoftPush
from service.providers.protocol import Provider, PushReader

GOOGLE: Final = "google"
MICROSOFT: Final = "microsoft"


def make_providers(
    *,
    google_api_url: str,
    google_token_url: str,
    microsoft_graph_url: str = GRAPH_URL,
    microsoft_login_url: str = LOGIN_URL,
    clock: Callable[[], datetime],
) -> Mapping[str, Provider]:
    """One provider of each kind, pointed at the servers of the settings."""
    return {
        GOOGLE: GoogleCalendar(google_api_url, google_token_url, clock=clock),
        MICROSOFT: MicrosoftCalendar(microsoft_graph_url, microsoft_login_url, clock=clock),
    }


def make_push_readers() -> Mapping[str, PushReader]:
    """The readers of the providers that push over HTTP."""
    return {GOOGLE: GooglePush(), MICROSOFT: MicrosoftPush()}

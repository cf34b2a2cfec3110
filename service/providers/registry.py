"""The providers by name, as `credentials` and the store spell them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from service.providers.google.client import GoogleCalendar
from service.providers.google.push import GooglePush
from service.providers.protocol import Provider, PushReader

GOOGLE: Final = "google"


def make_providers(
    *, google_api_url: str, google_token_url: str, clock: Callable[[], datetime]
) -> Mapping[str, Provider]:
    """One provider of each kind, pointed at the servers of the settings."""
    return {GOOGLE: GoogleCalendar(google_api_url, google_token_url, clock=clock)}


def make_push_readers() -> Mapping[str, PushReader]:
    """The readers of the providers that push over HTTP."""
    return {GOOGLE: GooglePush()}

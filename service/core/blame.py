"""Which field a provider's refusal blames, and the remedy, for somebody who is sending credentials at this moment."""

from collections.abc import Mapping
from typing import Final

import msgspec


class Blame(msgspec.Struct, frozen=True):
    """A remedy, and the field that it is about; None where it is about no field in particular."""

    field: str | None
    remedy: str


class Blames(msgspec.Struct, frozen=True, kw_only=True):
    """What each of the contract's codes means for the credentials of one kind.

    `address` is the field that names a host, where users name one; `owner` the one that says whose account it is.
    """

    by_code: Mapping[str, Blame]
    owner: str
    address: str | None = None

    def of(self, code: str) -> Blame:
        """What a code blames; nobody has to know every code."""
        return self.by_code.get(code, _UNEXPLAINED)


_UNEXPLAINED: Final = Blame(None, "The provider refuses these credentials.")
_NO_LIST: Final = Blame(None, "The provider refuses to list the account's calendars.")

BLAMES: Final[Mapping[str, Blames]] = {
    "google": Blames(
        by_code={
            "credentials_rejected": Blame(
                "refresh_token",
                "Google does not accept this refresh_token: let the user sign in again, and send the new one with the "
                "client_id that it was given to.",
            ),
            "client_rejected": Blame(
                "client_secret",
                "Google does not accept this OAuth client: check client_id, client_secret and that the Google Calendar "
                "API is enabled in its project.",
            ),
            "insufficient_scope": Blame(
                "refresh_token",
                "The grant does not cover the account's calendars: let the user sign in again and tick every calendar "
                "permission, or ask the organisation's administrator to allow the app; then send the new refresh_token.",
            ),
            "validation_failed": _NO_LIST,
        },
        owner="refresh_token",
    ),
    "microsoft": Blames(
        by_code={
            "credentials_rejected": Blame(
                "refresh_token",
                "Microsoft does not accept this refresh_token: let the user sign in again, and send the new one with the "
                "client_id and tenant_id that it was given to.",
            ),
            "client_rejected": Blame(
                "client_secret",
                "Microsoft does not accept this app registration: check client_id, client_secret (the secret's Value, not "
                "its Secret ID, and not expired) and tenant_id, which for a single-tenant app is its own directory.",
            ),
            "insufficient_scope": Blame(
                "refresh_token",
                "The grant does not cover the account's calendars: let the user sign in again and consent to "
                "Calendars.Read, User.Read and offline_access, or ask the organisation's administrator to consent; then "
                "send the new refresh_token.",
            ),
            "validation_failed": _NO_LIST,
        },
        owner="refresh_token",
    ),
    "caldav": Blames(
        by_code={
            "credentials_rejected": Blame(
                "password",
                "The server does not accept this username and password: where two-factor sign-in is on (always at Apple "
                "and Fastmail) it wants an app-specific password, made for calgate alone.",
            ),
            "insufficient_scope": Blame(
                "username",
                "The server knows this account and does not let it read its calendars: ask the server's administrator.",
            ),
            "validation_failed": Blame(
                "server_url",
                "No calendars were found from this server_url: give the address that the server's documentation names for "
                "CalDAV, such as https://caldav.icloud.com.",
            ),
        },
        owner="username",
        address="server_url",
    ),
    "ics": Blames(
        by_code={
            "credentials_rejected": Blame(
                "url",
                "The feed's server refuses this address: open it in a private browser window; if that shows no file, "
                "copy the calendar's secret address (iCal format) anew.",
            ),
            "validation_failed": Blame(
                "url",
                "This address does not lead to a calendar in iCal format: a calendar's web page is not its feed, whose "
                "address most often ends in .ics.",
            ),
        },
        owner="url",
        address="url",
    ),
}

CODE_BLAMES: Final = Blames(
    by_code={
        "credentials_rejected": Blame(
            "code",
            "The provider does not accept this code: it is good once, for some minutes, with the client, the redirect_uri "
            "and the code_verifier that it was asked for with; and it has to be asked for with offline access.",
        ),
        "client_rejected": Blame(
            None,
            "The provider does not accept the registered OAuth client: PATCH /oauth_clients/{id} with its client_secret as it "
            "is now, and see that the provider's API is enabled for it.",
        ),
        "insufficient_scope": Blame(
            "code",
            "The user has not given every permission that is needed, or their organisation forbids it: start again, with "
            "every calendar permission ticked.",
        ),
        "validation_failed": Blame("code", "The account behind this code has no calendars that could be listed."),
    },
    owner="code",
)
"""The same for somebody who sends a code from a consent page."""

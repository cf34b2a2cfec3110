"""The address of a provider's consent page, and which permissions are asked for there and have to be given."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from service.core.hosted import Reach

GOOGLE_CALENDAR: Final = "https://www.googleapis.com/auth/calendar"
GRAPH: Final = "https://graph.microsoft.com/"
MOST_SCOPES: Final = 30

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
"""RFC 6749, 3.3."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one provider is asked: `scopes` by access, `always` whatever else is asked, `extra` of its own parameters.

    `covers` says which other scopes a granted one includes; `needed` finds the scopes, among those asked for, without
    which the connection is of no use, `writing` those that let us write.
    """

    scopes: Mapping[Reach, tuple[str, ...]]
    always: tuple[str, ...] = ()
    extra: Mapping[str, str] = {}
    hints: bool = True
    covers: Mapping[str, tuple[str, ...]] = {}
    needed: str = "(?!)"
    writing: str = "(?!)"
    prefix: str = ""


PLANS: Final[Mapping[str, Plan]] = {
    # developers.google.com/identity/protocols/oauth2/web-server: without offline and consent no refresh token comes.
    "google": Plan(
        scopes={"read": (f"{GOOGLE_CALENDAR}.readonly",), "write": (GOOGLE_CALENDAR,)},
        always=("openid", "email"),
        extra={"access_type": "offline", "prompt": "consent"},
        covers={
            GOOGLE_CALENDAR: (
                f"{GOOGLE_CALENDAR}.readonly",
                f"{GOOGLE_CALENDAR}.events",
                f"{GOOGLE_CALENDAR}.events.readonly",
                f"{GOOGLE_CALENDAR}.calendarlist",
                f"{GOOGLE_CALENDAR}.calendarlist.readonly",
                f"{GOOGLE_CALENDAR}.freebusy",
            ),
            f"{GOOGLE_CALENDAR}.readonly": (
                f"{GOOGLE_CALENDAR}.events.readonly",
                f"{GOOGLE_CALENDAR}.calendarlist.readonly",
                f"{GOOGLE_CALENDAR}.freebusy",
            ),
            f"{GOOGLE_CALENDAR}.events": (f"{GOOGLE_CALENDAR}.events.readonly",),
        },
        needed=re.escape(GOOGLE_CALENDAR) + r"(\..+)?",
        # developers.google.com/workspace/calendar/api/auth
        writing=re.escape(GOOGLE_CALENDAR) + r"(\.events(\.owned)?|\.app\.created)?",
    ),
    # learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
    "microsoft": Plan(
        scopes={"read": (f"{GRAPH}Calendars.Read",), "write": (f"{GRAPH}Calendars.ReadWrite",)},
        always=(f"{GRAPH}User.Read", "offline_access"),
        extra={"response_mode": "query", "prompt": "select_account"},
        covers={
            "Calendars.ReadWrite": ("Calendars.Read", "Calendars.ReadBasic"),
            "Calendars.Read": ("Calendars.ReadBasic",),
            "Calendars.ReadWrite.Shared": ("Calendars.Read.Shared",),
        },
        needed=r"Calendars\..+",
        writing=r"Calendars\.ReadWrite(\..+)?",
        prefix=GRAPH,
    ),
    # developers.zoom.us/docs/integrations/oauth: the app's own settings say what is asked for.
    "zoom": Plan(
        scopes={"read": (), "write": ()}, hints=False, needed=r"meeting:.+", writing=r"meeting:(write|update)\b.*"
    ),
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a consent page; `challenge` is of PKCE's method S256 (RFC 7636), `hint` the account's address."""

    client_id: str
    redirect_uri: str
    state: str
    challenge: str
    scopes: list[str]
    hint: str | None = None


def authorization_url(provider: str, page: str, asked: Asked) -> str:
    """The address of the provider's page that asks the user; `page` is the page itself, for Microsoft with its tenant."""
    plan = PLANS[provider]
    parameters = {
        "response_type": "code",
        "client_id": asked.client_id,
        "redirect_uri": asked.redirect_uri,
        "state": asked.state,
        "code_challenge": asked.challenge,
        "code_challenge_method": "S256",
        **plan.extra,
    }
    if asked.scopes:
        parameters["scope"] = " ".join(asked.scopes)
    if asked.hint and plan.hints:
        parameters["login_hint"] = asked.hint
    return f"{page}?{urlencode(parameters, quote_via=quote)}"


def challenge_of(verifier: str) -> str:
    """PKCE's S256 of a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def scopes_for(provider: str, access: Reach, wished: Iterable[str]) -> list[str]:
    """What to ask for: the scopes that `access` stands for, or those wished in their place; and what is always needed."""
    plan = PLANS[provider]
    return list(dict.fromkeys([*(list(wished) or plan.scopes[access]), *plan.always]))


def reach_of(provider: str, granted: Iterable[str], asked: Iterable[str], wished: Reach) -> Reach:
    """What a grant lets us do; of a provider that tells no scopes, and was asked for none, what was `wished`."""
    plan = PLANS[provider]
    held = list(granted) or list(asked)  # RFC 6749, 5.1: what is not told was granted as asked
    if not held:
        return wished
    can_write = any(re.fullmatch(plan.writing, one.removeprefix(plan.prefix)) for one in held)
    return "write" if can_write else "read"


def read_scopes(text: str) -> list[str] | None:
    """Scopes from a query parameter, between spaces or commas; None when one cannot be a scope, or there are too many."""
    found = list(dict.fromkeys(re.split(r"[ ,]+", text.strip(" ,")))) if text.strip(" ,") else []
    return found if len(found) <= MOST_SCOPES and all(_SCOPE.fullmatch(one) for one in found) else None


def lacking(provider: str, asked: Iterable[str], granted: Iterable[str]) -> list[str]:
    """Which scopes, of those that were asked for and are needed, the user has not granted.

    A provider that does not say what was granted (RFC 6749, 5.1) has granted what was asked.
    """
    plan = PLANS[provider]
    held = {one.removeprefix(plan.prefix) for one in granted}
    if not held:
        return []
    for one in sorted(held):
        held.update(plan.covers.get(one, ()))
    short = [one.removeprefix(plan.prefix) for one in asked]
    return [one for one in short if re.fullmatch(plan.needed, one) and one not in held]

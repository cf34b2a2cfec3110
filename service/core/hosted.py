"""The hosted flow without its network: what an integrator wishes, what a consent page answers, and where its user goes then.

begin: Wish ──► state, PKCE ──► the provider's page ──► callback: `read_callback` ──► Granted | Denied | Malformed
                                                             └─► `Outcome` ──► `redirect_back`, or a page of our own
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

import msgspec

Reach = Literal["read", "write"]
FailureCode = Literal[
    "access_denied",
    "no_code",
    "missing_state",
    "invalid_state",
    "invalid_scope",
    "token_failed",
    "insufficient_scope",
    "server_error",
    "unknown",
]

HOSTED: Final = ("google", "microsoft", "zoom")
"""The providers that a user can be sent to."""

MESSAGES: Final[Mapping[FailureCode, str]] = {
    "access_denied": "The permission was not given: nothing was connected.",
    "no_code": "The provider sent no code along: start connecting again.",
    "missing_state": "This address is missing a part: start connecting again from where you came.",
    "invalid_state": "This attempt is over, was used before, or belongs to another browser: start connecting again.",
    "invalid_scope": "The provider does not know a permission that was asked for: tell whoever sent you here.",
    "token_failed": "The provider did not accept the sign-in: start connecting again.",
    "insufficient_scope": "A permission is missing that is needed: start again, and tick every calendar permission.",
    "server_error": "The provider cannot answer at the moment: try again in a few minutes.",
    "unknown": "Something went wrong at the provider: start connecting again.",
}
"""What a user is told; nothing of it is the provider's own text, which anybody can put into an address."""

LONGEST_CODE: Final = 4096
LONGEST_STATE: Final = 256
LONGEST_URL: Final = 2048

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PLAIN: Final = re.compile(r"[!-~]+")
_NEVER_PLAIN: Final = frozenset('\\"<>^`{|}')
_ERRORS: Final[Mapping[str, FailureCode]] = {
    "access_denied": "access_denied",
    "consent_required": "access_denied",
    "interaction_required": "access_denied",
    "login_required": "access_denied",
    "invalid_scope": "invalid_scope",
    "server_error": "server_error",
    "temporarily_unavailable": "server_error",
}


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to come of one walk through a consent page; stored beside the state, and in a connect link.

    `redirect_url` is where the user goes then (None: our own page), `state` what the integrator gets back with it.
    `scopes` replace the calendar scopes that `access` stands for (None: as `resolved` has it). `connection_id` is the
    connection to be signed in to again: another account is refused. `origin` is that of the page which opened ours as a popup, `link_id` the connect link
    that the user came by. `callback` is the redirect_uri that the provider was given; the flow sets it.
    """

    redirect_url: str | None = None
    state: str | None = None
    user_id: str | None = None
    access: Reach | None = None
    scopes: list[str] = []
    connection_id: UUID | None = None
    set_as_primary: bool = False
    popup: bool = False
    origin: str | None = None
    link_id: UUID | None = None
    callback: str = ""

    @property
    def reach(self) -> Reach:
        """What is wanted of the calendars; to read them where nobody has said it."""
        return self.access or "read"

    def resolved(self, own: str | None) -> "Wish":
        """The wish with its access: who signs in again to a connection that has one of its `own` keeps that by default."""
        return msgspec.structs.replace(self, access=self.access or ("write" if own == "write" else "read"))


class Granted(msgspec.Struct, frozen=True):
    """The provider sent a code along."""

    state: str
    code: str

    def __repr__(self) -> str:
        return "Granted(***)"


class Denied(msgspec.Struct, frozen=True):
    """There is a state, and no code that could be used."""

    state: str
    code: FailureCode


class Malformed(msgspec.Struct, frozen=True):
    """There is no state that could be looked up: nobody may be sent anywhere."""

    code: FailureCode


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a walk ended. `code` is None when it succeeded; `wish` None when the state was none of ours (show a page).

    `is_new` says that the account was not connected before; `said` is for a failure that its code does not explain.
    """

    provider: str
    code: FailureCode | None = None
    wish: Wish | None = None
    connection_id: UUID | None = None
    email: str | None = None
    is_new: bool = False
    said: str | None = None

    @property
    def message(self) -> str | None:
        """What the user is told of a failure."""
        return None if self.code is None else self.said or MESSAGES[self.code]


def read_callback(query: Iterable[tuple[str, str]], issuer: str) -> Granted | Denied | Malformed:
    """What a consent page answered (RFC 6749, 4.1.2; RFC 9207 for `iss`): `state` and `code` have to come exactly once.

    `query` are the parameters in order, decoded; `issuer` is the origin of the page that was asked.
    """
    found: dict[str, list[str]] = {}
    for name, value in query:
        found.setdefault(name, []).append(value)
    states = found.get("state", [])
    if not any(states):
        return Malformed("missing_state")
    if len(states) > 1 or len(states[0]) > LONGEST_STATE or not _PLAIN.fullmatch(states[0]):
        return Malformed("invalid_state")
    state, codes = states[0], found.get("code", [])
    if any(not is_issued_by(iss, issuer) for iss in found.get("iss", [])):
        return Denied(state, "unknown")
    if "error" in found:
        return Denied(state, _ERRORS.get(found["error"][0], "unknown"))
    if len(codes) != 1 or len(codes[0]) > LONGEST_CODE or not _PLAIN.fullmatch(codes[0]):
        return Denied(state, "no_code")
    return Granted(state, codes[0])


def is_issued_by(iss: str, issuer: str) -> bool:
    """Whether an answer's `iss` is the origin that was asked, or an issuer on it (Microsoft's name the tenant)."""
    return iss == issuer or iss.startswith(f"{issuer}/")


def origin_of(url: str) -> str:
    """`https://host[:port]` of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_allowed(redirect_url: str, allowed: Sequence[str]) -> bool:
    """Whether users may be sent there: the list has that very text (RFC 9700, 2.1). Nothing is parsed, so nothing is misread."""
    return any(redirect_url == one for one in allowed)


def fault_of_redirect(url: str) -> str | None:
    """Why an address cannot be on the list of redirect addresses; None when it can.

    Absolute https, or http on loopback; no user, no fragment, nothing that a browser reads otherwise than we do.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    is_absolute = url.startswith(("https://", "http://")) and bool(host)
    faults = (
        (len(url) > LONGEST_URL, f"is longer than {LONGEST_URL} characters"),
        (
            not _PLAIN.fullmatch(url) or bool(set(url) & _NEVER_PLAIN),
            "has a character that an address cannot have as it is: encode it",
        ),
        (not is_absolute, "is not an absolute address such as https://app.example.com/connected"),
        (parts.scheme == "http" and host not in LOOPBACK, "has to begin with https:// (http is for loopback alone)"),
        ("@" in parts.netloc, "has a user name in it"),
        ("#" in url, "has a fragment (#...)"),
    )
    return next((why for is_so, why in faults if is_so), None)


def own_address(public_url: str | None, host: str) -> str | None:
    """Where providers send browsers back to: the public URL, or without one the request's own host if that is loopback."""
    if public_url is not None:
        return public_url
    try:
        name = urlsplit(f"http://{host}").hostname
    except ValueError:
        return None
    return f"http://{host}" if name in LOOPBACK and fault_of_redirect(f"http://{host}") is None else None


def callback_address(own_url: str, provider: str) -> str:
    """The `redirect_uri` that is to be registered with the provider."""
    return f"{own_url}/connect/{provider}/callback"


def redirect_back(redirect_url: str, outcome: Outcome) -> str:
    """Where the user's browser goes: the integrator's address with what came of it; a query that it has is kept."""
    wish = outcome.wish
    told: dict[str, str] = {}
    if outcome.code is None:
        told = {"success": "true", "provider": outcome.provider, "connection_id": str(outcome.connection_id)}
    else:
        told = {"error": "true", "provider": outcome.provider, "code": outcome.code, "message": outcome.message or ""}
    if wish is not None and wish.state is not None:
        told["state"] = wish.state
    glue = "?" if "?" not in redirect_url else "" if redirect_url.endswith(("?", "&")) else "&"
    return redirect_url + glue + urlencode(told, quote_via=quote)

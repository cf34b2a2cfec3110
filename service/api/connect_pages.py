"""Pages that users see who connect an account: the choice, the forms, and what came of it; they work without JavaScript."""

import secrets
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response
from markupsafe import Markup

from service.core.hosted import Outcome, redirect_back

if TYPE_CHECKING:
    from jinja2 import Environment

NAMES: Final = {
    "google": "Google",
    "microsoft": "Microsoft",
    "zoom": "Zoom",
    "caldav": "Your calendar",
    "ics": "The calendar",
}


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a form."""

    name: str
    label: str
    type: str = "text"
    value: str = ""
    autocomplete: str = "off"
    focused: bool = False


def page(name: str, *, status: int = 200, **shown: Any) -> Response[str]:
    """A page of `service/api/pages`, under a policy that lets run, load and send nothing but what it needs.

    A browser holds every redirect of a form's answer, to the last, against `form-action`: answer a form with `onward_page`.
    """
    nonce = secrets.token_urlsafe(16)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src 'nonce-{nonce}'",
            f"script-src 'nonce-{nonce}'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )
    text = _pages().get_template(name).render(nonce=nonce, **shown)
    return Response(
        text,
        status_code=status,
        media_type="text/html",
        headers={"content-security-policy": policy},
    )


def onward_page(url: str, place: str) -> Response[str]:
    """A page that goes on by itself, to what the user knows as `place`.

    Not a redirect: nobody knows through which origins a firm's sign-in or an integrator's site leads a browser, and one that
    our policy does not name would be the end of it.
    """
    return page("onward.html", url=url, place=place)


def result_page(outcome: Outcome) -> Response[str]:
    """What the user is told who is not sent anywhere; 400 for a failure.

    In a popup it tells the page that opened it as well, if that is of the very origin that the link was made for.
    """
    name, wish = NAMES.get(outcome.provider, "The account"), outcome.wish
    if outcome.code is None:
        title = "Connected"
        said = f"{name} is connected ({outcome.email})." if outcome.email else f"{name} is connected."
        said += " You can close this window."
    else:
        title, said = "Not connected", outcome.message or ""
    onward = redirect_back(wish.redirect_url, outcome) if wish is not None and wish.redirect_url is not None else None
    is_popup = wish is not None and wish.popup and wish.origin is not None
    return page(
        "result.html",
        status=200 if outcome.code is None else 400,
        title=title,
        said=said,
        success=outcome.code is None,
        onward=onward,
        message=_message(outcome) if is_popup else None,
    )


def gone_page() -> Response[str]:
    """What a user is told whose link is over, or is none of ours."""
    said = "This link is over, or not complete: ask whoever gave it to you for a new one."
    return page(
        "result.html", status=404, title="This link is not good", said=said, success=False, onward=None, message=None
    )


def _message(outcome: Outcome) -> Markup:
    """What is posted to the opener, and to which origin, as JSON that cannot end the element that it stands in."""
    wish = outcome.wish
    data: dict[str, Any] = {"type": "calgate.connect", "success": outcome.code is None, "provider": outcome.provider}
    if outcome.code is None:
        data["connection_id"] = str(outcome.connection_id)
    else:
        data |= {"code": outcome.code, "message": outcome.message}
    if wish is not None and wish.state is not None:
        data["state"] = wish.state
    text = msgspec.json.encode({"origin": wish.origin if wish is not None else None, "data": data}).decode()
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - every character that HTML knows is escaped above


@cache
def _pages() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 (1 MiB that most gateways do without)

    return Environment(
        loader=PackageLoader("service.api", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

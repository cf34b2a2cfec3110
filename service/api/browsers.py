"""The browser behind a request: the cookie that tells it from others, and who it is to the audit log."""

import re
import secrets
from typing import Any, Final

from litestar import Request
from litestar.datastructures import Cookie

from service.api.authorship import address_of
from service.api.problems import request_id
from service.core.audit import Actor, Author
from service.core.hosted import own_address
from service.flows.gateway import Gateway

NAME: Final = "calgate_browser"
LIFETIME: Final = 3600
"""Seconds, after the last consent page that it was sent to."""

_BYTES: Final = 32
_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def own_url(request: Request[Any, Any, Any], gateway: Gateway) -> str | None:
    """Where browsers reach this gateway; None when nobody has said it, and the request did not come by loopback."""
    return own_address(gateway.settings.public_url, request.headers.get("host", ""))


def browser_of(request: Request[Any, Any, Any], gateway: Gateway) -> str | None:
    """The cookie that this browser has from us."""
    found = request.cookies.get(_name(own_url(request, gateway)))
    return found if found is not None and _VALUE.fullmatch(found) else None


def marked_browser(request: Request[Any, Any, Any], gateway: Gateway) -> tuple[str, Cookie]:
    """The browser's mark, its own or a new one, and the cookie to send along.

    A browser keeps its mark, so that a walk in another tab is not lost. With https the name is one that only this very host
    can set (`__Host-`, RFC 6265bis, 4.1.3).
    """
    url = own_url(request, gateway)
    value = browser_of(request, gateway) or secrets.token_urlsafe(_BYTES)
    cookie = Cookie(
        key=_name(url),
        value=value,
        path="/",
        max_age=LIFETIME,
        secure=_is_https(url),
        httponly=True,
        samesite="lax",
    )
    return value, cookie


def visitor(request: Request[Any, Any, Any]) -> Author:
    """Somebody with a browser and no key, as the audit log is told."""
    return Author(actor=Actor("user", "unnamed"), request_id=request_id(request.scope), address=address_of(request))


def _name(url: str | None) -> str:
    return f"__Host-{NAME}" if _is_https(url) else NAME


def _is_https(url: str | None) -> bool:
    return url is not None and url.startswith("https:")

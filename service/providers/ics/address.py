"""The address of a feed, which is its only secret: read from however users write it, and named without being told."""

import hashlib
from typing import Final
from urllib.parse import urldefrag

import httpx

from service.providers.addresses import Policy, judge_url

_SCHEMES: Final = {"webcal": "https", "webcals": "https"}
"""What calendar programs are opened by; no server speaks them."""


def read_address(text: str, policy: Policy) -> httpx.URL:
    """The address to ask. Raises GatewayError 422 `blocked_url`, whose detail never has the address."""
    scheme, colon, rest = text.strip().partition(":")
    return judge_url(f"{_SCHEMES.get(scheme.lower(), scheme)}{colon}{rest}", policy, "ics")


def follow(url: httpx.URL, location: str, policy: Policy) -> httpx.URL:
    """Where a redirect leads. Raises GatewayError as `read_address`, and ValueError for what is no address."""
    try:
        return read_address(urldefrag(str(url.join(location))).url, policy)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(type(error).__name__) from None


def fingerprint(url: httpx.URL) -> str:
    """The same for every spelling of an address, and no way back to it."""
    host = url.host.lower().rstrip(".")
    # Making a URL costs as much as all else here, and nearly every one is plain already.
    is_plain = host == url.host and url.port not in {80, 443} and not url.fragment
    plain = url if is_plain else url.copy_with(host=host, fragment=None)
    return hashlib.sha256(str(plain).encode()).hexdigest()

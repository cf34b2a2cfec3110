"""`If-Match`: a change that is made only to the version that its author has seen (RFC 9110, 13.1.1)."""

import re
from typing import Any, Final

from litestar import Request

from service.errors import GatewayError

_VERSION: Final = re.compile(r'("?)([0-9]{1,18})\1')


def expected_version(request: Request[Any, Any, Any]) -> int | None:
    """The version that `If-Match` names; None without the header and for `*`, which any version matches.

    Raises GatewayError 412 for a tag that no object here ever has: a weak one (the comparison is strong), a list, or none
    of ours.
    """
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    match = _VERSION.fullmatch(given.strip())
    if match is None:
        raise GatewayError(412, "precondition_failed", 'If-Match takes one ETag as it was given out, such as "3".')
    return int(match[2])

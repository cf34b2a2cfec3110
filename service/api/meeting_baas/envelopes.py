"""How answers of both dialects are made."""

from typing import Any, Final

import msgspec
from litestar import Response

from service.api.paging import json_bytes

HIDDEN: Final[dict[str, Any]] = {"include_in_schema": False}
"""Another vendor's routes are described by that vendor, and in `docs/migrating-from-meeting-baas.md`."""


def answer(found: Any, *, status: int = 200) -> Response[bytes]:
    """Something as JSON."""
    return json_bytes(msgspec.json.encode(found), status=status)

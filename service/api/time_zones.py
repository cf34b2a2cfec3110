"""Names of time zones, as requests give them."""

from typing import Final
from zoneinfo import available_timezones

from service.api.problems import invalid

_NO_PLACE: Final = frozenset({"localtime", "Factory"})
"""What some systems have among their time zones, and no provider knows."""


def check_zone(name: str | None) -> None:
    """Raises GatewayError 422 for what is not an IANA name in the field `time_zone`; None is nothing said."""
    if name is not None and (name not in available_timezones() or name in _NO_PLACE):
        raise invalid("time_zone", "is not the name of a time zone (as Europe/Berlin)")

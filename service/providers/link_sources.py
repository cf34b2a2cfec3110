"""An event as any provider gives it, looked at for one thing only: how to join."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from service.core.meeting_links.evidence import Evidence, Passage
from service.providers.google import links as google
from service.providers.microsoft import links as microsoft

Source = Literal["google", "microsoft", "ics", "text"]

SOURCES: Final[tuple[Source, ...]] = ("google", "microsoft", "ics", "text")


def collect(source: Source, event: Mapping[str, Any]) -> Evidence:
    """The evidence of an event as decoded JSON. Never raises: what has a wrong type counts as absent.

    `google` and `microsoft` are the JSON of their APIs, `ics` is a map of properties or `{"raw": "BEGIN:VEVENT..."}`,
    and `text` is `{"text": ...}`.
    """
    match source:
        case "google":
            return google.read_evidence(event)
        case "microsoft":
            return microsoft.read_evidence(event)
        case "ics":
            # 0.1 s, of which whoever asks about Google need not wait.
            from service.providers.vevent.links import read_evidence  # noqa: PLC0415

            return read_evidence(event)
        case "text":
            text = event.get("text")
            return Evidence((), [Passage(text=text, found_in="text", kind="either")] if isinstance(text, str) else ())

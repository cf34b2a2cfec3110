"""What to try once the story is told and everything keeps running."""

import json

from service.demo.cast import WRITTEN
from service.demo.screen import Screen
from service.demo.stage import Stage


def invite(screen: Screen, stage: Stage, *, calendar_id: str, event_id: str) -> None:
    """Lines to copy, each of which works by itself."""
    key = f"-H 'Authorization: Bearer {stage.api_key}'"
    gateway = stage.gateway_url
    question = json.dumps({"source": "text", "event": {"text": "\n".join(WRITTEN)}})
    resync = f"curl -s {key} -X POST {gateway}/calendars/{calendar_id}/resync"
    screen.step("Everything goes on until you press Ctrl-C; try in another terminal")
    screen.say(f"open {gateway}/docs   API key {stage.api_key}")
    for line in (
        f"curl -s {key} '{gateway}/meetings?within=2d'",
        f"curl -s {key} {gateway}/events/{event_id}/history",
        f"curl -s {key} '{gateway}/changes?after=0&limit=3'",
        f"curl -s {key} {gateway}/calendars/{calendar_id}/sync",
        f"curl -s {key} {gateway}/webhooks/messages",
        f"curl -s {key} {gateway}/project",
        *stage.cast.invitation(),
        *([resync] if stage.cast.hears == "resync" else []),
        f"curl -s {key} -H 'Content-Type: application/json' {gateway}/meeting_links/explain -d '{question}'",
        f"echo '{question}' | uv run calgate links",
    ):
        screen.say(line)

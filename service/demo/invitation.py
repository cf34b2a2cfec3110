"""What to try once the story is told and everything keeps running."""

import json

from service.demo.screen import Screen
from service.demo.stage import Stage


def invite(screen: Screen, stage: Stage, *, calendar_id: str, event_id: str, email: str, written: str) -> None:
    """Lines to copy, each of which works by itself: `written` is a text with a wrapped link in it."""
    key = f"-H 'Authorization: Bearer {stage.api_key}'"
    gateway = stage.gateway_url
    change = f"curl -s -X POST {stage.simulator_url}/simulator"
    question = json.dumps({"source": "text", "event": {"text": written}})
    surprise = json.dumps({"calendar_id": email, "summary": "Surprise", "in_minutes": 2})
    screen.step("Everything goes on until you press Ctrl-C; try in another terminal")
    screen.say(f"open {gateway}/docs   API key {stage.api_key}")
    for line in (
        f"curl -s {key} '{gateway}/meetings?within=2d'",
        f"curl -s {key} {gateway}/events/{event_id}/history",
        f"curl -s {key} '{gateway}/changes?after=0&limit=3'",
        f"curl -s {key} {gateway}/calendars/{calendar_id}/sync",
        f"curl -s {key} {gateway}/webhooks/messages",
        f"curl -s {key} {gateway}/project",
        f"curl -s {key} -H 'Content-Type: application/json' {gateway}/meeting_links/explain -d '{question}'",
        f"echo '{question}' | uv run calgate links",
        f"{change}/add_meeting -d '{surprise}'",
        f"curl -s {stage.simulator_url}/simulator",
    ):
        screen.say(line)

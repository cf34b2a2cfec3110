"""What an integrator has in the demo: an API key to ask the gateway with, and a receiver to wait at."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Self

import httpx

from service.commands.session import CommandFailed
from service.demo.receiver import Received
from service.demo.screen import Screen
from service.demo.stage import Stage

PATIENCE: Final = 10.0
PAUSE: Final = 0.1


class Integrator:
    """Everything here raises CommandFailed when what had to happen did not, in words for whoever runs the demo."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._receiver = stage.receiver
        self._screen = screen
        self._provider = stage.cast.label
        headers = {"authorization": f"Bearer {stage.api_key}"}
        self._http = httpx.AsyncClient(base_url=stage.gateway_url, headers=headers, timeout=PATIENCE, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The gateway's answer to a request."""
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise CommandFailed(f"{method} {path}: {type(error).__name__}") from error
        if response.is_error:
            raise CommandFailed(f"{method} {path} answered {response.status_code}: {response.text[:300]}")
        answer: dict[str, Any] = response.json()
        return answer

    async def webhook(self, event_type: str, matches: Callable[[dict[str, Any]], bool]) -> Received:
        """The first verified webhook of this type and with such data, also one that came before."""
        try:
            with self._screen.waiting(f"waiting for the webhook {event_type}"):
                return await self._receiver.wait_for(event_type, matches, PATIENCE)
        except TimeoutError:
            refused = self._receiver.refused
            hint = f"; {refused} came whose signature was wrong" if refused else ""
            raise CommandFailed(f"the webhook {event_type} did not come within {PATIENCE:.0f} seconds{hint}") from None

    async def until_pushed(self, calendar_id: str) -> None:
        """Wait until the provider tells the gateway of this calendar's changes."""
        with self._screen.waiting(f"{self._provider} opens a push channel"):
            for _ in range(int(PATIENCE / PAUSE)):
                if (await self.ask("GET", f"/calendars/{calendar_id}/sync"))["push"]["enabled"]:
                    return
                await asyncio.sleep(PAUSE)
        raise CommandFailed(f"the simulated {self._provider} was not asked to push within {PATIENCE:.0f} seconds")

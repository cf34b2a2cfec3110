"""The fakes under uvicorn: beside a test in its process, or alone from the command line."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from simulator.app import create_app
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld
from simulator.zoom.world import ZoomWorld

HOST = "127.0.0.1"
SHOWN = ("client_id", "client_secret", "tenant", "refresh_token")


class EmbeddedServer(uvicorn.Server):
    """Leaves the signals to the process it lives in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(
    world: World | MicrosoftWorld | ZoomWorld,
    port: int = 0,
    microsoft: MicrosoftWorld | None = None,
    zoom: ZoomWorld | None = None,
) -> AsyncIterator[str]:
    """Serve one world or several on a loopback port (a free one for 0); yields the URL, without a slash at the end."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    app = create_app(world, microsoft, zoom)
    config = uvicorn.Config(app, log_config=None, log_level="critical", access_log=False, lifespan="on")
    server = EmbeddedServer(config)
    server.config.timeout_graceful_shutdown = 1
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
            if task.done():
                task.result()
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


def introduce(world: World, url: str, microsoft: MicrosoftWorld | None = None, zoom: ZoomWorld | None = None) -> str:
    """The text that greets whoever starts the simulator."""
    lines = [
        "A simulated Google is listening. Point the gateway at it:",
        f"  CALGATE_GOOGLE_API_URL={url}/calendar/v3",
        f"  CALGATE_GOOGLE_TOKEN_URL={url}/token",
        f"  CALGATE_GOOGLE_AUTH_URL={url}/o/oauth2/v2/auth",
        "",
        "Accounts to connect:",
        *_accounts(world.credentials()),
    ]
    if microsoft is not None:
        lines += [
            "",
            "So is a simulated Microsoft:",
            f"  CALGATE_MICROSOFT_GRAPH_URL={url}/v1.0",
            f"  CALGATE_MICROSOFT_LOGIN_URL={url}",
            "",
            "Accounts to connect:",
            *_accounts(microsoft.credentials()),
        ]
    if zoom is not None:
        lines += [
            "",
            "And a simulated Zoom:",
            f"  CALGATE_ZOOM_API_URL={url}/v2",
            f"  CALGATE_ZOOM_TOKEN_URL={url}/oauth/token",
            f"  CALGATE_ZOOM_AUTH_URL={url}/oauth/authorize",
            "",
            "Users to connect:",
            *_accounts(zoom.credentials()),
        ]
    first = world.credentials()[0]["email"] if world.credentials() else "EMAIL"
    post = f"curl -s -X POST {url}/simulator"
    lines += [
        "",
        "Script it:",
        f"  curl -s {url}/simulator                      # all operations",
        f'  {post}/add_meeting -d \'{{"calendar_id":"{first}","summary":"Surprise","in_minutes":10}}\'',
        f'  {post}/move_event -d \'{{"calendar_id":"{first}","event_id":"ID","by_minutes":60}}\'',
        f'  {post}/cancel_event -d \'{{"calendar_id":"{first}","event_id":"ID"}}\'',
        f'  {post}/add_fault -d \'{{"preset":"rate_limit_403","endpoint":"events.list","times":3}}\'',
        f"  {post}/invalidate_sync_tokens",
        f"  curl -s '{url}/simulator/read_truth?calendar_id={first}'",
        f"  curl -s {url}/simulator/read_counters",
    ]
    if microsoft is not None:
        lines.append(f"  curl -s {url}/simulator/microsoft            # the same for Microsoft")
    if zoom is not None:
        lines.append(f"  curl -s {url}/simulator/zoom                 # and for Zoom")
    return "\n".join(lines)


def _accounts(credentials: list[dict[str, Any]]) -> list[str]:
    lines = []
    for each in credentials:
        lines.append(f"  {each['email']}")
        lines += [f"    {name:<13}  {each[name]}" for name in SHOWN if name in each]
        if "calendars" in each:
            lines.append(f"    calendars      {', '.join(each['calendars'])}")
    return lines

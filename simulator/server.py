"""The fake under uvicorn: beside a test in its process, or alone from the command line."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from simulator.app import create_app
from simulator.google.world import World

HOST = "127.0.0.1"


class EmbeddedServer(uvicorn.Server):
    """Leaves the signals to the process it lives in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(world: World, port: int = 0) -> AsyncIterator[str]:
    """Serve a world on a loopback port (a free one for 0) and yield its URL, without a slash at the end."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    config = uvicorn.Config(create_app(world), log_config=None, log_level="critical", access_log=False, lifespan="on")
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


def introduce(world: World, url: str) -> str:
    """The text that greets whoever starts the simulator."""
    lines = [
        "A simulated Google is listening. Point the gateway at it:",
        f"  CALGATE_GOOGLE_API_URL={url}/calendar/v3",
        f"  CALGATE_GOOGLE_TOKEN_URL={url}/token",
        "",
        "Accounts to connect:",
    ]
    for each in world.credentials():
        lines += [
            f"  {each['email']}",
            f"    client_id      {each['client_id']}",
            f"    client_secret  {each['client_secret']}",
            f"    refresh_token  {each['refresh_token']}",
            f"    calendars      {', '.join(each['calendars'])}",
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
    return "\n".join(lines)

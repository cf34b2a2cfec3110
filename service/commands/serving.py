"""`calgate serve`: from the settings to a listening gateway, and from the signal to stop to a clean end."""

import argparse
import asyncio
import logging
import socket
import time
from typing import Final

import msgspec
import uvicorn
from sqlalchemy import text

from service.app import App, create_app
from service.commands.listening import Server, bound, on_signal, url_of
from service.commands.patient_http import PatientProtocol
from service.commands.session import DONE, CommandFailed, load_settings, run, say, utc_now
from service.core.audit import Author
from service.jobs import GRACE
from service.observability import configure_logging
from service.settings import Settings, version
from service.store import api_keys, keyring, projects
from service.store.database import Database
from service.store.migrations import head, is_current, upgrade

log: Final = logging.getLogger(__name__)

KEEP_ALIVE: Final = 65
"""Seconds; longer than the minute for which common proxies keep a connection, so that they are the ones to close it."""

BACKLOG: Final = 2048
_FIRST_START_LOCK: Final = 0x63616C676B6579  # "calgkey": any number that no other program locks in our database


def serve(options: argparse.Namespace) -> int:
    """Run a gateway until SIGTERM or SIGINT."""
    return run(_serve(options))


async def _serve(options: argparse.Namespace) -> int:
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    given = {name: value for name in ("host", "port") if (value := getattr(options, name)) is not None}
    settings = msgspec.structs.replace(settings, **given)
    with bound(settings.host, settings.port) as listener:
        settings = msgspec.structs.replace(settings, port=listener.getsockname()[1])
        await _prepare(settings, may_migrate=not options.no_migrate)
        async with create_app(settings, role=options.role) as app:
            await _answer(app, listener, settings)
    log.info("stopped")
    return DONE


async def _prepare(settings: Settings, *, may_migrate: bool) -> None:
    """Bring the database to this version, and make the first project and key where there is none."""
    async with Database.connect(settings.database_url) as database:
        # First of all, for what a wrong ring would leave behind: new tables, and a key printed for the only time.
        keyring.given_ring(database, settings.secret_keys)
        if not await is_current(database):
            if not may_migrate:
                raise CommandFailed(f"the database is not at version {head()}: run `calgate migrate`")
            await upgrade(settings.database_url)
            log.info("migrated the database to version %s", head())
        await keyring.check(database, settings.secret_keys)
        key = await _first_key(database)
    if key is not None:
        # Printed, never logged: a log is kept.
        say(f"First start: made the project `default`. Its API key, shown only this once:\n\n    {key}\n")


async def _first_key(database: Database) -> str | None:
    async with database.write() as conn:
        if database.dialect == "postgresql":  # replicas that start together take turns
            await conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _FIRST_START_LOCK})
        by = Author.of_command("serve")
        project_id = await projects.ensure_default(conn, utc_now(), by)
        return await api_keys.create_key(conn, project_id, "admin", utc_now(), by) if project_id else None


async def _answer(app: App, listener: socket.socket, settings: Settings) -> None:
    """Serve until a signal comes, then until the work in flight has ended."""
    server = Server(_config(app, settings), lambda: _greet(listener, settings))
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[None]] = []

    def stop() -> None:
        if stopping:
            server.force_exit = True  # asked twice: at once
            stopping.append(loop.create_task(app.hurry(), name="hurry"))
        else:
            stopping.append(loop.create_task(_stop(app, server), name="stop"))

    with on_signal(stop):
        await server.serve(sockets=[listener])
        await asyncio.gather(*stopping)


def _config(app: App, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        loop="none",  # the loop is running
        lifespan="off",  # the application is open
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        timeout_keep_alive=KEEP_ALIVE,
        backlog=BACKLOG,
    )


def _greet(listener: socket.socket, settings: Settings) -> None:
    if settings.allow_networks:
        networks = ", ".join(str(network) for network in settings.allow_networks)
        log.warning("webhooks, ICS and CalDAV may reach private networks: %s", networks)
    if settings.public_url is None:
        log.info("without CALGATE_PUBLIC_URL providers cannot push; calendars are polled")
    say(f"calgate {version} listens on {url_of(listener)}")


async def _stop(app: App, server: Server) -> None:
    """Readiness turns 503 and claiming stops at once; connections are closed when the work has ended."""
    log.info("stopping: what is in flight has %d seconds to end", GRACE)
    end = time.monotonic() + GRACE
    try:
        await app.drain(GRACE)
    finally:
        server.config.timeout_graceful_shutdown = max(1, int(end - time.monotonic()))
        server.should_exit = True

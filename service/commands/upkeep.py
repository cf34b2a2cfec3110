"""What an operator does around a gateway: migrate, check, and rotate the keys of stored secrets."""

import argparse
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import select

from service.commands.session import DONE, CommandFailed, fail, load_settings, run, say, utc_now
from service.core.audit import Author
from service.providers.guarded_http import Slots
from service.settings import Settings, SettingsError
from service.store import audit, keyring, readiness
from service.store.cipher import KeyRing, KeyRingError
from service.store.database import Database, DatabaseUnavailable
from service.store.migrations import MigrationError, head, is_current, upgrade
from webhooks.relay.channel import SvixFailed, SvixRefused

SVIX_SECONDS: Final = 10.0


def migrate(_options: argparse.Namespace) -> int:
    """Bring the database to this version; nothing happens when it is there."""
    return run(_migrate())


def check(_options: argparse.Namespace) -> int:
    """Verify what a gateway needs to start, all of it, so that one run shows everything that is wrong."""
    try:
        settings = load_settings()
        if settings.secret_keys is not None:
            KeyRing.parse(settings.secret_keys)
    except (SettingsError, KeyRingError) as error:
        return fail(f"settings: {error}")
    say("ok  settings")
    return run(_check(settings))


def rotate(_options: argparse.Namespace) -> int:
    """Seal every stored secret anew under the first key of the ring."""
    return run(_rotate())


async def _migrate() -> int:
    settings = load_settings()
    async with Database.connect(settings.database_url) as database:
        was_current = await is_current(database)
    if not was_current:
        await upgrade(settings.database_url)
    say(f"{'already at' if was_current else 'migrated to'} version {head()}")
    return DONE


async def _rotate() -> int:
    settings = load_settings()
    async with Database.connect(settings.database_url) as database:
        if not await is_current(database):
            raise CommandFailed("the database is not at this version: run `calgate migrate` first")
        unlocked = await keyring.unlock(database, settings.secret_keys)
        rotated = await keyring.rotate(database, unlocked.cipher)
        async with database.write() as conn:
            act = Author.of_command("secrets rotate").did("secrets.rotated", "", left=rotated.unreadable)
            await audit.append_to_all(conn, act, utc_now())
    say(f"{rotated.resealed} values sealed anew under the key {unlocked.cipher.ring.first!r}")
    if rotated.unreadable:
        raise CommandFailed(f"{rotated.unreadable} values cannot be opened by any key of the ring; keep the old keys")
    return DONE


async def _check(settings: Settings) -> int:
    database = Database.connect(settings.database_url)
    checks: tuple[tuple[str, Callable[[Database, Settings], Awaitable[None]]], ...] = (
        ("database", _check_database),
        ("migrations", _check_migrations),
        ("key ring", _check_keys),
        ("clock", _check_clock),
        *([("Svix", _check_svix)] if settings.svix_token or settings.svix_server_url else []),
    )
    code = DONE
    async with database:
        for name, verify in checks:
            try:
                await verify(database, settings)
            except (CommandFailed, KeyRingError, MigrationError, DatabaseUnavailable) as error:
                code = fail(f"{name}: {error}")
                if verify is _check_database:
                    break  # the others would only repeat it
            else:
                say(f"ok  {name}")
    return code


async def _check_database(database: Database, _settings: Settings) -> None:
    if _is_missing(database) and not database.lacks_folder:
        raise CommandFailed(f"{database.path} does not exist; `calgate migrate` or `calgate serve` makes it")
    async with database.write() as conn:
        await conn.execute(select(1))


async def _check_migrations(database: Database, _settings: Settings) -> None:
    if _is_missing(database) or not await is_current(database):
        raise CommandFailed(f"the database is not at version {head()}: run `calgate migrate`")


async def _check_keys(database: Database, settings: Settings) -> None:
    """Read the ring and try it on the database, without making a key file or writing anything."""
    keyring.given_ring(database, settings.secret_keys)
    if _is_missing(database) or not await is_current(database):
        return  # the ring is bound to the database at the first start
    await keyring.check(database, settings.secret_keys)


async def _check_svix(_database: Database, settings: Settings) -> None:
    """Make one call that needs the token."""
    if settings.svix_token is None:
        raise CommandFailed(
            "CALGATE_SVIX_SERVER_URL is set and CALGATE_SVIX_TOKEN is not, so that nothing goes there: set both or neither"
        )
    from service.flows.svix import open_remote  # noqa: PLC0415  start-up: its client takes 0.3 s

    slots = Slots(1)
    try:
        await open_remote(settings, slots, deadline=SVIX_SECONDS).check()
    except SvixRefused as error:
        if error.status not in (401, 403):
            raise CommandFailed(f"{error}; look at the server, or correct CALGATE_SVIX_SERVER_URL") from None
        raise CommandFailed(
            f"the server refuses the token ({error.status}): set CALGATE_SVIX_TOKEN to a valid one of its environment"
        ) from None
    except SvixFailed as error:
        raise CommandFailed(f"{error}; look at the network, or correct CALGATE_SVIX_SERVER_URL") from None
    finally:
        await slots.aclose()


async def _check_clock(database: Database, _settings: Settings) -> None:
    async with database.read() as conn:
        ahead = await readiness.clock_offset(conn)
    if abs(ahead) > readiness.CLOCK_TOLERANCE:
        raise CommandFailed(f"this machine is {ahead.total_seconds():+.1f} s off the database's clock")


def _is_missing(database: Database) -> bool:
    # Asking SQLite would make the file.
    return database.path is not None and not database.path.exists()

"""What every command begins and ends with: the settings, an event loop, and one line for whatever may go wrong."""

import asyncio
import os
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from service.commands.printing import DONE, FAILED, fail, say
from service.errors import GatewayError
from service.settings import Settings, SettingsError
from service.store.cipher import KeyRingError
from service.store.database import DatabaseUnavailable
from service.store.migrations import MigrationError

__all__ = [
    "DONE",
    "EXPECTED",
    "FAILED",
    "CommandFailed",
    "environment",
    "fail",
    "fast_loop",
    "load_settings",
    "run",
    "say",
    "utc_now",
]


class CommandFailed(Exception):
    """What was asked for cannot be done; the message is one line for whoever asked."""


EXPECTED: Final = (CommandFailed, SettingsError, KeyRingError, DatabaseUnavailable, MigrationError, GatewayError)


def environment() -> Mapping[str, str]:
    """The variables of the process, and those of a file `.env` in the working directory that it does not set itself."""
    if not Path(".env").is_file():
        return os.environ
    import dotenv  # noqa: PLC0415 (only a development machine has the file)

    return {name: value for name, value in dotenv.dotenv_values(".env").items() if value is not None} | os.environ


def load_settings() -> Settings:
    """The settings of this process. Raises SettingsError."""
    return Settings.from_environment(environment())


def run(command: Coroutine[Any, Any, int]) -> int:
    """The exit code of a command; an expected failure is one line on standard error, a bug is a traceback."""
    try:
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            return runner.run(command)
    except EXPECTED as error:
        return fail(str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return fail("interrupted")


def fast_loop() -> Any:
    """The factory of uvloop's event loops where it is installed; None means Python's own."""
    try:
        import uvloop  # noqa: PLC0415 (not on every platform)
    except ImportError:
        return None
    return uvloop.new_event_loop


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)

"""What a command says, and the exit code that goes with it; loads nothing, for commands that have to be quick."""

import sys
from typing import Final

DONE: Final = 0
FAILED: Final = 1


def fail(reason: str) -> int:
    """Say why, on one line of standard error; answers the exit code."""
    print(f"calgate: {' '.join(reason.split())}", file=sys.stderr)  # noqa: T201 - a command line prints
    return FAILED


def say(text: str) -> None:
    """Print a line of the command's result, at once, also into a pipe."""
    print(text, flush=True)  # noqa: T201 - as above

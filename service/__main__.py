"""The command line: says which commands there are, and loads nothing but the one that is run."""

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

DESCRIPTION = "A calendar gateway for meeting bots: every change of every calendar, as signed webhooks."
EPILOG = "Settings are CALGATE_* variables, also from a file .env. Exit codes: 0 done, 1 failed, 2 bad usage."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers its exit code."""
    # httpx loads a command line of its own where rich is installed: 0.2 s at each start, for nobody. It does without.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    options = parser().parse_args(arguments)
    module, _, function = options.runs.partition(":")
    # Imported by name and late: `calgate keys list` need not wait for a web framework. What is made meanwhile stays, and
    # to look for rubbish in it time and again takes a tenth of the start, and of every later search.
    gc.disable()
    command = getattr(importlib.import_module(f"service.commands.{module}"), function)
    gc.collect()
    gc.freeze()
    gc.enable()
    try:
        code: int = command(options)
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(prog="calgate", description=DESCRIPTION, epilog=EPILOG)
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    serve = _command(commands, "serve", "serving:serve", "migrate the database, then run the gateway")
    serve.add_argument("--role", choices=("all", "api", "worker"), default="all", help="what this process does")
    serve.add_argument("--host", help="address to listen on (CALGATE_HOST)")
    serve.add_argument("--port", type=_port, help="port to listen on, 0 for a free one (CALGATE_PORT)")
    serve.add_argument(
        "--no-migrate", action="store_true", help="fail when the database is behind, instead of migrating"
    )

    demo = _command(
        commands, "demo", "trying:demo", "see it work: gateway, calendars to read and receiver on this machine"
    )
    demo.add_argument(
        "--provider",
        choices=("google", "microsoft", "caldav", "ics"),
        default="google",
        help="whose calendars: a simulated Google or Microsoft, a CalDAV server, or feeds (google)",
    )
    demo.add_argument("--keep", action="store_true", help="leave it running, and say what to try")

    simulator = _command(commands, "simulator", "trying:simulator", "the simulated provider alone, to test against")
    simulator.add_argument("--port", type=_port, default=8421, help="port to listen on (8421)")
    simulator.add_argument("--seed", type=int, default=1, help="the same seed makes the same calendars (1)")

    _command(commands, "migrate", "upkeep:migrate", "bring the database to this version")
    _command(commands, "check", "upkeep:check", "verify settings, database, migrations, key ring and clock")

    backup = _command(commands, "backup", "backups:backup", "copy a SQLite database and its key file, while it is used")
    backup.add_argument("file", help="where to; the key file is put beside it")
    _command(commands, "restored", "backups:restored", "go on from a database that was put back from an older copy")

    keys = commands.add_parser("keys", help="API keys").add_subparsers(metavar="ACTION", required=True)
    create = _command(keys, "create", "keys:create", "make a key and print it alone; it cannot be shown again")
    create.add_argument("--project", required=True, help="the key's project, made when it is new")
    create.add_argument("--scope", choices=("read", "write", "admin"), default="admin", help="what it may do (admin)")
    _command(keys, "list", "keys:show", "all keys, without their secrets")
    revoke = _command(keys, "revoke", "keys:revoke", "a key stops working at once")
    revoke.add_argument("id", help="the key's id, as `keys list` shows it")

    _add_audit(commands)
    secrets = commands.add_parser("secrets", help="stored secrets").add_subparsers(metavar="ACTION", required=True)
    _command(secrets, "rotate", "upkeep:rotate", "re-encrypt everything under the first key, while the gateway runs")

    _add_imports(commands)
    _command(commands, "links", "links:links", "say which link of an event is its meeting; JSON lines in and out")

    _command(commands, "openapi", "documents:openapi", "print the OpenAPI document")
    return top


def _add_audit(commands: Any) -> None:
    audit = commands.add_parser("audit", help="who did what").add_subparsers(metavar="ACTION", required=True)
    show = _command(audit, "list", "auditing:show", "the newest entries of a project's audit log")
    show.add_argument("--project", default="default", help="whose log (default)")
    show.add_argument("--limit", type=_count, default=50, help="how many at most (50)")
    show.add_argument("--json", action="store_true", help="one JSON object a line, with everything that is hashed")
    verify = _command(
        audit, "verify", "auditing:verify", "find out whether entries were changed, removed, put in or moved"
    )
    verify.add_argument("--project", help="one project's log only")
    verify.add_argument("--head", metavar="SEQ:HASH", help="what an earlier run has printed, and you have kept")


def _add_imports(commands: Any) -> None:
    imports = commands.add_parser("import", help="move here from elsewhere").add_subparsers(
        metavar="SYSTEM", required=True
    )
    theirs = _command(
        imports,
        "meeting-baas",
        "importing:meeting_baas",
        "list the calendars of a Meeting BaaS account, and which of them are still to be posted here",
    )
    theirs.add_argument("--api-key", required=True, help="the key of that account; - reads it from standard input")
    theirs.add_argument("--project", default="default", help="the project here to compare with (default)")
    theirs.add_argument("--url", default="https://api.meetingbaas.com", help="where its API is")
    theirs.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")


class _Version(argparse.Action):
    """Prints the version and ends; needs no command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import importlib.metadata  # noqa: PLC0415 (20 ms that a command without a web framework can do without)

        sys.stdout.write(f"calgate {importlib.metadata.version('calgate')}\n")
        parser.exit()


def _command(group: Any, name: str, runs: str, says: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = group.add_parser(name, help=says, description=f"{says[0].upper()}{says[1:]}.")
    command.set_defaults(runs=runs)
    return command


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= len(text) <= 9:
        raise argparse.ArgumentTypeError(f"{text} is not a number of entries")
    return int(text)


def _port(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port; 0 to 65535")
    return number


if __name__ == "__main__":
    sys.exit(main())

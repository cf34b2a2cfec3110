"""What the demo shows: plain words, a table of meetings, and what changed in a webhook, on any kind of output."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

NARROWEST: Final = 110
"""Columns where nobody says how wide the output is, as in a CI log."""

SHOWN_FIELDS: Final = ("title", "starts_at", "ends_at", "status")


class Screen:
    """Prints; colours and the moving line only where there is a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = max(NARROWEST, self._console.width)
        self._steps = 0

    def step(self, title: str) -> None:
        """A new chapter."""
        self._steps += 1
        self._console.print(f"\n[bold cyan]{self._steps}  {escape(title)}[/]")

    def say(self, text: str) -> None:
        """A plain line."""
        self._console.print(f"   {escape(text)}", soft_wrap=True)

    def done(self, text: str) -> None:
        """Something that went well."""
        self._console.print(f"   [green]ok[/]  {escape(text)}", soft_wrap=True)

    def end(self, text: str) -> None:
        """The last line."""
        self._console.print(f"\n[bold green]{escape(text)}[/]", soft_wrap=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A moving line while something is waited for; nothing without a terminal."""
        with self._console.status(f"{escape(text)} ..."):
            yield

    def webhook(self, event_type: str, says: str, seconds: float) -> None:
        """A webhook that came and was verified."""
        self._console.print(
            f"   [green]ok[/]  webhook [bold]{escape(event_type)}[/], signature verified, "
            f"after {seconds:.1f} s: {escape(says)}",
            soft_wrap=True,
        )

    def changes(self, fields: Mapping[str, Mapping[str, Any]]) -> None:
        """The fields that differ, old and new, the telling ones."""
        for name in SHOWN_FIELDS:
            if name in fields:
                old, new = (shown(fields[name][side]) for side in ("old", "new"))
                self._console.print(
                    f"         {name}: [red]{escape(old)}[/] -> [green]{escape(new)}[/]", soft_wrap=True
                )

    def meetings(self, asked: str, rows: Sequence[Mapping[str, Any]], marked: str) -> None:
        """The answer of GET /meetings; the meeting titled `marked` stands out."""
        self.say(asked)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
        for heading in ("     starts (UTC)", "title", "platform"):
            table.add_column(heading, no_wrap=True)
        table.add_column("link", overflow="fold")
        for row in rows:
            is_marked = row["title"] == marked
            cells = (shown(row["starts_at"]), row["title"] or "", row["platform"] or "", row["meeting_url"] or "")
            first, *rest = (escape(str(cell)) for cell in cells)
            table.add_row(f"   {'>' if is_marked else ' '} {first}", *rest, style="bold yellow" if is_marked else "")
        if not rows:
            table.add_row("     none", "", "", "")
        self._console.print(table)

    def copies(self, meeting: Mapping[str, Any], calendars: Mapping[str, str]) -> None:
        """On whose calendars a meeting is, what they answered, and which of the copies speaks for it."""
        for copy in meeting["copies"]:
            leads = (
                "  leads: its title, times and link are the row's" if copy["event_id"] == meeting["lead"]["id"] else ""
            )
            self.say(
                f"      copy of {calendars[copy['calendar_id']]}, {copy['response_status'] or 'answer unknown'}{leads}"
            )


def shown(value: Any) -> str:
    """A moment as `Fri 20 14:30`, anything else as it is."""
    try:
        return f"{datetime.fromisoformat(value):%a %d %H:%M}"
    except (TypeError, ValueError):
        return "nothing" if value is None else str(value)

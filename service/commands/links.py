"""`calgate links`: which link of an event is its meeting, one line of JSON in and one out, as far as it can be piped."""

import argparse
import codecs
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import msgspec

from service.commands.printing import DONE, fail
from service.core.meeting_links.finding import Explanation, explain
from service.providers.lenient import UNREADABLE, repair
from service.providers.link_sources import SOURCES, collect

LONGEST_LINE: Final = 8 * 1024 * 1024
"""Bytes; a longer line is answered with an error, and nothing of it is kept."""


class Refused(Exception):
    """A line that is no question; the `field` that is wrong, or none, and the message as of the API."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.error = {"field": field, "message": message}


class Refusal(Explanation, frozen=True, kw_only=True):
    """The answer to such a line: every field that other answers have, and what is wrong."""

    error: dict[str, str]


def links(_options: argparse.Namespace) -> int:
    """Answer every line in order; lines that are no question are answered too, and make the command fail at the end."""
    if sys.stdin is None or sys.stdout is None:
        return fail("standard input and output have to be open: one line of JSON in, one out")
    try:
        return _answer_all()
    except KeyboardInterrupt:
        return fail("interrupted")
    except BrokenPipeError:
        raise
    except OSError as error:
        # What could not be written would be tried again, and complained of, when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return fail(f"the answers cannot be written: {error.strerror}")


def _answer_all() -> int:
    read = refused = 0
    first = ""
    for number, line in enumerate(_lines(sys.stdin.buffer), 1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901 - the same line
        if not line.strip():
            continue
        read += 1
        try:
            answer = _answer(line)
        except Refused as wrong:
            refused += 1
            first = first or f"line {number}, {wrong.error['field'] or 'JSON'} {wrong}"
            answer = Refusal(error=wrong.error)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
    return fail(f"{refused} of {read} lines could not be read; the first is {first}") if refused else DONE


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines of at most a byte more than the longest, so that a stream without line ends does not fill the memory."""
    while line := stream.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE + 1)


def _answer(line: bytes) -> Explanation:
    if len(line) > LONGEST_LINE:
        raise Refused("", f"is longer than {LONGEST_LINE} bytes")
    question = _read(line)
    if not isinstance(question, dict):
        raise Refused("", "is not an object")
    source, event = question.get("source"), question.get("event")
    if source not in SOURCES:
        raise Refused("source", f"accepts {', '.join(SOURCES)}")
    if not isinstance(event, dict):
        raise Refused("event", "is required, as an object")
    return explain(collect(source, event))


def _read(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except UNREADABLE:
        pass
    try:
        # Half a surrogate pair, or a byte that is no UTF-8: reason enough for the strict reader to refuse it all.
        return msgspec.json.decode(repair(line))
    except (*UNREADABLE, ValueError, OverflowError):
        raise Refused("", "is not JSON") from None

"""Reads commands out of Markdown and types them into one shell, as somebody who follows the text would."""

import asyncio
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<language>[a-z]*)(?P<flag> [a-z-]+)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block; `shown` is the output that the text gives for it, `flag` what stands behind the language."""

    document: str
    line: int
    language: str
    flag: str
    text: str
    shown: str | None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(document: str) -> list[Block]:
    """Every fenced block of a document, in order; a `text` block right after another is that one's output."""
    source = (ROOT / document).read_text()
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(source):
        block = Block(
            document,
            source.count("\n", 0, match.start()) + 1,
            match["language"],
            (match["flag"] or "").strip(),
            match["text"],
            None,
        )
        follows = not source[end : match.start()].strip()
        if block.language == "text" and found and follows:
            found[-1] = found[-1]._replace(shown=block.text)
        else:
            found.append(block)
        end = match.end()
    return found


def outputs_agree(shown: str, said: str) -> bool:
    """Whether an output is the one shown, where `...` stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, said.strip(), re.DOTALL) is not None


class Terminal:
    """A shell that keeps its variables, functions, folder and background jobs from one block to the next."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._script = folder / "block.sh"

    async def run(self, commands: str, *, seconds: float = 60) -> str:
        """What the commands print, on either stream. Raises AssertionError when one fails or they do not end."""
        self._script.write_text(commands)
        marker = uuid4().hex
        self._process.stdin.write(f"source {shlex.quote(str(self._script))} </dev/null\necho; echo {marker}\n".encode())
        try:
            async with asyncio.timeout(seconds):
                said = await self._process.stdout.readuntil(f"\n{marker}\n".encode())
        except asyncio.IncompleteReadError as error:
            raise AssertionError(f"failed:\n{commands}\nand said:\n{error.partial.decode()}{self._logs()}") from None
        except TimeoutError:
            raise AssertionError(f"did not end within {seconds} s:\n{commands}{self._logs()}") from None
        return said.decode().removesuffix(f"\n{marker}\n")

    def _logs(self) -> str:
        """What the background jobs wrote, which is where the reason stands when one of them has died."""
        return "".join(f"\n--- {path.name}\n{path.read_text()[-4000:]}" for path in self._folder.rglob("*.log"))


@asynccontextmanager
async def opened_terminal(folder: Path, environment: dict[str, str]) -> AsyncIterator[Terminal]:
    """A terminal in a folder. Whatever it started is gone with it."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "--noprofile",
        "--norc",
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=2**24,
    )
    try:
        process.stdin.write(b"set -eu -o pipefail\n")
        yield Terminal(process, folder)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await process.communicate()


def mentioned_paths(document: str) -> Iterator[str]:
    """Files and folders of the repository that a document names: targets of links, and paths in `code`."""
    source = (ROOT / document).read_text()
    prose = FENCE.sub("", source)
    for target in re.findall(r"\]\(([^)#\s]+)", prose):
        if "://" not in target:
            yield str(Path(document).parent / target)
    yield from re.findall(r"`((?:service|webhooks|simulator|tests|docs|migrations)/[\w/.]+)`", prose)

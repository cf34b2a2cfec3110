"""README and docs are true: every command runs as it stands, every sample verifies, every table agrees with the code."""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest
from discovery import document as discovery_document
from journeys.written_commands import ROOT, Block, blocks, mentioned_paths, opened_terminal, outputs_agree

from service.core.announcements import Change, Declined
from service.core.catalogue import CATALOGUE
from service.core.lifecycle import REMEDIES, State
from service.core.schedule import poll_interval
from service.observability import METRICS
from service.settings import Settings, variable
from webhooks.filters import covers
from webhooks.signing import Signer, SigningKey, new_secret

README = "README.md"
DOCUMENTS = (
    README,
    "docs/operations.md",
    "docs/meeting-links.md",
    "docs/webhooks.md",
    "docs/bots.md",
    "docs/connections.md",
    "docs/hosted-flow.md",
    "docs/writing.md",
    "docs/simulator.md",
    "docs/architecture.md",
    "docs/decisions.md",
)
WITHOUT_COMMANDS_OF_OURS = {
    "docs/dependencies.md",
    "docs/benchmarks.md",
    "docs/migrating-from-meeting-baas.md",
    "docs/security.md",
}
"""The first's one command is in .ci/run; the second says how long its own take, which is too long for a test; the third
shows another vendor's client, which `test_meeting_baas_sdk.py` runs; the fourth names tests."""

VERIFYING = {"java", "go", "php", "ruby", "perl"}
"""Languages of samples that `test_webhook_samples.py` runs."""

HEADLINES = {
    "python -m pip install -q uv && uv run calgate demo\n": "run calgate demo",
    "python -m pip install -q uv && uv run pytest\n": "run pytest",
}
"""The two first lines of the README, which install; and what .ci/run has of them, which runs them."""

NOT_RUN = {
    "curl -X POST $GATEWAY/calendars": "needs an account at the provider",
    "curl https://login.microsoftonline.com": "needs a Microsoft account",
    "curl -X POST $GATEWAY/connect/google/exchange": "needs an account at the provider",
    "curl -X PUT $GATEWAY/bot_runner": "needs an API of bots",
    "groups:\n  - name: calgate": "rules for Prometheus, read by test_operations_page.py",
    "pg_dump": "typed by flows/test_restore.py, on PostgreSQL",
    "pg_restore": "typed by flows/test_restore.py, on PostgreSQL",
    "docker build": "needs Docker",
    "docker exec": "needs Docker",
    'echo "CALGATE_SECRET_KEYS': "needs Docker",
    'import { Webhook } from "standardwebhooks"': "needs a package from the network",
}

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
needs_shell = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="the tour needs bash and curl"
)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def environment(folder: Path) -> dict[str, str]:
    """The reader's: no settings of calgate's, and `uv run` that runs what is installed instead of installing."""
    tools = folder / "bin"
    tools.mkdir()
    uv = tools / "uv"
    uv.write_text('#!/bin/sh\n[ "$1" = run ] || exit 2\nshift\nexec "$@"\n')
    uv.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALGATE_", "PYTHON"))}
    installed = Path(sys.executable).parent
    return kept | {"PATH": os.pathsep.join([str(tools), str(installed), os.environ["PATH"]])}


def commands(document: str) -> list[Block]:
    """The shell blocks that run, in reading order."""
    return [
        block
        for block in blocks(document)
        if block.language == "bash" and not block.flag and block.text not in HEADLINES
    ]


@needs_shell
@pytest.mark.anyio
async def test_every_command_runs_as_it_stands_and_prints_what_is_shown(tmp_path: Path) -> None:
    ports = dict(zip(("8420", "8421", "8422", "8423"), map(str, free_ports(4)), strict=True))

    def placed(text: str) -> str:
        return re.sub(r"\b842[0123]\b", lambda found: ports[found[0]], text)

    (stop,) = (block for block in blocks(README) if block.flag == "stop")
    said: dict[str, str] = {}
    folder = tmp_path / "clone"
    folder.mkdir()
    async with opened_terminal(folder, environment(tmp_path)) as terminal:
        for block in (*(block for document in DOCUMENTS for block in commands(document)), stop):
            output = said[str(block)] = await terminal.run(placed(block.text))
            if block.shown is not None:
                assert outputs_agree(placed(block.shown), output), f"{block} printed:\n{output}"

    (asked,) = (str(block) for block in commands(README) if "/meetings?within" in block.text)
    assert re.search(r"^\d{4}-\d\d-\d\dT\S+Z (zoom|google_meet) .+ https://", said[asked], re.MULTILINE), said[asked]
    assert not (folder / "tour").exists()
    for port in ports.values():
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection("127.0.0.1", int(port))


def test_every_block_is_run_or_listed_with_the_reason_why_not() -> None:
    for document in DOCUMENTS:
        for block in blocks(document):
            if block.flag == "no-run":
                assert any(block.text.startswith(start) for start in NOT_RUN), f"{block} is not listed"
            else:
                assert block.language in {"bash", "python", "js", "json", "text"} | VERIFYING, (
                    f"{block}: {block.language}"
                )
                assert block.flag in {"", "stop"}, f"{block}: {block.flag}"
    written = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")}
    assert written <= set(DOCUMENTS) | WITHOUT_COMMANDS_OF_OURS


def test_ci_runs_the_two_lines_that_the_readme_begins_with() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert [block.text for block in blocks(README)[:2]] == list(HEADLINES)
    assert "python -m pip install -q uv" in ci
    for part in HEADLINES.values():
        assert f" {part}" in ci


def signed(secret: str, *, type_: str = "event.created") -> tuple[bytes, dict[str, str]]:
    """A delivery as the gateway makes it: the body, and the headers that prove it."""
    body = msgspec.json.encode({"type": type_, "timestamp": datetime.now(UTC), "data": {"action": "schedule"}})
    message_id = str(uuid4())
    signature = Signer([SigningKey(secret)]).sign(message_id, datetime.now(UTC), body.decode())
    proof = {"webhook-id": message_id, "webhook-timestamp": signature.timestamp, "webhook-signature": signature.value}
    return body, proof


def python_samples() -> list[Block]:
    return [block for block in blocks(README) if block.language == "python"]


@pytest.mark.parametrize(
    "sample", [pytest.param(block, id=re.search(r"from (\w+)", block.text)[1]) for block in python_samples()]
)
def test_the_python_samples_believe_what_is_signed_and_nothing_else(sample: Block, tmp_path: Path) -> None:
    secret = new_secret()
    body, headers = signed(secret)
    program = tmp_path / "sample.py"
    program.write_text(
        sample.text
        + "\nimport json, sys\ngiven = json.load(sys.stdin)\n"
        + 'print(read_message(given["secret"], given["body"].encode(), given["headers"])["type"])\n'
    )

    def verify(text: bytes) -> subprocess.CompletedProcess[str]:
        given = json.dumps({"secret": secret, "body": text.decode(), "headers": headers})
        return subprocess.run([sys.executable, program], input=given, capture_output=True, text=True, check=False)

    believed = verify(body)
    assert believed.stdout == "event.created\n", believed.stderr
    forged = verify(body.replace(b"created", b"deleted"))
    assert forged.returncode == 1
    assert "WebhookVerificationError" in forged.stderr


@needs_node
@pytest.mark.anyio
async def test_the_node_sample_believes_what_is_signed_and_nothing_else(tmp_path: Path) -> None:
    (sample,) = (block for block in blocks(README) if block.language == "js" and not block.flag)
    program, secret, (port,) = tmp_path / "receiver.mjs", new_secret(), free_ports(1)
    program.write_text(sample.text)
    process = await asyncio.create_subprocess_exec(
        NODE, program, env={"WEBHOOK_SECRET": secret, "PORT": str(port)}, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            async with asyncio.timeout(120):
                await until_it_listens(port)
                body, headers = signed(secret)
                assert (await client.post("/", content=body, headers=headers)).status_code == 204
                for wrong in wrong_deliveries(body, headers):
                    assert (await client.post("/", content=wrong[0], headers=wrong[1])).status_code == 400, wrong
    finally:
        process.terminate()
        printed, _ = await process.communicate()
    assert printed.decode().split() == ["event.created", "schedule"]


def wrong_deliveries(body: bytes, headers: dict[str, str]) -> list[tuple[bytes, dict[str, str]]]:
    stale = str(int(headers["webhook-timestamp"]) - 3600)
    return [
        (body + b" ", headers),
        (body, headers | {"webhook-id": "another"}),
        (body, headers | {"webhook-timestamp": stale}),
        (body, headers | {"webhook-signature": "v1,AAAA nonsense"}),
        (body, {}),
        signed(new_secret()),
    ]


async def until_it_listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@needs_node
def test_the_node_sample_with_a_library_is_valid_javascript(tmp_path: Path) -> None:
    (sample,) = (block for block in blocks(README) if block.language == "js" and block.flag)
    program = tmp_path / "sample.mjs"
    program.write_text(sample.text)
    subprocess.run([NODE, "--check", program], check=True)


def test_the_simulator_serves_a_python_test_as_shown() -> None:
    (sample,) = (block for block in blocks("docs/simulator.md") if block.language == "python")
    done = subprocess.run([sys.executable, "-c", sample.text], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == sample.shown


def test_compose_has_a_database_a_migration_and_two_replicas() -> None:
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert services.keys() == {"database", "migrate", "gateway"}
    assert services["gateway"]["deploy"]["replicas"] == 2
    assert services["gateway"]["command"] == ["serve", "--no-migrate"]


@pytest.mark.parametrize("document", [*DOCUMENTS, "CONTRIBUTING.md"])
def test_what_is_mentioned_is_there(document: str) -> None:
    missing = [path for path in mentioned_paths(document) if not (ROOT / path).exists()]
    assert not missing


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    source = (ROOT / document).read_text()
    (part,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^## |\Z)", source, re.MULTILINE | re.DOTALL)
    lines = re.search(r"^\|.*?(?=^[^|]|\Z)", part, re.MULTILINE | re.DOTALL)[0].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_the_table_of_settings_has_each_with_its_default() -> None:
    defaults = Settings()
    shown = {codes(row[0])[0]: row[1].strip("`") for row in rows("docs/operations.md", "Settings")}
    special = {None: "none", (): "none", True: "on", (100, 1000): "100/1000"}
    expected = {
        variable(name): str(special.get(value, value))
        for name in Settings.__struct_fields__
        for value in (getattr(defaults, name),)
    }
    expected |= {"CALGATE_SECRET_KEYS": "key file beside SQLite", "CALGATE_ALLOWED_HOSTS": "any"}
    assert shown == expected


def test_the_table_of_metrics_has_each() -> None:
    exposed = set(re.findall(r"^# HELP (calgate_\w+)", METRICS.exposition()[0].decode(), re.MULTILINE))
    shown = {codes(row[0])[0] for row in rows("docs/operations.md", "Metrics")}
    assert shown == {name for name in exposed if not name.endswith("_created")}


def test_the_tables_of_states_and_errors_have_each() -> None:
    assert [codes(row[0])[0] for row in rows(README, "The states of a calendar")] == list(State)
    section = (ROOT / README).read_text().partition("| `error_code` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == sorted(REMEDIES, key=section.index)


@pytest.mark.parametrize(
    ("polled", "seconds"),
    [
        pytest.param(1_000, 120, id="the setting rules"),
        pytest.param(10_000, 18 * 60, id="18 minutes"),
        pytest.param(100_000, 3 * 3600, id="3 hours"),
    ],
)
def test_the_polling_budget_is_what_the_readme_says(polled: int, seconds: int) -> None:
    soon = timedelta(hours=2)
    interval = poll_interval(
        timedelta(seconds=120), pushed=False, until_next_meeting=soon, sharers=polled
    ).total_seconds()
    assert interval == pytest.approx(seconds, rel=0.01)
    named = {"1,000": "2 minutes", "10,000": "18 minutes", "100,000": "3 hours"}
    assert dict(rows(README, "Polling is a budget")) == named


def test_the_scopes_in_the_readme_cover_every_method_that_is_called() -> None:
    methods = (
        ("calendarList", "list"),
        ("events", "list"),
        ("events", "instances"),
        ("events", "watch"),
        ("channels", "stop"),
    )
    prefix = "https://www.googleapis.com/auth/"
    items = re.findall(r"^   - (.+?)(?=^   - |^$)", (ROOT / README).read_text(), re.MULTILINE | re.DOTALL)
    choices = [{scope for scope in codes(item) if scope.startswith(prefix)} for item in items if prefix in item]
    assert len(choices) == 2
    for granted in choices:
        for resource, method in methods:
            accepted = set(discovery_document()["resources"][resource]["methods"][method]["scopes"])
            assert granted & accepted, f"{granted} does not cover {resource}.{method}"


def test_the_catalogue_of_webhooks_has_each_type_with_a_true_example() -> None:
    source = (ROOT / "docs/webhooks.md").read_text()
    examples = [json.loads(block.text) for block in blocks("docs/webhooks.md") if block.language == "json"]
    assert examples == [each.example for each in CATALOGUE]
    sections = re.findall(r"^### `([\w.]+)`\n(.*?)^```json$", source, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in sections] == [each.name for each in CATALOGUE]
    for each, (_, text) in zip(CATALOGUE, sections, strict=True):
        assert each.description.rstrip(".") in " ".join(text.split()), each.name
        assert each.on_request is any(covers(family, each.name) for family in ("event.*", "integration.*"))
        data = msgspec.convert(each.example["data"], each.struct)
        # Equal after a round trip: every field is there, none is made up, and each is spelt as it is sent.
        assert msgspec.json.decode(msgspec.json.encode(data)) == each.example["data"], each.name
        if isinstance(data, Change) and not isinstance(data, Declined):
            assert data.kind == each.name.removeprefix("event.")

"""The command line as an operator meets it: what it prints, where, and the exit code."""

import contextlib
import importlib.metadata
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest

from service.__main__ import main
from service.commands.serving import _greet as greet
from service.settings import Settings

KEY_LENGTH = len("cgk_12345678_") + 43


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an environment without any of our variables."""
    for name in list(os.environ):
        if name.startswith("CALGATE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def create_key(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["keys", "create", "--project", "acme", *more]) == 0
    return capsys.readouterr().out.strip()


def test_migrate_makes_the_database_and_is_harmless_when_repeated(capsys: pytest.CaptureFixture[str], folder: Path):
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out.startswith("migrated to version ")
    assert (folder / "calgate.db").exists()
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out.startswith("already at version ")


def test_a_new_key_is_printed_alone_and_only_its_beginning_ever_again(capsys: pytest.CaptureFixture[str]):
    key = create_key(capsys, "--scope", "read")
    assert key.startswith("cgk_")
    assert len(key) == KEY_LENGTH
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert key not in listed
    assert key[:12] in listed
    assert "acme" in listed
    assert "read" in listed


def test_a_key_is_revoked_by_its_id(capsys: pytest.CaptureFixture[str]):
    create_key(capsys)
    main(["keys", "list"])
    row = capsys.readouterr().out.splitlines()[1].split()
    assert len(row) == 5
    assert main(["keys", "revoke", row[0]]) == 0
    main(["keys", "list"])
    assert len(capsys.readouterr().out.splitlines()[1].split()) == 6


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["keys", "revoke", "nonsense"], "a key's id is a UUID", id="not-an-id"),
        pytest.param(["keys", "revoke", "01980000-0000-7000-8000-000000000000"], "there is no key", id="unknown-key"),
        pytest.param(["keys", "create", "--project", " "], "a project's name", id="empty-project"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
):
    main(["migrate"])
    capsys.readouterr()
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"calgate: {reason}")
    assert len(told.err.splitlines()) == 1
    assert told.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nothing"),
        pytest.param(["dance"], id="unknown-command"),
        pytest.param(["keys", "create"], id="missing-option"),
        pytest.param(["keys", "create", "--project", "x", "--scope", "god"], id="unknown-scope"),
        pytest.param(["serve", "--port", "70000"], id="no-such-port"),
        pytest.param(["serve", "--role", "boss"], id="unknown-role"),
    ],
)
def test_bad_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: calgate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("CALGATE_PORT", "high", id="port"),
        pytest.param("CALGATE_DATABASE_URL", "mysql://root@db/x", id="database"),
        pytest.param("CALGATE_SECRET_KEYS", "k1:c2hvcnQ=", id="keys"),
        pytest.param("CALGATE_PUBLIC_URL", "http://calgate.example", id="public-url"),
        pytest.param("CALGATE_ALLOW_NETWORKS", "everywhere", id="networks"),
        pytest.param("CALGATE_MICROSOFT_GRAPH_URL", "graph.microsoft.com/v1.0", id="graph"),
        pytest.param("CALGATE_MICROSOFT_LOGIN_URL", "https://login.example.com/?tenant=x", id="login"),
    ],
)
def test_a_bad_setting_stops_the_start_and_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(name, value)
    assert main(["check"]) == 1
    told = capsys.readouterr().err
    assert name in told
    assert value not in told
    assert "Traceback" not in told


def test_a_file_named_env_is_read_and_the_environment_is_stronger(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (folder / ".env").write_text("CALGATE_DATABASE_URL=sqlite:///from_file.db\nCALGATE_PORT=nonsense\n")
    monkeypatch.setenv("CALGATE_PORT", "8000")
    assert main(["migrate"]) == 0
    assert (folder / "from_file.db").exists()


class TestCheck:
    def test_a_sound_installation_passes_and_nothing_is_written_by_looking(
        self, capsys: pytest.CaptureFixture[str], folder: Path
    ):
        main(["migrate"])
        capsys.readouterr()
        assert main(["check"]) == 0
        told = capsys.readouterr()
        assert told.out.splitlines() == ["ok  settings", "ok  database", "ok  migrations", "ok  key ring", "ok  clock"]
        assert told.err == ""
        assert not (folder / "calgate.db.key").exists()

    def test_a_database_that_is_not_there_is_not_made(self, capsys: pytest.CaptureFixture[str], folder: Path):
        assert main(["check"]) == 1
        assert "calgate.db does not exist" in capsys.readouterr().err
        assert not (folder / "calgate.db").exists()

    def test_a_database_without_tables_is_told(self, capsys: pytest.CaptureFixture[str], folder: Path):
        (folder / "calgate.db").touch()
        assert main(["check"]) == 1
        assert "run `calgate migrate`" in capsys.readouterr().err

    def test_an_unreachable_database_is_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        monkeypatch.setenv("CALGATE_DATABASE_URL", "postgresql://calgate:hunter2@127.0.0.1:1/calgate")
        assert main(["check"]) == 1
        told = capsys.readouterr().err
        assert told.startswith("calgate: database: the database is unavailable")
        assert len(told.splitlines()) == 1
        assert "hunter2" not in told

    def test_a_wrong_key_ring_is_found_out(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        main(["migrate"])
        assert main(["secrets", "rotate"]) == 0  # binds a ring to the database
        key_file = folder / "calgate.db.key"
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert main(["check"]) == 0
        capsys.readouterr()
        key_file.rename(folder / "lost")
        assert main(["check"]) == 1
        assert "calgate.db.key is missing" in capsys.readouterr().err
        monkeypatch.setenv("CALGATE_SECRET_KEYS", "other:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        assert main(["check"]) == 1
        assert "key ring: CALGATE_SECRET_KEYS is not the key ring" in capsys.readouterr().err

    def test_keys_are_missed_also_before_the_database_is_migrated(
        self, bare_postgresql_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        monkeypatch.setenv("CALGATE_DATABASE_URL", bare_postgresql_url)
        assert main(["check"]) == 1
        told = capsys.readouterr()
        assert "ok  key ring" not in told.out
        assert "key ring: CALGATE_SECRET_KEYS is required with PostgreSQL" in told.err
        assert "migrations: the database is not at version" in told.err

    @pytest.mark.usefixtures("logging_restored")
    def test_a_folder_that_is_not_there_is_named(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ):
        monkeypatch.setenv("CALGATE_DATABASE_URL", f"sqlite:///{folder}/missing/x.db")
        reason = f"CALGATE_DATABASE_URL: the folder {folder}/missing does not exist"
        for command in (["migrate"], ["keys", "create", "--project", "acme"], ["serve", "--port", "0"]):
            assert main(command) == 1
            assert capsys.readouterr().err == f"calgate: {reason}\n"
        assert main(["check"]) == 1
        assert capsys.readouterr().err == f"calgate: database: {reason}\n"


def test_a_key_on_an_empty_postgresql_needs_no_other_command_before(
    bare_postgresql_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CALGATE_DATABASE_URL", bare_postgresql_url)
    assert len(create_key(capsys)) == KEY_LENGTH
    assert main(["keys", "list"]) == 0
    assert "acme" in capsys.readouterr().out


def test_a_key_does_not_migrate_a_database_that_is_in_use(capsys: pytest.CaptureFixture[str], folder: Path):
    with contextlib.closing(sqlite3.connect(folder / "calgate.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    assert main(["keys", "create", "--project", "acme"]) == 1
    assert "run `calgate migrate` first" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"calgate {importlib.metadata.version('calgate')}\n"


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
@pytest.mark.parametrize("command", ["serve", "simulator"])
def test_a_port_out_of_range_is_told_what_a_port_is(command: str, port: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([command, f"--port={port}"])
    assert ended.value.code == 2
    assert f"argument --port: {port} is not a port; 0 to 65535" in capsys.readouterr().err


def test_commands_work_on_postgresql(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CALGATE_DATABASE_URL", postgresql_url)
    assert main(["migrate"]) == 0
    key = create_key(capsys)
    assert main(["keys", "list"]) == 0
    assert key.splitlines()[-1][:12] in capsys.readouterr().out
    assert main(["check"]) == 1
    assert "CALGATE_SECRET_KEYS is required with PostgreSQL" in capsys.readouterr().err
    monkeypatch.setenv("CALGATE_SECRET_KEYS", "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    assert main(["check"]) == 0


def test_openapi_prints_the_document(capsys: pytest.CaptureFixture[str]):
    assert main(["openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["info"]["title"] == "calgate"
    assert {"/calendars", "/meetings", "/webhooks/endpoints", "/health/ready"} <= set(document["paths"])


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        pytest.param("import service.__main__", {"litestar", "sqlalchemy", "httpx", "msgspec"}, id="calgate-help"),
        pytest.param(
            "from service.__main__ import main\ntry: main(['serve', '--port', 'x'])\nexcept SystemExit: pass\n"
            "import service.commands.serving",
            {"alembic", "svix", "rich", "simulator", "google"},
            id="calgate-serve",
        ),
    ],
)
def test_a_command_loads_only_what_it_needs(code: str, absent: set[str]):
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert absent & {name.split(".")[0] for name in shown.stdout.split()} == set()


def test_opened_networks_are_told_at_the_start(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]):
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        greet(listener, Settings(allow_networks=networks))
        assert "webhooks, ICS and CalDAV may reach private networks: 10.0.0.0/8, fd00::/8" in caplog.messages
        caplog.clear()
        greet(listener, Settings())
    assert not [told for told in caplog.messages if "private" in told]
    assert capsys.readouterr().out.count("listens on") == 2

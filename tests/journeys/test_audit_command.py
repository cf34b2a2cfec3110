"""The audit log at the command line: what commands leave in it, how it is read, and what an examination says."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service.__main__ import main
from service.store.database import Database

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def calgate(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command on a database of the test's own: its exit code, and what it has printed and complained about."""
    for name in list(os.environ):
        if name.startswith("CALGATE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("CALGATE_SECRET_KEYS", "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def tamper(url: str, statement: str) -> None:
    async def execute() -> None:
        async with Database.connect(url) as database, database.write() as conn:
            await conn.execute(text(statement))

    asyncio.run(execute())


def entries(calgate: Run, project: str = "acme") -> list[dict[str, Any]]:
    code, out, _ = calgate("audit", "list", "--project", project, "--json")
    assert code == 0
    return [json.loads(line) for line in out.splitlines()][::-1]


def told(calgate: Run, project: str = "acme") -> list[tuple[Any, ...]]:
    return [(one["actor"]["id"], one["action"], one["details"]) for one in entries(calgate, project)]


def test_what_commands_leave_in_the_log(calgate: Run) -> None:
    for scope in ("read", "admin"):
        assert calgate("keys", "create", "--project", "acme", "--scope", scope)[0] == 0
    assert calgate("keys", "create", "--project", "other")[0] == 0
    key_id = entries(calgate)[1]["object"]["id"]
    for _ in range(2):
        assert calgate("keys", "revoke", key_id)[0] == 0
    assert calgate("secrets", "rotate")[0] == 0
    assert calgate("restored")[0] == 0
    assert told(calgate) == [
        ("keys create", "project.created", {}),
        ("keys create", "key.created", {"scope": "read"}),
        ("keys create", "key.created", {"scope": "admin"}),
        ("keys revoke", "key.revoked", {}),
        ("secrets rotate", "secrets.rotated", {"left": 0}),
        ("restored", "project.restored", {}),
    ]
    found = entries(calgate)
    assert found[3]["object"] == {"kind": "key", "id": key_id}
    assert {one["actor"]["kind"] for one in found} == {"command"}
    assert {(one["address"], one["request_id"]) for one in found} == {(None, None)}
    assert [one["action"] for one in entries(calgate, "other")][-2:] == ["secrets.rotated", "project.restored"]


def test_a_list_is_one_readable_line_for_each_entry(calgate: Run) -> None:
    calgate("keys", "create", "--project", "default", "--scope", "write")
    code, out, _ = calgate("audit", "list", "--limit", "1")
    assert code == 0
    (line,) = out.splitlines()
    assert line.split()[0] == "2"
    assert all(word in line for word in ("key.created", "command:keys create", "scope=write")), line
    assert len(calgate("audit", "list")[1].splitlines()) == 2
    assert calgate("audit", "list", "--project", "nobody")[0] == 1


def head_of(out: str, project: str = "acme") -> str:
    (line,) = [line for line in out.splitlines() if line.startswith(f"ok  {project}: ")]
    return line.rpartition(" ")[2]


def test_an_examination_says_where_each_log_ends(calgate: Run) -> None:
    for project in ("acme", "other"):
        calgate("keys", "create", "--project", project)
    code, out, err = calgate("audit", "verify")
    assert (code, err) == (0, "")
    assert [line.split()[:4] for line in out.splitlines()] == [
        ["ok", f"{project}:", "2", "entries,"] for project in ("acme", "other")
    ]
    assert head_of(out) == f"2:{entries(calgate)[-1]['hash']}"
    assert calgate("audit", "verify", "--project", "other")[1] == out.splitlines()[1] + "\n"


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        pytest.param("UPDATE audit_entries SET actor_id = 'nobody' WHERE seq = 2", 2, id="changed"),
        pytest.param("DELETE FROM audit_entries WHERE seq = 1", 1, id="removed"),
        pytest.param("DELETE FROM audit_entries WHERE seq = 3", 3, id="cut-off"),
        pytest.param("DELETE FROM audit_heads", 1, id="no-head"),
    ],
)
def test_an_examination_finds_tampering_and_ends_with_1(
    calgate: Run, database_url: str, statement: str, broken: int
) -> None:
    for _ in range(2):
        calgate("keys", "create", "--project", "acme")
    calgate("keys", "create", "--project", "other")
    assert calgate("audit", "verify")[0] == 0
    theirs = "project_id = (SELECT id FROM projects WHERE name = 'acme')"
    tamper(database_url, " ".join([statement, "AND" if "WHERE" in statement else "WHERE", theirs]))
    code, out, err = calgate("audit", "verify")
    assert code == 1
    assert err.startswith(f"calgate: acme: broken at {broken}:")
    assert out.startswith("ok  other: 2 entries"), "the others are examined all the same"


def test_a_noted_head_shows_that_an_end_was_cut_off_with_care(calgate: Run, database_url: str) -> None:
    calgate("keys", "create", "--project", "acme")
    early = head_of(calgate("audit", "verify")[1])
    calgate("keys", "create", "--project", "acme")
    late = head_of(calgate("audit", "verify")[1])
    for note in (early, late, late.upper()):
        assert calgate("audit", "verify", "--head", note)[0] == 0
    tamper(database_url, "DELETE FROM audit_entries WHERE seq = 3")
    tamper(database_url, f"UPDATE audit_heads SET seq = 2, hash = '{early.partition(':')[2]}'")  # noqa: S608
    assert calgate("audit", "verify")[0] == 0, "this is what a chain cannot show"
    assert calgate("audit", "verify", "--head", early)[0] == 0
    code, _, err = calgate("audit", "verify", "--project", "acme", "--head", late)
    assert (code, "broken at 3" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["--head", "nonsense"], "--head is what", id="no-head"),
        pytest.param(["--head", "2:" + "0" * 64], "--head is of one project", id="whose-head"),
        pytest.param(["--project", "nobody"], "there is no project 'nobody'", id="no-project"),
    ],
)
def test_what_cannot_be_examined(calgate: Run, arguments: list[str], reason: str) -> None:
    for project in ("acme", "other"):
        calgate("keys", "create", "--project", project)
    code, _, err = calgate("audit", "verify", *arguments)
    assert code == 1
    assert err.startswith(f"calgate: {reason}")


@pytest.mark.parametrize("limit", ["0x", "-1", "", "9" * 10])
def test_a_limit_is_a_number(limit: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["audit", "list", f"--limit={limit}"])
    assert ended.value.code == 2


def test_without_a_database_there_is_nothing_to_examine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALGATE_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    assert main(["audit", "verify"]) == 1
    assert "run `calgate migrate` first" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()

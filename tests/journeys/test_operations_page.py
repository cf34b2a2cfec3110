"""The page for operators: its rules watch metrics that exist, and whatever may ring has a row that says what to do."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from written_commands import ROOT, blocks

from service.observability import METRICS

PAGE = "docs/operations.md"


@pytest.fixture
def rules() -> list[dict[str, Any]]:
    (block,) = (block for block in blocks(PAGE) if block.language == "yaml")
    (group,) = yaml.safe_load(block.text)["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


@pytest.fixture
def things_to_do() -> str:
    return (ROOT / PAGE).read_text().partition("## What to do when")[2]


def samples() -> dict[str, set[str]]:
    """What the exposition has, each name with its labels."""
    found: dict[str, set[str]] = {}
    for family in METRICS._registry.collect():
        labels = set(getattr(METRICS._registry._names_to_collectors.get(family.name), "_labelnames", ()))
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        for suffix in suffixes:
            found[family.name + suffix] = labels
    return found


def test_rules_name_metrics_and_labels_that_exist(rules: list[dict[str, Any]]) -> None:
    known = samples()
    for rule in rules:
        used = re.findall(r"(calgate_\w+)(?:\{([^}]*)\})?", rule["expr"])
        assert used, rule
        for name, matchers in used:
            assert name in known, rule["alert"]
            assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= known[name], rule["alert"]
        for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"]):
            of = set.union(*(known[name] for name, _ in used))
            assert set(grouped.replace(" ", "").split(",")) <= of | {"le", "instance"}, rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))


def test_each_alarm_has_a_row(rules: list[dict[str, Any]], things_to_do: str) -> None:
    names = [rule["alert"] for rule in rules]
    assert len(names) == len(set(names))
    assert [name for name in names if f"`{name}`" not in things_to_do] == []


def test_each_reason_of_readiness_has_a_row(things_to_do: str) -> None:
    texts = _texts(ROOT / "service/api/health.py")
    reasons = {match[1] for text in texts if (match := re.match(r"([a-z ]+): ", text))} | {"sync", "delivery"}
    assert reasons >= {"database", "disk", "key ring", "clock", "worker", "draining"}
    assert [reason for reason in reasons if f"`{reason}: ...`" not in things_to_do] == []


def test_each_log_line_that_is_explained_is_written_somewhere(things_to_do: str) -> None:
    source = "".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    for row in re.findall(r"^\| log: (.*?) \|", things_to_do, re.MULTILINE):
        for line in re.findall(r"`([^`]+)`", row):
            assert line in source, line


def _texts(path: Path) -> list[str]:
    return [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

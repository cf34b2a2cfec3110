"""Every hostile input has a test that is there, or a reason why it has none."""

import ast
from functools import cache
from pathlib import Path

import pytest
from hostile.hostile_inputs import INPUTS

TESTS = Path(__file__).parent.parent


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_none_of_them_is_forgotten() -> None:
    assert sorted(INPUTS) == list(range(1, 76))


@pytest.mark.parametrize("number", INPUTS)
def test_each_has_a_test_or_a_reason(number: int) -> None:
    row = INPUTS[number]
    assert bool(row.tests) != bool(row.reason)
    assert not row.reason or len(row.reason.split()) > 5
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in functions(path), f"{number}: {test} is not there"

"""Requests made up from the OpenAPI document, sent to the application as it is served, and what was wrong with the answers."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

LONGEST_POLL = 30
"""Seconds that `GET /changes` waits when it is asked to; here it is not let wait, and all else of it is tried."""

PASSING = 503
"""What cannot be done now, such as asking a provider that is away: documented where it may happen, and judged so."""


class Fuzzed(NamedTuple):
    """How many requests were sent, how many of each status came back, and what was wrong, a line each."""

    calls: int
    statuses: Counter[int]
    faults: list[str]


def fuzz(
    document: dict[str, Any],
    url: str,
    key: str,
    calls_each: int,
    start: int = 1,
    canaries: Mapping[str, str] | None = None,
) -> Fuzzed:
    """Send each operation so many made-up requests, right ones and wrong ones. Blocks; needs a server that listens.

    An answer that has one of the `canaries`, secrets by what they are, is a fault.
    """
    schema = schemathesis.openapi.from_dict(document)
    statuses: Counter[int] = Counter()
    faults: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in GenerationMode:

            @seed(start)
            @settings(
                max_examples=calls_each,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                verbosity=hypothesis.Verbosity.quiet,
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: Any) -> None:
                hurry(case)
                answer = case.call(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=20)
                statuses[answer.status_code] += 1
                said = f"{case.method} {case.formatted_path[:100]} -> {answer.status_code}"
                whole = f"{answer.headers} {answer.text}"
                faults.extend(f"{said}: tells {what}" for what, canary in (canaries or {}).items() if canary in whole)
                if answer.status_code >= 500 and answer.status_code != PASSING:
                    faults.append(f"{said}: {answer.text[:200]}")
                    return
                checks = [status_code_conformance, content_type_conformance]
                try:
                    case.validate_response(answer, checks=checks)
                except AssertionError as error:
                    faults.append(f"{said}: undocumented ({type(error).__name__})")
                except BaseExceptionGroup as group:
                    faults.append(
                        f"{said}: undocumented ({', '.join(type(each).__name__ for each in group.exceptions)})"
                    )

            try:
                send()
            except hypothesis.errors.Unsatisfiable:
                continue  # nothing wrong can be said where nothing is asked
    return Fuzzed(sum(statuses.values()), statuses, faults)


def hurry(case: Any) -> None:
    """Have a long poll answer at once, unless what it is asked to wait for is wrong."""
    with suppress(KeyError, TypeError, ValueError):
        if 0 < float(case.query["wait"]) <= LONGEST_POLL:
            case.query["wait"] = "0"

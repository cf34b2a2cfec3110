"""Whatever the OpenAPI document lets one make up is answered, as the document says, and never with a 5xx."""

import asyncio
import json
import os

import pytest
from flows.stage import Stage
from fuzzing import fuzz
from litestar import Litestar
from test_hostile_rest import served

from service.api.routes import create_document

pytestmark = pytest.mark.anyio
CALLS_EACH = int(os.environ.get("FUZZ_CALLS_EACH", "3"))


async def test_no_made_up_request_is_a_fault_of_ours(api: Litestar, stage: Stage, keys: dict[str, str]) -> None:
    document = json.loads(create_document())
    async with served(api) as port:
        fuzzed = await asyncio.to_thread(fuzz, document, f"http://127.0.0.1:{port}", keys["admin"], CALLS_EACH, start=7)
    assert fuzzed.calls > 100
    assert not fuzzed.faults, sorted(set(fuzzed.faults))[:40]

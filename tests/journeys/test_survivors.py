"""Either of two replicas may be killed, or stopped for a new version, in the middle of everything."""

from pathlib import Path
from random import Random

import pytest
from judgement import Differences
from survival import end_in_turn, two_replicas

pytestmark = pytest.mark.anyio
CALENDARS = 8
NOTHING = Differences(0, 0, 0)


async def test_either_of_two_replicas_is_killed_and_nothing_is_lost(postgresql_url: str, tmp_path: Path) -> None:
    async with two_replicas(tmp_path, postgresql_url, CALENDARS, seed=5) as pair:
        verdict = await end_in_turn(pair, postgresql_url, 4, Random(5), kill=True, patient=False)
    assert verdict.differences == NOTHING, verdict
    assert (verdict.unannounced, verdict.announced_again) == (0, 0), verdict
    assert (verdict.inexplicable, verdict.altered) == (0, 0), verdict
    assert verdict.changes > CALENDARS, "nothing went on meanwhile"


async def test_replicas_are_replaced_one_after_the_other_and_nothing_comes_twice(
    postgresql_url: str, tmp_path: Path
) -> None:
    async with two_replicas(tmp_path, postgresql_url, CALENDARS, seed=6) as pair:
        verdict = await end_in_turn(pair, postgresql_url, 4, Random(6), kill=False, patient=False)
    assert verdict.codes == [0, 0, 0, 0]
    assert verdict.differences == NOTHING, verdict
    assert (verdict.unannounced, verdict.announced_again) == (0, 0), verdict
    assert verdict.duplicates == 0, verdict
    assert verdict.changes > CALENDARS, "nothing went on meanwhile"

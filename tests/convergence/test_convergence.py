"""Twenty random histories of each provider, half of them on each database; `python -m tests.convergence` plays as many as you like."""

import pytest
from convergence.play import play

pytestmark = pytest.mark.anyio


@pytest.fixture(params=range(20))
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def kind(seed: int) -> str:
    return ("sqlite", "postgresql")[seed % 2]


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{kind}_url")
    return found


@pytest.mark.parametrize("provider", ["google", "microsoft"])
async def test_after_any_history_everybody_has_the_same(seed: int, kind: str, url: str, provider: str) -> None:
    wrong, _ = await play(seed, url, steps=35, provider=provider)

    replay = f"uv run python -m tests.convergence --first {seed} --seeds 1 --steps 35 --database {kind}"
    assert not wrong, "\n".join([*wrong[:10], f"{replay} --provider {provider} --verbose"])

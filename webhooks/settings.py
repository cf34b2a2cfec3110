"""How hard and how long the deliverer tries."""

from collections.abc import Mapping

import msgspec

from webhooks.places import with_spare


class DeliverySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of delivery; times in seconds.

    `deadline` is the whole of one attempt, look-up and answer included. `lease` must be well over the deadline: a
    dispatch that waited in memory until less than a deadline is left of its lease goes back instead of out.
    `concurrency` requests of one project are in flight at once, `endpoint_concurrency` to one endpoint; of several
    projects together `slots`, so that each finds some free. Results are written in
    groups of up to `group`, `linger` after the first. `tick` is how often a due delivery is looked for unasked. `prefixes` begin
    the names of the signature's three headers in formats that have others than `webhook-`.
    """

    user_agent: str = "calgate"
    deadline: float = 15.0
    lease: float = 30.0
    concurrency: int = 64
    endpoint_concurrency: int = 8
    group: int = 500
    linger: float = 0.01
    tick: float = 1.0
    prefixes: Mapping[str, tuple[str, ...]] = {}

    def __post_init__(self) -> None:
        if self.lease < 2 * self.deadline:
            raise ValueError("a lease must last for two deadlines: one to wait in memory, one to send")

    @property
    def slots(self) -> int:
        """How many requests are in flight at once at most; as many clients have to be there."""
        return with_spare(self.concurrency)

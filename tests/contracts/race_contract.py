"""What becomes of a write when somebody else writes after we have read."""

import pytest
from contracts.writing_peer import ALAN, GRACE, RacingPeer, change, create, listed, remove, same_as_read

from service.core.drafts import Guest
from service.errors import EventGone, Outdated


@pytest.mark.anyio
class RaceContract:
    """Somebody else writes after we have read, and before we write."""

    async def test_a_strict_change_loses(self, peer: RacingPeer):
        written = await create(peer)
        peer.before_write(lambda: peer.rename(written.provider_event_id, "Renamed by somebody"))
        with pytest.raises(Outdated):
            await change(peer, written, title="Ours")
        assert (await listed(peer))[written.provider_event_id].title == "Renamed by somebody"

    async def test_any_other_change_is_made_upon_what_is_there(self, peer: RacingPeer):
        written = await create(peer, attendees=[Guest(email=GRACE)])
        peer.before_write(lambda: peer.answer(written.provider_event_id, GRACE))
        guests = [Guest(email=GRACE), Guest(email=ALAN)]
        event = await same_as_read(peer, await change(peer, written, strict=False, attendees=guests))
        assert {each.email: each.response_status for each in event.attendees}[GRACE] == "accepted"

    async def test_a_strict_removal_loses(self, peer: RacingPeer):
        written = await create(peer)
        peer.before_write(lambda: peer.rename(written.provider_event_id, "Renamed by somebody"))
        with pytest.raises(Outdated):
            await remove(peer, written)
        assert peer.count() == 1

    async def test_a_change_of_what_is_just_deleted(self, peer: RacingPeer):
        written = await create(peer)
        peer.before_write(lambda: peer.erase(written.provider_event_id))
        with pytest.raises(EventGone):
            await change(peer, written, title="Ours")

    async def test_a_removal_of_what_is_just_deleted(self, peer: RacingPeer):
        written = await create(peer)
        peer.before_write(lambda: peer.erase(written.provider_event_id))
        await remove(peer, written)
        assert peer.count() == 0

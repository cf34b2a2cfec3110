"""Two pieces of news that are as good as one: `calendar.sync_events` that nobody has seen yet takes in the ones before."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

MERGEABLE = frozenset({"calendar.sync_events"})
"""Types whose newer message says all that an older one of the same calendar said."""

MOST_IDS = 100


class SyncData(msgspec.Struct, forbid_unknown_fields=True):
    """The `data` of `calendar.sync_events`."""

    calendar_id: str
    last_updated_ts: datetime
    initial: bool
    first_seq: int
    last_seq: int
    change_count: int
    affected_event_ids: list[str]
    truncated: bool
    counts: dict[str, int]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    timestamp: datetime
    data: SyncData


def merged(older: Sequence[bytes], newer: bytes) -> bytes | None:
    """The body that says what all of them say, oldest first in `older`; type and time are the newest's.

    The oldest `last_updated_ts` and `first_seq`, the highest `last_seq`, all changes counted, up to 100 ids, `initial` when
    one of them was. Who reads the change log from `first_seq` to `last_seq` has read what each of them meant.
    None when one of them cannot be read: another version of this program has written it.
    """
    try:
        bodies = [_decode(body) for body in (*older, newer)]
    except msgspec.DecodeError:
        return None
    newest, syncs = bodies[-1], [body.data for body in bodies]
    ids = list(dict.fromkeys(event_id for sync in syncs for event_id in sync.affected_event_ids))
    counts: dict[str, int] = {}
    for sync in syncs:
        for kind, count in sync.counts.items():
            counts[kind] = counts.get(kind, 0) + count
    data = SyncData(
        calendar_id=newest.data.calendar_id,
        last_updated_ts=min(sync.last_updated_ts for sync in syncs),
        initial=any(sync.initial for sync in syncs),
        first_seq=min(sync.first_seq for sync in syncs),
        last_seq=max(sync.last_seq for sync in syncs),
        change_count=sum(sync.change_count for sync in syncs),
        affected_event_ids=ids[:MOST_IDS],
        truncated=len(ids) > MOST_IDS or any(sync.truncated for sync in syncs),
        counts=counts,
    )
    return _encode(_Body(newest.type, newest.timestamp, data))


_decode = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode

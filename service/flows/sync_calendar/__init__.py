"""Keeping calendars in step: claim what is due, read the provider, decide, settle.

    claim ──lease──► reading: pages (network, no transaction) ──► core.sync decides ──► settlement (one transaction)
                        │ ProviderError
                        └──────────► a Fact ──► core.lifecycle.after ──────────────────► settlement

Where the rules for links are others than when a calendar was last examined, its stored events are examined again on the
way (`examination`), also when the provider cannot be read; a calendar that is disconnected is claimed for that alone.

Each calendar runs as a task of its own, under a lease of its own; a task that dies leaves its lease to run out, and
the calendar is due again. Nothing of a round is stored before all of it was read, so a crash costs one round.
"""

from service.flows.sync_calendar.syncer import Syncer

__all__ = ["Syncer"]

"""Writing events at providers, exactly once, and following what becomes of them there.

    a request ──begin: a wish, committed──► pending ──the provider, no transaction──► settle: event, log, managed ──► 201
                                              │ patience over, told 503                     └── quiet: nobody's news
                                              └──► gone on with, or undone, by the Resumer

A wish is kept before the first request goes out, under a key that makes a repeated request the same one at the provider.
So whatever becomes of the request, of its answer or of this process, the wish is carried out once; where the caller was told
that it failed, it is taken back. While a calendar has wishes on their way it is not read.
"""

from service.flows.writing.busy_times import Selection, select, times
from service.flows.writing.conflicts import Conflict
from service.flows.writing.conflicts import find as find_conflicts
from service.flows.writing.following import Follower
from service.flows.writing.opening import digest
from service.flows.writing.resuming import Resumer
from service.flows.writing.scene import Job, primary_calendar
from service.flows.writing.wishes import Meant, change_event, create_event, remove_event

__all__ = [
    "Conflict",
    "Follower",
    "Job",
    "Meant",
    "Resumer",
    "Selection",
    "change_event",
    "create_event",
    "digest",
    "find_conflicts",
    "primary_calendar",
    "remove_event",
    "select",
    "times",
]

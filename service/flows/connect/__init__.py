"""Connecting a calendar, giving it new credentials, changing its settings, asking for a read, and letting it go.

credentials ──admission: what the provider says (network, no transaction)──► connection: one transaction (placing), and the news
"""

from service.flows.connect.admission import admit, look
from service.flows.connect.connection import CalendarPatch, NewSecret, add, change
from service.flows.connect.placing import AlreadyConnected, NewCalendar
from service.flows.connect.removal import remove
from service.flows.connect.request import resync, resync_all, resync_each

__all__ = [
    "AlreadyConnected",
    "CalendarPatch",
    "NewCalendar",
    "NewSecret",
    "add",
    "admit",
    "change",
    "look",
    "remove",
    "resync",
    "resync_all",
    "resync_each",
]

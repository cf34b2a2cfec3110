"""Calendars and connections, which are accounts with their calendars: they come, are renewed, changed, read again and let go.

credentials ──admission: what the provider says (network, no transaction)──► connection: one transaction (placing), and the news
"""

from service.flows.connect.account import provider_calendars, refresh
from service.flows.connect.admission import admit, look
from service.flows.connect.connection import CalendarPatch, NewSecret, add, change
from service.flows.connect.placing import AlreadyConnected, NewCalendar
from service.flows.connect.preference import set_primary
from service.flows.connect.removal import remove, remove_connection
from service.flows.connect.request import resync, resync_all, resync_connection, resync_each
from service.flows.connect.selection import ConnectionPatch, change_connection, may_edit

__all__ = [
    "AlreadyConnected",
    "CalendarPatch",
    "ConnectionPatch",
    "NewCalendar",
    "NewSecret",
    "add",
    "admit",
    "change",
    "change_connection",
    "look",
    "may_edit",
    "provider_calendars",
    "refresh",
    "remove",
    "remove_connection",
    "resync",
    "resync_all",
    "resync_connection",
    "resync_each",
    "set_primary",
]

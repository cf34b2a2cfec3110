"""Provider push: a notice makes its calendar due; channels are opened, prolonged or followed by a successor, and closed.

A notice carries no data and is believed only with its channel's secret; what it is about, the next sync reads.
"""

from service.flows.push.receiving import Storms, received
from service.flows.push.renewal import renew
from service.flows.push.renewer import Renewer, renew_due

__all__ = ["Renewer", "Storms", "received", "renew", "renew_due"]

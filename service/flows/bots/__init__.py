"""Bots: planned for events and series, kept in step with their meetings, and launched when their time comes.

a plan, or a change ──► a look is due ──Keeper: one transaction──► bots, webhooks, the next look
                                             └── for an HTTP runner: launching ──Launcher: one request──► launched
"""

from service.flows.bots.keeping import Keeper
from service.flows.bots.launching import Launcher

__all__ = ["Keeper", "Launcher"]

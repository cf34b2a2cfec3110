"""Exchange's two limits per client and mailbox: requests at once, and requests in ten minutes. Refused ones count."""

from collections import deque

from simulator.microsoft.errors import GraphError
from simulator.microsoft.state import State

TEN_MINUTES = 600.0


def spend(state: State, client_id: str, email: str) -> None:
    """Count a request, and refuse it when a limit is reached."""
    settings = state.settings
    headers = {"Retry-After": str(settings.retry_after)}
    if state.under_way[email] >= settings.concurrency:
        message = "Application is over its MailboxConcurrency limit."
        raise GraphError(429, "ApplicationThrottled", message, headers=headers)
    if settings.per_ten_minutes is None:
        return
    now = state.now().timestamp()
    spent = state.spent.setdefault(f"{client_id} {email}", deque())
    while spent and spent[0] <= now - TEN_MINUTES:
        spent.popleft()
    spent.append(now)
    if len(spent) > settings.per_ten_minutes:
        raise GraphError(429, "TooManyRequests", "Too many requests.", headers=headers)

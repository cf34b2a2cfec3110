"""Google's request quotas: sliding windows per project and per user of a project."""

from collections import deque

from simulator.google.errors import GoogleError
from simulator.google.state import State

MESSAGES = {
    "rateLimitExceeded": "Rate Limit Exceeded",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "quotaExceeded": "Calendar usage limits exceeded.",
}


def spend(state: State, project: str, email: str) -> None:
    """Count a request, refused ones too, and refuse it when a window is full."""
    settings = state.settings
    windows = (
        (f"user:{project}:{email}", settings.per_minute_user, 60.0, "userRateLimitExceeded"),
        (f"project:{project}", settings.per_minute_project, 60.0, "rateLimitExceeded"),
        (f"day:{project}", settings.per_day_project, 86400.0, "quotaExceeded"),
    )
    now = state.now().timestamp()
    refused = None
    for key, limit, seconds, reason in windows:
        if limit is None:
            continue
        spent = state.spent.setdefault(key, deque())
        while spent and spent[0] <= now - seconds:
            spent.popleft()
        if len(spent) >= limit:
            refused = refused or reason
        spent.append(now)
    if refused is not None:
        # A 429 always says rateLimitExceeded, whoever the limit is for.
        reason = refused if settings.quota_status == 403 else "rateLimitExceeded"
        raise GoogleError(settings.quota_status, reason, MESSAGES[reason], domain="usageLimits")

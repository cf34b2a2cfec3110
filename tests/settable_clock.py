"""A clock for tests."""

from datetime import datetime, timedelta


class Clock:
    """A clock that stands still until a test moves it; called, it answers the moment."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float = 0.0, **more: float) -> datetime:
        """Move on by seconds, or by whatever timedelta takes."""
        self.now += timedelta(seconds=seconds, **more)
        return self.now

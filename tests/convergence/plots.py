"""What a history needs to know of a provider: its people and calendars, its moods, and the faults it is known for."""

from random import Random
from typing import Any, Protocol

from convergence.history import People
from convergence.microsoft_history import OutlookPeople
from settable_clock import Clock

from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld

ZONES = ("UTC", "America/New_York", "Europe/Paris")


class Plot(Protocol):
    """A provider's stage directions; `people` are its accounts, the first of whom has a second calendar."""

    people: tuple[str, ...]
    faults: tuple[str, ...]

    def world(self, clock: Clock, seed: int) -> Any: ...
    def furnish(self, world: Any, random: Random) -> str: ...
    def actors(self, world: Any, random: Random, clock: Clock, calendars: list[str]) -> Any: ...
    def endpoint(self, preset: str) -> str: ...


class GooglePlot:
    people = ("ada@example.com", "grace@example.com", "lin@example.com")
    faults = (
        "backend_500", "backend_503", "429_retry_after", "503_retry_after", "user_rate_limit_403", "broken_page",
        "html_200", "truncated_page", "lost_answer", "unauthorized_401", "full_sync_required_410",
        "invalid_sync_token_400", "hang", "not_found_404", "token_500", "invalid_grant", "invalid_client",
        "calendar_limits_403", "api_disabled_403",
    )  # fmt: skip

    def world(self, clock: Clock, seed: int) -> World:
        return World(clock, seed)

    def furnish(self, world: World, random: Random) -> str:
        """The accounts; the id of the second calendar."""
        world.set(
            series_years=0.3,
            tombstone_days=random.choice([3, 31]),
            short_pages=random.random() < 0.5,
            empty_pages=random.choice([0, 0, 1, 2]),
            largest_page=random.choice([20, 100, 2500]),
            cancelled_master_row=random.random() < 0.3,
        )
        for email, zone in zip(self.people, ZONES, strict=True):
            world.add_account(email, time_zone=zone, rotates_refresh_tokens=random.random() < 0.5)
        return world.add_calendar(self.people[0], "Team", time_zone="Asia/Kolkata")

    def actors(self, world: World, random: Random, clock: Clock, calendars: list[str]) -> People:
        return People(world, random, clock, calendars)

    def endpoint(self, preset: str) -> str:
        """Where a fault strikes."""
        if preset in {"token_500", "invalid_grant", "invalid_client"}:
            return "token"
        # Of a calendar it may be a bad minute; of a series it is Google's word that there is none.
        return "events.list" if preset == "not_found_404" else "events.*"


class MicrosoftPlot:
    people = ("ada@contoso.example", "grace@contoso.example", "lin@outlook.example")
    faults = (
        "internal_500", "service_503", "server_busy_503", "gateway_timeout_504", "too_many_requests_429",
        "application_throttled_429", "broken_page", "html_200", "truncated_page", "lost_answer", "unauthorized_401",
        "claims_401", "sync_state_410", "sync_state_400", "sync_state_404", "sync_state_410_location", "hang",
        "item_not_found_404", "access_denied_403", "mailbox_not_enabled_404", "mailbox_move_503", "invalid_id_400",
        "looping_next_link", "AADSTS70000", "AADSTS7000215", "AADSTS90033", "AADSTS50196", "AADSTS65001", "token_429",
    )  # fmt: skip

    def world(self, clock: Clock, seed: int) -> MicrosoftWorld:
        return MicrosoftWorld(clock, seed)

    def furnish(self, world: MicrosoftWorld, random: Random) -> str:
        """The accounts; the id of the second calendar."""
        world.set(
            series_years=0.3,
            rotation=random.choice(["normal", "grace", "strict"]),
            empty_pages=random.choice([0, 0, 1, 3]),
            largest_page=random.choice([7, 50, 1000]),
            repeat_rows=random.random() < 0.5,
            masters_last=random.random() < 0.5,
            stray_removals=random.random() < 0.5,
            case_twins=random.random() < 0.5,
            preserve_declined=random.random() < 0.5,
            lag_seconds=random.choice([0, 0, 40]),
            sync_state_status=random.choice([410, 400, 404]),
            sync_state_location=random.random() < 0.5,
            calendar_subscriptions=random.random() < 0.8,
        )
        for email, zone in zip(self.people, ZONES, strict=True):
            world.add_account(email, time_zone=zone)
        return world.add_calendar(self.people[0], "Team")

    def actors(self, world: MicrosoftWorld, random: Random, clock: Clock, calendars: list[str]) -> OutlookPeople:
        return OutlookPeople(world, random, clock, calendars)

    def endpoint(self, preset: str) -> str:
        """Where a fault strikes."""
        if preset.startswith("AADSTS") or preset == "token_429":
            return "token"
        # Of a series it would be Graph's word that there is none.
        return "calendarView.delta" if preset in {"item_not_found_404", "looping_next_link"} else "*.*"


PLOTS: dict[str, Plot] = {"google": GooglePlot(), "microsoft": MicrosoftPlot()}

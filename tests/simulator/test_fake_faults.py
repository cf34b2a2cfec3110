"""Faults, quotas and counters: whatever Google may answer can be had on demand."""

from datetime import timedelta

import pytest
from judged_caller import ADA, GRACE, timed

from simulator.google.faults import API_PRESETS, PRESETS, TOKEN_PRESETS


@pytest.mark.parametrize("preset", sorted(API_PRESETS))
def test_every_api_refusal_comes_in_googles_envelope(google, world, preset):
    world.add_fault(preset, endpoint="events.*")
    reply = google.events()
    status, body = API_PRESETS[preset]
    assert (reply.status, reply.json) == (status, body)
    assert google.events().status == 200


@pytest.mark.parametrize("preset", sorted(TOKEN_PRESETS))
def test_every_token_refusal_is_flat(google, world, preset):
    world.add_fault(preset, endpoint="token")
    assert google.events().status == 200
    reply = google.refresh()
    assert (reply.status, reply.json) == TOKEN_PRESETS[preset]
    assert google.refresh().status == 200


def test_the_known_presets_are_there():
    wanted = {
        "invalid_grant", "invalid_client", "rate_limit_403", "user_rate_limit_403", "quota_403", "daily_limit_403",
        "scope_403", "api_disabled_403", "forbidden_403", "not_found_404", "full_sync_required_410", "backend_500",
        "503_retry_after", "html_200", "broken_page", "huge_page", "hang", "latency",
    }  # fmt: skip
    assert wanted <= set(PRESETS)


def test_wire_faults(google, world):
    google.judging = False
    world.add_fault("503_retry_after", seconds=11)
    assert google.events().answer.headers == {"Retry-After": "11"}
    world.add_fault("huge_page")
    assert len(google.events().answer.body) > 10_000_000
    world.add_fault("latency", seconds=0.5)
    reply = google.events()
    assert (reply.status, reply.answer.delay) == (200, 0.5)
    world.add_fault("custom", status=418, body={"error": "teapot"}, headers={"X-Tea": "green"})
    reply = google.events()
    assert (reply.status, reply.json, reply.answer.headers) == (418, {"error": "teapot"}, {"X-Tea": "green"})


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        ({}, [500, 200, 200]),
        ({"times": 2}, [500, 500, 200]),
        ({"skip": 1}, [200, 500, 200]),
        ({"times": None}, [500, 500, 500]),
        ({"probability": 0.0}, [200, 200, 200]),
        ({"calendar": GRACE}, [200, 200, 200]),
        ({"calendar": ADA}, [500, 200, 200]),
        ({"account": GRACE}, [200, 200, 200]),
        ({"endpoint": "events.*"}, [500, 200, 200]),
        ({"endpoint": "calendarList.*"}, [200, 200, 200]),
    ],
)
def test_a_rule_aims(google, world, options, statuses):
    world.add_fault("backend_500", **options)
    assert [google.events().status for _ in range(3)] == statuses


def test_chance_comes_from_the_seed(google, world):
    world.add_fault("backend_500", times=None, probability=0.5)
    statuses = [google.events().status for _ in range(40)]
    assert 5 < statuses.count(500) < 35
    world.clear_faults()
    assert google.events().status == 200


def test_an_answer_may_be_lost_after_the_effect(google, world):
    world.add_fault("backend_503", endpoint="events.insert", after=True)
    body = timed("2025-03-25T09:00:00+01:00", id="abcde")
    assert google.call("POST", "/calendars/primary/events", body).status == 503
    assert google.events().ids == ["abcde"]
    assert google.call("POST", "/calendars/primary/events", body).reason == "duplicate"


def test_an_unknown_preset_is_refused(world):
    with pytest.raises(ValueError, match="unknown preset"):
        world.add_fault("meteor")


@pytest.mark.parametrize(
    ("settings", "status", "reason"),
    [
        ({"per_minute_user": 3}, 403, "userRateLimitExceeded"),
        ({"per_minute_project": 3}, 403, "rateLimitExceeded"),
        ({"per_day_project": 3}, 403, "quotaExceeded"),
        ({"per_minute_user": 3, "quota_status": 429}, 429, "rateLimitExceeded"),
    ],
)
def test_quotas(google, world, now, settings, status, reason):
    world.set(**settings)
    assert [google.events().status for _ in range(4)] == [200, 200, 200, status]
    assert google.events().reason == reason
    now[0] += timedelta(seconds=61)
    assert google.events().status == (status if "per_day_project" in settings else 200)


def test_a_users_quota_is_his_own(google, grace, world):
    world.set(per_minute_user=1)
    assert [caller.events().status for caller in (google, grace, google, grace)] == [200, 200, 403, 403]


def test_a_disabled_api(google, world):
    world.set(api_enabled=False)
    assert google.events().reason == "accessNotConfigured"


def test_every_request_is_counted(google, world):
    world.reset_counters()
    token = google.events().token
    google.events(syncToken=token)
    google.events("nobody@example.com")
    google.refresh()
    assert world.read_counters() == {"events.list": 3, "token": 1, "total": 4}
    calls = world.read_calls("events.list")
    assert [call["status"] for call in calls] == [200, 200, 404]
    assert calls[1]["query"] == {"syncToken": [token]}
    assert {call["account"] for call in world.read_calls()} == {ADA}


def test_an_unknown_path_is_not_found(google):
    google.judging = False
    assert google.get("/calendars/primary/nonsense").status == 404
    assert google.call("PATCH", "/calendars/primary").status == 404

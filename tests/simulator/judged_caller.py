"""A judged caller of the fake, and short forms of event bodies."""

import json
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from discovery import judge_request, judge_response

from simulator.google.answers import Answer, Request
from simulator.google.world import World

NOW = datetime(2025, 3, 24, 8, 0, tzinfo=UTC)
ADA, GRACE = "ada@example.com", "grace@example.com"
ROOT = "/calendar/v3"


class Reply:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.status = answer.status
        self.json = json.loads(answer.body) if answer.body else None

    @property
    def reason(self) -> str:
        return self.json["error"]["errors"][0]["reason"]

    @property
    def items(self) -> list[dict]:
        assert self.status == 200, self.json
        return self.json["items"]

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.items]

    @property
    def rows(self) -> dict[str, dict]:
        return {item["id"]: item for item in self.items}

    @property
    def token(self) -> str:
        return self.json["nextSyncToken"]


class Caller:
    """Speaks to a world as one account does, and lets the discovery document judge both sides."""

    def __init__(self, world: World, email: str = ADA) -> None:
        self.world = world
        self.email = email
        self.judging = True
        self.connection = world.connect(email)
        self.access_token = self.refresh().json["access_token"]

    def refresh(self, **changes: str) -> Reply:
        form = {name: self.connection[name] for name in ("client_id", "client_secret", "refresh_token")}
        return self.post_form("/token", {**form, "grant_type": "refresh_token", **changes})

    def post_form(self, path: str, form: dict) -> Reply:
        return Reply(self.world.handle(Request("POST", path, body=urlencode(form).encode())))

    def call(self, method: str, path: str, body: dict | None = None, headers: dict | None = None, **params) -> Reply:
        query = {name: value if isinstance(value, list) else [str(value)] for name, value in params.items()}
        content = json.dumps(body).encode() if body is not None else b""
        sent = {"authorization": f"Bearer {self.access_token}", **(headers or {})}
        if self.judging:
            judge_request(method, f"https://x{ROOT}{path}?{urlencode(query, doseq=True)}", body)
        answer = self.world.handle(Request(method, ROOT + path, query, sent, content))
        if self.judging:
            judge_response(method, ROOT + path, answer.status, answer.body)
        return Reply(answer)

    def get(self, path: str, **params) -> Reply:
        return self.call("GET", path, **params)

    def events(self, calendar: str = "primary", **params) -> Reply:
        return self.get(f"/calendars/{quote(calendar, safe='')}/events", **params)

    def expanded(self, **params) -> Reply:
        return self.events(singleEvents="true", **params)

    def all_pages(self, **params) -> tuple[list[dict], str]:
        items: list[dict] = []
        token: dict[str, str] = {}
        while True:
            reply = self.events(**params, **token)
            items += reply.items
            if "nextPageToken" not in reply.json:
                return items, reply.token
            assert "nextSyncToken" not in reply.json
            token = {"pageToken": reply.json["nextPageToken"]}


def timed(start: str, minutes: int = 60, zone: str = "Europe/Paris", **more) -> dict:
    begin = datetime.fromisoformat(start)
    end = datetime.fromtimestamp(begin.timestamp() + minutes * 60, begin.tzinfo)
    return {
        "summary": "Meeting",
        "start": {"dateTime": begin.isoformat(), "timeZone": zone},
        "end": {"dateTime": end.isoformat(), "timeZone": zone},
        **more,
    }


def all_day(first: str, last: str, **more) -> dict:
    return {"summary": "Day", "start": {"date": first}, "end": {"date": last}, **more}


def weekly(start: str = "2025-03-24T09:00:00+01:00", rule: str = "FREQ=WEEKLY;COUNT=6", **more) -> dict:
    return timed(start, recurrence=[f"RRULE:{rule}"], **more)

"""A judged caller of the fake Microsoft, a consumer of its deltas, and short forms of event bodies."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from graph_schema import judge, judge_answer

from simulator.google.answers import Answer, Request
from simulator.microsoft.world import MicrosoftWorld

NOW = datetime(2025, 3, 24, 8, 0, tzinfo=UTC)
BARBARA, LESLIE, KAREN = "barbara@contoso.example", "leslie@contoso.example", "karen@outlook.example"
WINDOW = ("2025-03-23T00:00:00Z", "2025-04-23T00:00:00Z")
PREFER = 'odata.maxpagesize=200, outlook.timezone="UTC", IdType="ImmutableId"'


class Reply:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.status = answer.status
        self.headers = answer.headers
        self.json = json.loads(answer.body) if answer.body else None

    @property
    def code(self) -> str:
        return self.json["error"]["code"]

    @property
    def number(self) -> int:
        return self.json["error_codes"][0]

    @property
    def rows(self) -> list[dict]:
        assert self.status == 200, self.json
        return self.json["value"]

    @property
    def by_id(self) -> dict[str, dict]:
        return {row["id"]: row for row in self.rows}

    @property
    def next(self) -> str | None:
        return self.json.get("@odata.nextLink")

    @property
    def delta(self) -> str:
        return self.json["@odata.deltaLink"]


class GraphCaller:
    """Speaks to a world as one account does, and lets the schema judge what it says."""

    def __init__(self, world: MicrosoftWorld, email: str = BARBARA) -> None:
        self.world = world
        self.email = email
        self.judging = True
        self.prefer: str | None = PREFER
        self.connection = world.connect(email)
        self.access_token = self.refresh().json["access_token"]

    def refresh(self, tenant: str = "common", **changes: str) -> Reply:
        form = {name: self.connection[name] for name in ("client_id", "client_secret", "refresh_token")}
        form = {"grant_type": "refresh_token", **form, **changes}
        body = urlencode({name: value for name, value in form.items() if value}).encode()
        reply = Reply(self.world.handle(Request("POST", f"/{tenant}/oauth2/v2.0/token", body=body)))
        judge(reply.json, "token" if reply.status == 200 else "loginError")
        return reply

    def rotate(self, **changes: str) -> Reply:
        """Refresh, and go on with what came."""
        reply = self.refresh(**changes)
        self.access_token = reply.json["access_token"]
        self.connection["refresh_token"] = reply.json["refresh_token"]
        return reply

    def call(self, method: str, path: str, body: dict | None = None, headers: dict | None = None, **params) -> Reply:
        sent = {"authorization": f"Bearer {self.access_token}", "host": "simulator", **(headers or {})}
        if self.prefer is not None:
            sent.setdefault("prefer", self.prefer)
        query = {name: [str(value)] for name, value in params.items()}
        content = json.dumps(body).encode() if body is not None else b""
        answer = self.world.handle(Request(method, f"/v1.0{path}", query, sent, content))
        if self.judging:
            judge_answer(method, path, answer.status, answer.body, selected="$select" in params)
        return Reply(answer)

    def get(self, path: str, **params) -> Reply:
        return self.call("GET", path, **params)

    def follow(self, link: str) -> Reply:
        parts = urlsplit(link)
        assert f"{parts.scheme}://{parts.netloc}" == "http://simulator"
        params = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return self.get(parts.path.removeprefix("/v1.0"), **params)

    def first(self, calendar: str | None = None, window: tuple[str, str] = WINDOW, **params) -> Reply:
        """The first page of a full round."""
        where = f"/calendars/{quote(calendar)}" if calendar else "/calendar"
        return self.get(f"/me{where}/calendarView/delta", startDateTime=window[0], endDateTime=window[1], **params)

    def round(self, link: str | None = None, **params) -> tuple[list[dict], str]:
        """All the rows of a round, and the link for the next."""
        reply = self.follow(link) if link else self.first(**params)
        rows = list(reply.rows)
        while reply.next:
            reply = self.follow(reply.next)
            rows += reply.rows
        return rows, reply.delta


class Copy:
    """A consumer that follows the documented rules, and so bridges the gaps of the deltas.

    Whatever of a series shows up, the series is read anew by its instances; a removed id takes its series along.
    """

    def __init__(self, caller: GraphCaller) -> None:
        self.caller = caller
        self.events: dict[str, dict] = {}
        self.link: str | None = None
        self.pull()

    def pull(self) -> None:
        rows, self.link = self.caller.round(self.link)
        series: set[str] = set()
        for row in rows:
            if "@removed" in row:
                self.drop(row["id"])
                series.discard(row["id"])
            elif row["type"] == "singleInstance":
                self.drop(row["id"])
                self.events[row["id"]] = row
            else:
                self.events.pop(row["id"], None)
                series.add(row["id"] if row["type"] == "seriesMaster" else row["seriesMasterId"])
        for each in series:
            self.read_series(each)

    def drop(self, event_id: str) -> None:
        gone = {each for each, row in self.events.items() if event_id in (each, row["seriesMasterId"])}
        self.events = {each: row for each, row in self.events.items() if each not in gone}

    def read_series(self, master: str) -> None:
        self.drop(master)
        path = f"/me/events/{quote(master)}/instances"
        reply = self.caller.get(path, startDateTime=WINDOW[0], endDateTime=WINDOW[1])
        while reply.status == 200:
            self.events |= reply.by_id
            if not reply.next:
                return
            reply = self.caller.follow(reply.next)

    def etags(self) -> dict[str, str]:
        return {each: row["@odata.etag"] for each, row in self.events.items()}


def truth(world: MicrosoftWorld, email: str = BARBARA) -> dict[str, str]:
    return {row["id"]: row["@odata.etag"] for row in world.read_truth(email, *WINDOW)}


def timed(start: str, minutes: int = 60, zone: str = "Romance Standard Time", **more) -> dict:
    begin = datetime.fromisoformat(start)
    return {
        "subject": "Meeting",
        "start": {"dateTime": begin.isoformat(), "timeZone": zone},
        "end": {"dateTime": (begin + timedelta(minutes=minutes)).isoformat(), "timeZone": zone},
        **more,
    }


def all_day(first: str, last: str, **more) -> dict:
    midnight = [{"dateTime": f"{day}T00:00:00", "timeZone": "Romance Standard Time"} for day in (first, last)]
    return {"subject": "Day", "isAllDay": True, "start": midnight[0], "end": midnight[1], **more}


def weekly(
    start: str = "2025-03-24T09:00:00", count: int | None = 6, days: tuple[str, ...] = ("monday",), **more
) -> dict:
    span = {"type": "numbered", "numberOfOccurrences": count} if count else {"type": "noEnd"}
    recurrence = {
        "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": list(days)},
        "range": {**span, "startDate": start[:10]},
    }
    return timed(start, recurrence=recurrence, **more)


def guests(*addresses: str) -> list[dict]:
    return [{"emailAddress": {"address": address}} for address in addresses]

"""Zones by any name, and those that a calendar spells out: a time is never without one."""

from datetime import UTC, datetime, timedelta

import pytest
from vevent_lists import calendar, events, only, vevent

from service.core.schedule import Window
from service.providers.vevent.zones import recognise

ODD = [
    "BEGIN:VTIMEZONE", "TZID:Customized Time Zone",
    "BEGIN:STANDARD", "DTSTART:16011028T030000", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "TZOFFSETFROM:+0245", "TZOFFSETTO:+0145", "END:STANDARD",
    "BEGIN:DAYLIGHT", "DTSTART:16010325T020000", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "TZOFFSETFROM:+0145", "TZOFFSETTO:+0245", "END:DAYLIGHT",
    "END:VTIMEZONE",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Europe/Paris", "Europe/Paris", id="IANA"),
        pytest.param("europe/paris", "Europe/Paris", id="in small letters"),
        pytest.param('"Europe/Paris"', "Europe/Paris", id="in quotes"),
        pytest.param("Romance Standard Time", "Europe/Paris", id="Windows"),
        pytest.param("/freeassociation.sourceforge.net/Tzfile/Europe/Paris", "Europe/Paris", id="a vendor's prefix"),
        pytest.param("/mozilla.org/20050126_1/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires", id="of three parts"),
        pytest.param("/Europe/Paris", "Europe/Paris", id="a slash"),
        pytest.param("(UTC+01:00) Brussels, Copenhagen, Madrid, Paris", "Europe/Brussels", id="as Windows shows it"),
        pytest.param("(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi", "Asia/Kolkata", id="its second city"),
        pytest.param("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York", id="without a city"),
        pytest.param("(UTC+09:00) Brussels", None, id="a city that lies elsewhere"),
        pytest.param("Customized Time Zone", None, id="Outlook's own"),
        pytest.param("../../etc/passwd", None, id="a path"),
        pytest.param("\0", None, id="NUL"),
        pytest.param("x" * 10_000, None, id="long"),
        pytest.param("", None, id="empty"),
    ],
)  # fmt: skip
def test_a_zone_is_known_by_any_of_its_names(name, expected):
    assert recognise(name) == expected


@pytest.mark.parametrize(
    ("start", "hour", "zone"),
    [
        pytest.param("DTSTART;TZID=Europe/Paris:20260304T100000", "09:00", "Europe/Paris", id="a zone"),
        pytest.param("DTSTART:20260304T100000Z", "10:00", "Asia/Tokyo", id="UTC"),
        pytest.param("DTSTART:20260304T100000", "01:00", "Asia/Tokyo", id="floating"),
        pytest.param("DTSTART;TZID=Nowhere/Land:20260304T100000", "01:00", "Asia/Tokyo", id="unknown"),
        pytest.param("DTSTART;TZID=Customized Time Zone:20260304T100000", "08:15", None, id="spelt out"),
        pytest.param("DTSTART;TZID=Customized Time Zone:20260704T100000", "07:15", None, id="spelt out, in summer"),
        pytest.param("DTSTART;TZID=(UTC+01:00) Brussels, Copenhagen:20260304T100000", "09:00", "Europe/Brussels", id="a colon without quotes"),
        pytest.param('DTSTART;TZID="(UTC+01:00) Brussels":20260304T100000', "09:00", "Europe/Brussels", id="a colon in quotes"),
        pytest.param("DTSTART;TZID=GMT+0200:20260304T100000", "08:00", None, id="an offset"),
        pytest.param("DTSTART;TZID=UTC-3:20260304T100000", "13:00", None, id="a short offset"),
        pytest.param("DTSTART;TZID=Europe/Paris:20260304T100000Z", "10:00", "Asia/Tokyo", id="a zone and UTC"),
        pytest.param("DTSTART:2026-03-04T10:00:00+02:00", "08:00", None, id="as others write it"),
        pytest.param("DTSTART:20260304T1000Z", "10:00", "Asia/Tokyo", id="without seconds"),
        pytest.param("DTSTART:20260304T235960Z", "23:59", "Asia/Tokyo", id="a leap second"),
        pytest.param("DTSTART;VALUE=DATE-TIME;TZID=Europe/Paris:20260303T240000", "23:00", "Europe/Paris", id="the end of a day"),
    ],
)  # fmt: skip
def test_a_start_is_an_instant_whatever_its_zone_is_called(start, hour, zone):
    wide = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

    event = only(calendar(*ODD, vevent(start)), window=wide, time_zone="Asia/Tokyo")

    assert (f"{event.starts_at:%H:%M}", event.time_zone) == (hour, zone)


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        pytest.param("20260329T015900", "0329T0014", id="before it is left out"),
        pytest.param("20260329T023000", "0329T0045", id="left out"),
        pytest.param("20260329T030000", "0329T0015", id="after it"),
        pytest.param("20261025T015900", "1024T2314", id="before it comes twice"),
        pytest.param("20261025T023000", "1024T2345", id="the first of two"),
        pytest.param("20261025T030000", "1025T0115", id="after both"),
    ],
)
def test_a_zone_that_is_spelt_out_changes_its_clock(wall, instant):
    wide = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

    event = only(calendar(*ODD, vevent(f"DTSTART;TZID=Customized Time Zone:{wall}", "DURATION:PT1H")), window=wide)

    assert f"{event.starts_at:%m%dT%H%M}" == instant
    assert event.ends_at - event.starts_at == timedelta(hours=1)


def test_a_series_in_a_zone_that_is_spelt_out_keeps_its_wall_clock():
    found = events(
        calendar(*ODD, vevent("DTSTART;TZID=Customized Time Zone:20200101T100000", "RRULE:FREQ=WEEKLY;BYDAY=SU"))
    )

    assert [f"{each.starts_at:%d %H:%M}" for each in found] == [
        "01 08:15",
        "08 08:15",
        "15 08:15",
        "22 08:15",
        "29 07:15",
    ]


def test_a_zone_that_is_spelt_out_may_say_which_it_is():
    named = [*ODD[:2], "X-LIC-LOCATION:America/New_York", *ODD[2:]]

    event = only(calendar(*named, vevent("DTSTART;TZID=Customized Time Zone:20260304T100000")))

    assert (event.starts_at.hour, event.time_zone) == (15, "America/New_York")


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["BEGIN:STANDARD", "END:STANDARD"], id="empty"),
        pytest.param([line.replace("FREQ=YEARLY", "FREQ=SECONDLY") for line in ODD[2:-1]], id="every second"),
        pytest.param([line.replace("+0245", "+9900") for line in ODD[2:-1]], id="four days off"),
        pytest.param([line.replace("DTSTART:1601", "DTSTART:0000") for line in ODD[2:-1]], id="the year 0"),
    ],
)
def test_a_zone_that_makes_no_sense_is_the_calendars(lines):
    event = only(
        calendar(*ODD[:2], *lines, ODD[-1], vevent("DTSTART;TZID=Customized Time Zone:20260304T100000")),
        time_zone="Asia/Tokyo",
    )

    assert event.starts_at.hour == 1

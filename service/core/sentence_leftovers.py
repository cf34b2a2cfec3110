"""What shows that a sentence says more than was read of it: a wrong event is worse than none, so it is refused.

Looked for in what is left once days, times and repeats are taken out of it, before the rest becomes a title.
"""

import re
from typing import Final

from service.core.sentence_days import NoDateFound
from service.core.sentence_numbers import has_loose_numbers

_DAY: Final = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:days?)?s?"
_PERIOD: Final = (
    rf"(?:{_DAY}|days?|weeks?|weekdays?|weekends?|months?|quarters?|years?|hours?|minutes?|fortnights?|mornings?|"
    r"afternoons?|evenings?|nights?)"
)
_REPEATS: Final = {
    "en": (
        rf"(?:every|each)\s+(?:[\w.]+\s+){{0,2}}{_PERIOD}",
        r"except|excluding|unless|apart\sfrom|other\sthan",
        r"bi-?weekly|fortnightly|bi-?monthly",
        r"(?:daily|weekly|monthly|quarterly|yearly|annually|hourly)(?=\s*(?:$|[,.;]))",
        r"(?:for|over)\s+(?:\w+|the\snext)\s+(?:times|occurrences|sessions|weeks?|months?|years?)",
        rf"{_DAY}\s*(?:,\s*(?:and\s)?|and\s|&\s*|/|\+\s*|or\s|-|\u2013|to\s|through\s|thru\s){_DAY}",
    ),
    "de": (
        r"jede[nrsm]?|täglich|wöchentlich|monatlich|jährlich",
        r"alle\s(?:\d+|zwei|drei|vier)\s(?:tage|wochen|monate|jahre)",
        r"(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag)s",
    ),
    "fr": (r"chaque|tous\sles|toutes\sles|quotidien(?:nement)?|hebdomadaire",),
    "es": (r"cada|tod[oa]s\sl[oa]s|diariamente|semanalmente",),
    "pt": (r"tod[oa]s\s[oa]s|toda\s(?:segunda|terça|quarta|quinta|sexta|semana)|todo\s(?:dia|mês|sábado|domingo)",),
    "it": (r"ogni|tutti\si|tutte\sle",),
    "nl": (r"elke|iedere?|dagelijks|wekelijks",),
    "pl": (r"każdy|każda|każde|każdego|każdą|codziennie|co\s(?:\d+\s)?(?:tydzień|dzień|miesiąc|rok|tygodnie|dni)",),
    "sv": (r"varje|varannan|vartannat|dagligen",),
    "da": (r"hver|hvert|dagligt",),
    "tr": (r"her\s(?:gün|hafta|ay|y\u0131l|pazartesi|sal\u0131|çarşamba|perşembe|cuma|cumartesi|pazar)",),
    "ru": (r"каждый|каждая|каждую|каждое|каждые|каждого|ежедневно|еженедельно",),
    "uk": (r"кожен|кожна|кожну|кожне|кожного|щодня|щотижня",),
}
"""How each language says that something comes again. Of these only some of the English ways are read."""

_UNSPACED_REPEATS: Final = (
    r"毎[日週月年朝晩]|隔週|每\s?(?:天|周|週|月|年|日|个|個|星期|\d)|매\s?[일주월년]|마다|כל\s|كل\s"
)
_REPEAT: Final = re.compile(
    "|".join([*(rf"\b(?:{each})\b" for ways in _REPEATS.values() for each in ways), _UNSPACED_REPEATS]), re.IGNORECASE
)
_NUMBER_OF_DAY: Final = re.compile(
    r"(?:\b(?:on(?: the)?|am|le|el|il|den|dia|día|dnia|op|vom|du|del)\s+\d{1,2}(?:st|nd|rd|th|\.|er|º|ª)?"
    r"|(?<!\w)\d{1,2}(?:日|号|號|일))(?=\s|$)",
    re.IGNORECASE,
)
_MAY_BE_HOURS: Final = re.compile(
    r"(?<![\w.,/:\-])(?:[01]?\d|2[0-4])(?:\s?[-\u2013]\s?(?:[01]?\d|2[0-4])|\.[0-5]\d)(?![\w:/%]|[.,\-]\d)"
)


def refuse_leftovers(rest: str, *, has_day: bool, has_time: bool) -> None:
    """Raises NoDateFound where the rest of a sentence repeats, or names a day or hours, in a way that nobody has read."""
    if _REPEAT.search(rest):
        raise NoDateFound(
            "the sentence says how often in a way that is not understood: name the rule with `recurrence`"
        )
    if not has_day and (has_loose_numbers(rest) or _NUMBER_OF_DAY.search(rest)):
        raise NoDateFound("the sentence has numbers that are no day of any calendar")
    if not has_time and _MAY_BE_HOURS.search(rest):
        raise NoDateFound("the sentence has numbers that may be hours: `from 9 to 10:30`, `at 14:10`")

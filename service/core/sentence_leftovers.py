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
    r"afternoons?|evenings?|nights?|january|february|march|april|may|june|july|august|september|october|november|december|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
)
_REPEATS: Final = {
    "en": (
        rf"(?:every|each)\s+(?:[\w.]+\s+){{0,3}}{_PERIOD}",
        r"(?:mon|tues|wednes|thurs|fri|satur|sun)days",
        rf"(?:except|excluding|unless|but\snot)(?:\s\w+){{0,2}}\s(?:{_PERIOD}|holidays?)",
        rf"(?:first|1st|second|2nd|third|3rd|fourth|4th|last|\d{{1,2}}(?:st|nd|rd|th))(?:\s{_PERIOD})?\s(?:of|in)\s\w+\s(?:month|quarter|year)",
        r"(?:once|twice|\w+\stimes)\s(?:an?|per|each|every)\s\w+",
        r"bi-?weekly|fortnightly|bi-?monthly",
        r"(?:daily|weekly|monthly|quarterly|yearly|annually|hourly)(?=\s*(?:$|[,.;]))",
        r"(?:for|over)\s+(?:the\snext\s+)?(?:\d+|an?|one|two|three|four|five|six|ten|several|(?:a\s)?few)\s+(?:times|occurrences|sessions|weeks?|months?|years?)",
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
_VAGUE: Final = {
    "en": (
        r"(?:this|next|following|coming|last)\s(?:week|weekend|month|quarter|year)|weekend|after\snext",
        r"(?:end|beginning|start|middle)\sof\s(?:the\s|this\s|next\s)?(?:week|month|quarter|year)",
        rf"(?:weeks?|months?|days?)\s(?:from|after|before|on)\s{_DAY}",
    ),
    "de": (
        r"(?:dies|nächst|kommend|übernächst)e[nrsm]?\s(?:woche|monat|jahr|wochenende|quartal|\w+tag|mittwoch)",
        r"wochenende|(?:ende|anfang|mitte)\s(?:des|der|nächste[nr])\s(?:woche|monats|jahres)",
    ),
    "fr": (
        r"(?:semaine|mois|année|week-end)\s(?:prochaine?|suivante?)|week-end|fin\s(?:du|de)\s(?:mois|semaine)|en\shuit",
    ),
    "es": (
        r"(?:próxim[oa]|siguiente|est[ea])\s(?:semana|mes|año)|fin\sde\s(?:semana|mes|año)",
        r"(?:semana|mes|año)\s(?:que\sviene|próxim[oa]|siguiente)",
    ),
    "pt": (
        r"(?:próxim[oa]|n?est[ea])\s(?:semana|mês|ano)|(?:semana|mês|ano)\sque\svem|fi(?:m|nal)\sd[eo]\s(?:semana|mês)",
    ),
    "it": (
        r"(?:prossim[oa]|quest[oa])\s(?:settimana|mese|anno)|(?:settimana|mese|anno)\sprossim[oa]|fine\s(?:settimana|mese)",
    ),
    "nl": (r"(?:volgende|komende|deze)\s(?:week|maand|jaar|\w+dag)|eind\svan",),
    "pl": (r"(?:przyszł|następn)\w+\s\w+|tym\s(?:tygodniu|miesiącu)",),
    "sv": (r"nästa\s\w+|i\shelgen|(?:denna|den\shär)\svecka",),
    "da": (r"næste\s\w+|weekenden|denne\suge",),
    "tr": (r"gelecek\s\w+|önümüzdeki|haftaya|bu\shafta|hafta\ssonu",),
    "ru": (r"следующ\w+\s\w+", "этой неделе", "выходные", "выходных"),
    "uk": (r"наступн\w+\s\w+|цього\sтижня|вихідн\w+",),
}
"""How each language names a stretch of time and no day of it."""

_UNSPACED_VAGUE: Final = r"再?来[週月年]|今[週月]|週末|次の|下下?[个個]?(?:周|週|星期|礼拜|月)|[这這本](?:周|週|个?月)|周末|다음|이번\s?[주달]|주말|القادم|المقبل|הבא|השבוע"
_VAGUELY: Final = re.compile(
    "|".join([*(rf"\b(?:{each})\b" for ways in _VAGUE.values() for each in ways), _UNSPACED_VAGUE]), re.IGNORECASE
)
_ORDINAL: Final = r"(?:first|second|third|fourth|fifth|last|penultimate|\d{1,2}(?:st|nd|rd|th))"
_CONDITION: Final = re.compile(
    r"\b(?:except|excluding|unless|apart\sfrom|other\sthan|but\snot|only|until|till?|through|thru|times|every|each|starting)\b"
    rf"|\b(?:this|next|during|in\sthe)\s{_PERIOD}\b"
    rf"|\b{_ORDINAL}(?=\s*(?:$|[,&/-]|(?:of|in|and|to|or|days?|weeks?|business|working|{_DAY})\b))",
    re.IGNORECASE,
)
"""What belongs to a rule, if there is one."""

_NUMBER_OF_DAY: Final = re.compile(
    r"(?:\b(?:on(?: the)?|am|le|el|il|den|dia|día|dnia|op|vom|du|del)\s+\d{1,2}(?:st|nd|rd|th|\.|er|º|ª)?"
    r"|(?<!\w)\d{1,2}(?:日|号|號|일))(?=\s|$)",
    re.IGNORECASE,
)
_HOUR: Final = r"(?:[01]?\d|2[0-4])"
_MAY_BE_HOURS: Final = re.compile(
    rf"(?<![\w.,/:\-]){_HOUR}(?:\.[0-5]\d(?:\s?[-\u2013]\s?{_HOUR}(?:\.[0-5]\d)?)?|\s?[-\u2013]\s?{_HOUR}(?:\.[0-5]\d)?)"
    r"(?![\w:/%]|[.,\-]\d)"
)
_SPOKEN_TIME: Final = re.compile(
    r"""\b(?:
        (?:half|quarter|ten|twenty|five)\s(?:past|to|till)\s\w+
        |halb\s(?:eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|\d+)|(?:dreiviertel|viertel)\s\w+
        |et\s(?:demie?|quart)|moins\sle\squart|y\s(?:media|cuarto)|menos\scuarto|e\s(?:mezz[ao]|meia|un\squarto)|meno\sun\squarto
        |half\s(?:een|twee|drie|vier|vijf|zes|zeven|acht|negen|tien|elf|twaalf|\d+)|kwart\s(?:voor|over)|wpół\sdo|kwadrans
        |halv\s(?:ett|to|två|tre|fire|fyra|fem|seks|sex|sju|syv|otte|åtta|ni|nio|ti|tio|elleve|elva|tolv|\d+)|kvart\s(?:i|over|över)
        |половина|половину|полтретьего|четверть|buçuk|çeyrek
    )\b|ونصف|والنصف|وربع|וחצי|ורבע""",
    re.IGNORECASE | re.VERBOSE,
)
_BEFORE_LAST_DAY: Final = re.compile(
    r"\d{1,2}\.?\s?(?:bis|bis zum|au|al|tot|tot en met|do|till|til|a|ao|по|до|to|-|\u2013)\s*$", re.IGNORECASE
)


def refuse_repeats(rest: str, *, is_repeating: bool) -> None:
    """Raises NoDateFound where the rest of a sentence says of repeating what nobody has read."""
    if _REPEAT.search(rest) or (is_repeating and _CONDITION.search(rest)):
        raise NoDateFound(
            "the sentence says how often in a way that is not understood: name the rule with `recurrence`"
        )


def refuse_stretches(rest: str, before: str, date: str) -> None:
    """Raises NoDateFound for `next week` and its like in every language, of which nobody knows the day.

    Also for the last day of several whose first was not read, and times that are told in words: `half past three`.
    """
    if date[:1].isdigit() and _BEFORE_LAST_DAY.search(before):
        raise NoDateFound("the sentence names several days in a way that is not understood")
    if _SPOKEN_TIME.search(rest):
        raise NoDateFound("the sentence tells a time in words: say `at 15:30`")
    if _VAGUELY.search(rest):
        raise NoDateFound("the sentence names a week, or a longer time, and no day of it")


def refuse_numbers(rest: str, *, has_day: bool, has_time: bool) -> None:
    """Raises NoDateFound where numbers are left in a sentence that may be a day, or hours, and it names no other."""
    if not has_day and (has_loose_numbers(rest) or _NUMBER_OF_DAY.search(rest)):
        raise NoDateFound("the sentence has numbers that are no day of any calendar")
    if not has_time and _MAY_BE_HOURS.search(rest):
        raise NoDateFound("the sentence has numbers that may be hours: `from 9 to 10:30`, `at 14:10`")

"""Parts of the day as sentences name them: `in the morning`, `abends`, `du soir`, `de la tarde`; and the hours that they have.

Five in the afternoon is 17:00, and twelve at night nobody knows: an hour that a part of the day does not have, or has twice, is
refused.
"""

import re
from datetime import timedelta
from typing import Final, NamedTuple

from service.core.sentence_days import NoDateFound


class _Hours(NamedTuple):
    """Where a part of the day begins if no more is said, and the hours it has."""

    usual: int
    hours: frozenset[int]


_HOURS: Final = {
    "morning": _Hours(9, frozenset(range(13))),
    "noon": _Hours(12, frozenset(range(11, 16))),
    "afternoon": _Hours(15, frozenset(range(12, 21))),
    "evening": _Hours(19, frozenset(range(16, 24))),
    "night": _Hours(20, frozenset(range(18, 24))),
    "late": _Hours(20, frozenset((*range(7), *range(18, 24)))),
    "small": _Hours(5, frozenset(range(7))),
}
_DE_DAY: Final = r"(?P<keep>\w+tag|mittwoch|heute|morgen|übermorgen)\s?"
_NL_DAY: Final = r"(?P<keep>\w+dag|morgen)"
_FR_DAY: Final = r"(?P<keep>\w+di|dimanche|demain|hier)\s"
_IT_DAY: Final = r"(?P<keep>\w+dì|sabato|domenica|domani|oggi)\s"
_RU_DAY: Final = r"(?:(?<=час\s)|(?<=часа\s)|(?<=часов\s)|(?<=ч\s)|(?<=:\d\d\s)|(?<=в\s\d\s))"
_UK_DAY: Final = r"(?:(?<=годині\s)|(?<=годин\s)|(?<=:\d\d\s)|(?<=о\s\d\s))"  # noqa: RUF001  (Cyrillic)

_WAYS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "morning": r"(?:in the|(?P<today>this)|at) morning|(?<=(?:day|row)\s)morning",
        "afternoon": r"(?:in the|(?P<today>this)|at) afternoon|(?<=(?:day|row)\s)afternoon",
        "evening": r"(?:in the|(?P<today>this)|at) evening|(?<=(?:day|row)\s)evening",
        "night": r"(?:in the|this|at) night|(?<=(?:day|row)\s)night|(?P<today>tonight)",
    },
    "de": {
        "morning": rf"morgens|vormittags|frühmorgens|am (?:morgen|vormittag)|{_DE_DAY}(?:vormittag|morgen|früh)|früh",
        "afternoon": rf"nachmittags|am (?:späten |frühen )?nachmittag|{_DE_DAY}nachmittag",
        "noon": r"mittags",
        "evening": rf"abends|am (?:späten |frühen )?abend|{_DE_DAY}abend",
        "night": rf"in der nacht|{_DE_DAY}nacht",
        "late": r"nachts",
    },
    "fr": {
        "morning": rf"(?:du|le|(?P<today>ce)) matin|dans la matinée|{_FR_DAY}matin",
        "afternoon": rf"(?:(?:de|dans) l['\u2019]|(?P<today>cet )|l['\u2019])après-midi|{_FR_DAY}après-midi",
        "evening": rf"(?:du|le|(?P<today>ce)) soir|dans la soirée|{_FR_DAY}soir",
        "late": r"de la nuit",
        "night": r"cette nuit",
    },
    "es": {
        "morning": r"(?:de|por|en) la mañana|(?P<today>esta) mañana",
        "noon": r"del? mediodía",
        "afternoon": r"(?:de|por|en) la tarde|(?P<today>esta) tarde",
        "night": r"(?:de|por|en) la noche|(?P<today>esta) noche",
        "small": r"(?:de|por) la madrugada",
    },
    "it": {
        "morning": rf"di mattina|del mattino|della mattina|in mattinata|(?P<today>stamattina|questa mattina)|{_IT_DAY}mattina",
        "afternoon": rf"(?:del|di|nel) pomeriggio|{_IT_DAY}pomeriggio",
        "evening": rf"di sera|della sera|in serata|(?P<today>stasera|questa sera)|{_IT_DAY}sera",
        "late": r"di notte|della notte",
    },
    "pt": {
        "morning": r"(?:da|de|pela) manhã",
        "afternoon": r"(?:da|à|de|pela) tarde",
        "night": r"(?:da|à|de|pela) noite",
        "small": r"(?:da|de) madrugada",
    },
    "nl": {
        "morning": rf"['\u2019]s (?:ochtends|morgens)|(?P<today>vanochtend|vanmorgen)|in de ochtend|{_NL_DAY}\s?(?:ochtend|vroeg)",
        "afternoon": rf"['\u2019]s middags|(?P<today>vanmiddag)|in de middag|{_NL_DAY}\s?middag",
        "evening": rf"['\u2019]s avonds|(?P<today>vanavond)|in de avond|{_NL_DAY}\s?avond",
        "late": r"['\u2019]s nachts",
    },
    "pl": {
        "morning": r"rano|przed południem",
        "afternoon": r"po południu",
        "evening": r"wieczorem",
        "late": r"w nocy",
    },
    "sv": {
        "morning": r"på (?:morgonen|förmiddagen)|bitti|(?<=\d\s)f\.?m",
        "afternoon": r"på eftermiddagen|(?P<today>i eftermiddag)|(?<=\d\s)e\.?m",
        "evening": r"på kvällen|(?P<today>i ?kväll)",
        "late": r"på natten",
    },
    "da": {
        "morning": r"om (?:morgenen|formiddagen)",
        "afternoon": r"om eftermiddagen|(?P<today>i eftermiddag)",
        "evening": r"om aftenen|(?P<today>i aften)",
        "late": r"om natten",
    },
    "tr": {
        "morning": r"sabah(?:leyin)?|öğleden önce",
        "afternoon": r"öğleden sonra",
        "evening": r"(?P<today>bu )?akşam",
        "night": r"gece",
    },
    "ru": {
        "morning": r"утра|утром",
        "afternoon": rf"{_RU_DAY}дня|днём|днем|после обеда",
        "evening": r"вечера|вечером",
        "late": r"ночи|ночью",
    },
    "uk": {
        "morning": r"ранку|вранці|зранку|уранці",
        "afternoon": rf"{_UK_DAY}дня|вдень|після обіду",
        "evening": r"вечора|ввечері|увечері",
        "late": r"ночі|вночі|уночі",
    },
    "ja": {
        "morning": r"(?:早?朝|(?P<today>今朝))の?(?=\s?\d)",
        "noon": r"お?昼の?(?=\s?\d)",
        "evening": r"(?:夕方|(?P<today>今[夜晩])|夜|晩)の?(?=\s?\d)",
        "late": r"深夜の?(?=\s?\d)",
    },
    "zh": {
        "morning": r"(?:(?P<keep>明|今)早|早上|早晨|清晨)(?=\s?\d)",
        "noon": r"中午(?=\s?\d)",
        "night": r"(?:(?P<keep>明|今)晚上?|晚上|傍晚|夜里|夜裡)(?=\s?\d)",
        "small": r"凌晨(?=\s?\d)",
    },
    "ko": {
        "morning": r"아침(?=\s?\d)",
        "noon": r"낮(?=\s?\d)",
        "evening": r"저녁(?=\s?\d)",
        "night": r"밤(?=\s?\d)",
        "small": r"새벽(?=\s?\d)",
    },
    "ar": {
        "afternoon": r"بعد الظهر|عصرا|عصرًا",
        "morning": r"صباحا|صباحًا|في الصباح",
        "noon": r"ظهرا|ظهرًا",
        "evening": r"مساء|مساءً|في المساء",
        "night": r"ليلا|ليلًا",
    },
    "he": {
        "afternoon": r"אחר הצהריים|אחרי הצהריים",
        "morning": r"בבוקר|(?P<today>הבוקר)",
        "noon": r"בצהריים",
        "evening": r"בערב|(?P<today>הערב)",
        "night": r"בלילה",
    },
}
"""How each language names them. `keep` stays in the sentence as the day, `today` says that it is today."""

_UNSPACED: Final = frozenset(("ja", "zh", "ko"))
_PATTERNS: Final = {
    language: tuple(
        (part, re.compile(way if language in _UNSPACED else rf"(?<!\w)(?:{way})(?!\w)", re.IGNORECASE))
        for part, way in ways.items()
    )
    for language, ways in _WAYS.items()
}
_DAYS_KEPT: Final = {"明": "明天", "今": "今天"}
_NOON: Final = 12


class Part(NamedTuple):
    """A part of the day, where in the sentence it stood, whether it is today's, and the sentence without it."""

    name: str
    at: int
    is_today: bool
    rest: str

    @property
    def usual(self) -> timedelta:
        return timedelta(hours=_HOURS[self.name].usual)


def languages_of_parts(text: str) -> frozenset[str]:
    """The languages in which a sentence names a part of the day."""
    return frozenset(
        language for language, ways in _PATTERNS.items() if any(pattern.search(text) for _, pattern in ways)
    )


def take_part(text: str, language: str) -> Part | None:
    """The part of the day that a sentence names."""
    for name, pattern in _PATTERNS.get(language, ()):
        match = pattern.search(text)
        if match is None:
            continue
        named = match.groupdict()
        keep = named.get("keep") or ""
        before = f"{text[: match.start()]}{_DAYS_KEPT.get(keep, keep)}".rstrip()
        rest = f"{before} {text[match.end() :].lstrip()}".strip()
        return Part(name, len(before), bool(named.get("today")), rest)
    return None


def fits(at: timedelta, part: Part) -> timedelta | None:
    """The time that is meant by a clock of twelve, or of 24, hours; None where the part of the day does not have it, or twice."""
    hour, rest = divmod(at, timedelta(hours=1))
    either = {hour} if hour > _NOON or not hour else {hour % _NOON, hour % _NOON + _NOON}
    fitting = either & _HOURS[part.name].hours
    return timedelta(hours=fitting.pop()) + rest if len(fitting) == 1 else None


def settle(
    begin: timedelta, end: timedelta | None, part: Part, *, is_beside_end: bool
) -> tuple[timedelta, timedelta | None]:
    """Both ends of a range in a part of the day: 10 to 1 in the afternoon begins before it. Raises NoDateFound."""
    start = fits(begin, part)
    last = fits(end, part) if end is not None else None
    noon = timedelta(hours=_NOON)
    if last is not None and (is_beside_end or start is None):
        first = begin
        while first + noon < last and begin <= noon:
            first += noon
        if first < last:
            return first, last
    if start is None:
        raise NoDateFound("an hour that this part of the day does not have, or has twice: say `at 17:00`")
    while end is not None and end <= start:
        end += noon
    return start, end

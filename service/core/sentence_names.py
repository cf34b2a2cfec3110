"""Names and numbers in a sentence that only look like dates or times: `24/7`, `v3.1`, `Python 3.13`, `$12.50`, `9.5%`.

They are hidden while the sentence is read, one private character for each, and shown again in the title.
"""

import re
from typing import Final

_BEFORE: Final = (
    r"versions?|ver\.?|release|rev\.?|rooms?|raum|zimmer|saal|salle|sala|kapitel|chapter|chapitre|section|abschnitt|figure|"
    r"python|node|java|php|ruby|postgres(?:ql)?|ubuntu|debian|android|ios|macos|windows|kernel|firmware|gpt|build|rfc|iso|§|\#|nr\.?|no\."
)
_UNITS: Final = (
    r"[€$£¥%]|(?:eur|euros?|usd|dollars?|gbp|chf|km|kg|gb|tb|mb|miles?|mi|meters?|liters?|percent|prozent)(?!\w)"
)
_NAMES: Final = re.compile(
    rf"""(?<![\w/.\-])(?:
        (?<!\bon\s)(?<!\bel\s)(?<!\ble\s)(?<!\bil\s)(?<!\bam\s)(?<!\bop\s)(?<!\bem\s)(?<!\bden\s)24/7(?![/.]?\d)
        |v\s?\d+(?:\.\d+)+\w*
        |(?:{_BEFORE})\s?\d+(?:[.\-]\d+)+
        |[€$£¥]\s?\d+(?:[.,]\d+)*
        |\d+[.,]\d+\s?(?:{_UNITS})
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_FIRST: Final = 0xE000
_HIDDEN: Final = re.compile("[\ue000-\ue0ff]")


def hide_names(text: str) -> str:
    """The sentence, of the same length, with private characters for what is no date. It must not have any of its own."""
    return _NAMES.sub(lambda match: "".join(_hidden(each) for each in match[0]), text)


def show_names(text: str) -> str:
    return _HIDDEN.sub(lambda match: chr(ord(match[0]) - _FIRST), text)


def _hidden(character: str) -> str:
    return chr(_FIRST + ord(character)) if "0" <= character <= "9" or character in "./-,%$" else character

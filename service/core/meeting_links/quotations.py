"""Which part of a text its writer wrote, and which is an older message below or inside it."""

import re
from bisect import bisect_right
from typing import Final

from service.core.meeting_links.markup import QUOTE_CLOSES, QUOTE_OPENS, REST_IS_QUOTED

_SENT: Final = (
    "Sent|Date|Gesendet|Datum|Envoy\u00e9|Enviado|Fecha|Inviato|Data|Verzonden|Skickat|Sendt|Wys\u0142ano|Odesl\u00e1no|"
    "\u041e\u0442\u043f\u0440\u0430\u0432\u043b\u0435\u043d\u043e|\u0414\u0430\u0442\u0430|\u9001\u4fe1\u65e5\u6642|\u53d1\u9001\u65f6\u95f4|\u65e5\u671f|\ubcf4\ub0b8 \ub0a0\uc9dc"
)
_FROM: Final = "From|Von|De|Da|Van|Fr\u00e5n|Fra|Od|L\u00e4hett\u00e4j\u00e4|\u041e\u0442|\u5dee\u51fa\u4eba|\u53d1\u4ef6\u4eba|\ubcf4\ub0b8 \uc0ac\ub78c"
_HEAD: Final = re.compile(
    r"^[ \t]*(?:"
    r"-{2,}[ \t]*(?:original|forwarded|urspr\u00fcngliche|weitergeleitete|message|mensaje|messaggio|mensagem|oorspronkelijk|"
    r"ursprungligt|\u041f\u0435\u0440\u0435\u0441\u044b\u043b\u0430\u0435\u043c\u043e\u0435|\u0418\u0441\u0445\u043e\u0434\u043d\u043e\u0435|\u8f6c\u53d1|\u539f\u59cb)[^\n]{0,60}-{2,}"
    r"|begin forwarded message"
    r"|on [^\n]{5,200}\n?[^\n]{0,100}\bwrote:"
    r"|am [^\n]{5,200}\n?[^\n]{0,100}\bschrieb[^\n]{0,80}:"
    r"|le [^\n]{5,200}\n?[^\n]{0,100}\ba \u00e9crit\s?:"
    r"|el [^\n]{5,200}\n?[^\n]{0,100}\bescribi\u00f3:"
    r"|il [^\n]{5,200}\n?[^\n]{0,100}\bha scritto:"
    r"|em [^\n]{5,200}\n?[^\n]{0,100}\bescreveu:"
    r"|op [^\n]{5,200}\n?[^\n]{0,100}\bschreef[^\n]{0,80}:"
    rf"|(?:{_FROM})[ \t]?[:\uff1a][^\n]{{0,300}}\n[\s]{{0,8}}(?:[^\n]{{0,300}}\n[\s]{{0,8}})?(?:{_SENT})[ \t]?[:\uff1a]"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
_MARKS: Final = re.compile(f"[{QUOTE_OPENS}{QUOTE_CLOSES}]")
_LONGEST_LINE: Final = 2000


class Quotations:
    """Where in one text an older message is quoted."""

    def __init__(self, text: str) -> None:
        """Read once; the time goes with the length."""
        self._text = text
        head = _HEAD.search(text)
        rest = text.find(REST_IS_QUOTED)
        starts = [start for start in (head.start() if head else -1, rest) if start != -1]
        self._rest = min(starts, default=len(text))
        self._edges, self._depths, depth = [0], [0], 0
        for mark in _MARKS.finditer(text):
            depth += 1 if mark[0] == QUOTE_OPENS else -1
            self._edges.append(mark.start())
            self._depths.append(depth)

    def covers(self, place: int) -> bool:
        """Whether what stands there is quoted: below the head of an older message, in a quotation, or after `>`."""
        if place >= self._rest or self._depths[bisect_right(self._edges, place) - 1] > 0:
            return True
        window = max(0, place - _LONGEST_LINE)
        broken = self._text.rfind("\n", window, place)
        begun = broken + 1 if broken != -1 else window
        return self._text[begun : begun + 8].lstrip().startswith(">")

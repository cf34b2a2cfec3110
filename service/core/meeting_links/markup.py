"""HTML as a reader sees it: one text with a line for each block, and in it a mark wherever a link begins."""

import re
from typing import Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

LINK: Final = "\x02{}\x03"
"""What stands in the text where the link of that number begins."""
QUOTE_OPENS: Final = "\x04"
QUOTE_CLOSES: Final = "\x05"
REST_IS_QUOTED: Final = "\x06"

MOST_TAGS: Final = 4000
"""That are parsed together. Lexbor looks for the end of each open element in all those around it, so that the time goes
with the square of the depth: 260 kB of `<div>` take it three seconds, a quarter of a second in pieces of this size."""

_TAG: Final = re.compile(r"<(?:[a-z][a-z0-9]*(?=[\s/>])|/[a-z]|!--|!doctype)", re.IGNORECASE)
_NO_TAG: Final = re.compile(r"<(?=(?:https?|mailto|tel|sips?|zoommtg|zoomus|msteams):)", re.IGNORECASE)
_BLOCK: Final = re.compile(
    r"<(?=/?(?:address|article|aside|blockquote|br|center|dd|div|dl|dt|fieldset|figure|footer|form|h[1-6]|header|hr|li|"
    r"main|nav|ol|p|pre|section|table|tbody|td|tfoot|th|thead|tr|ul)[\s/>])",
    re.IGNORECASE,
)
_BARE_AMPERSAND: Final = re.compile(r"&(?![#\w]{1,32};)")
_MARKS: Final = re.compile(r"[\x02-\x06]")
_UNSEEN: Final = [
    "head", "script", "style", "template", "noscript", "iframe", "object", "svg", "s", "strike", "del",
]  # fmt: skip
"""Not text, or struck out."""
_STYLED_AWAY: Final = re.compile(r"line-through|display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SIGNS_OF_STYLE: Final = ("line-through", "display:none", "visibility:hidden")
_STYLED: Final = "[style]"
_QUOTES: Final = "blockquote,.gmail_quote,.yahoo_quoted"
_HEADS_OF_QUOTES: Final = "#divRplyFwdMsg,#appendonsend,#x_divRplyFwdMsg,#x_appendonsend"
_SIGNS_OF_QUOTES: Final = ("<blockquote", "gmail_quote", "yahoo_quoted", "divrplyfwdmsg", "appendonsend")


class Markup(NamedTuple):
    """What is read of HTML: the text with its marks, and the targets that the marks number."""

    text: str
    targets: list[str]


def is_markup(text: str) -> bool:
    """Whether a text of which nobody says what it is has tags; `<https://...>` is none."""
    return "<" in text and _TAG.search(text) is not None


def read_markup(html: str) -> Markup:
    """The text and the links of HTML. Never raises; the time goes with the length."""
    if any(mark in html for mark in "\x02\x03\x04\x05\x06"):
        html = _MARKS.sub(" ", html)
    html = _BLOCK.sub("\n<", _NO_TAG.sub("&lt;", html))
    if "&" in html:
        # As browsers do in an attribute, but in text too: `&region=` in an address is not a registered trade mark.
        html = _BARE_AMPERSAND.sub("&amp;", html)
    targets: list[str] = []
    if html.count("<") <= MOST_TAGS:
        return Markup(_read(html, targets), targets)
    return Markup("\n".join(_read(piece, targets) for piece in _pieces(html)), targets)


def _pieces(html: str) -> list[str]:
    pieces, begun, count = [], 0, 0
    for found in re.finditer("<", html):
        count += 1
        if count == MOST_TAGS:
            pieces.append(html[begun : found.start()])
            begun, count = found.start(), 0
    return [*pieces, html[begun:]]


def _read(html: str, targets: list[str]) -> str:
    tree = LexborHTMLParser(html)
    lowered = html.lower()
    _remove_unseen(tree, lowered)
    if any(sign in lowered for sign in _SIGNS_OF_QUOTES):
        for node in tree.css(_QUOTES):
            node.insert_before(QUOTE_OPENS)
            node.insert_after(QUOTE_CLOSES)
        for node in tree.css(_HEADS_OF_QUOTES):
            node.insert_before(REST_IS_QUOTED)
    for node in tree.css("a,area"):
        for target in _targets(node):
            node.insert_before(LINK.format(len(targets)))
            targets.append(target)
    return tree.body.text() if tree.body else ""


def _remove_unseen(tree: LexborHTMLParser, lowered: str) -> None:
    tree.strip_tags(_UNSEEN)
    if " hidden" in lowered:
        for node in tree.css("[hidden]"):
            node.decompose()
    styles = lowered.replace(" ", "")
    if any(sign in styles for sign in _SIGNS_OF_STYLE):
        for node in tree.css(_STYLED):
            if _STYLED_AWAY.search(node.attributes.get("style") or ""):
                node.decompose()


def _targets(node: LexborNode) -> list[str]:
    """Where an anchor leads: Outlook keeps beside a wrapped address the clean one (`originalsrc`)."""
    given = node.attributes
    return [value for name in ("originalsrc", "href") if (value := given.get(name))]

"""Which texts are the one that was written, and which are somebody else's."""

import pytest

from service.core.call_blocks import is_same_text

TEAMS = '<html><head><style>p</style></head><body><div class="PlainText">{}</div><div style="white-space:nowrap">________________________________________</div><div><b>Microsoft Teams</b></div><div><a href="https://teams.microsoft.com/l/meetup-join/19">Join the meeting now</a></div></body></html>'
ZOOM = (
    "\n\n──────────\n\nSomebody is inviting you to a scheduled Zoom meeting.\n\nJoin Zoom Meeting\nhttps://zoom.us/j/1"
)
UNRULED = "\n\nJoin Zoom Meeting\nhttps://zoom.us/j/1"
FACETIME = "\n----( Video Call )----\nhttps://facetime.apple.com/join#v=1\n---===---"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param("Hi", "Hi", id="the-same"),
        pytest.param(None, "", id="nothing"),
        pytest.param("Hi\n\nthere", "Hi there\r\n", id="folded"),
        pytest.param("R&D <3", "<html><head></head><body>R&amp;D &lt;3<br></body></html>", id="wrapped-into-html"),
        pytest.param(
            "See https://a.example", '<p>See <a href="https://a.example">https://a.example</a></p>', id="linked"
        ),
        pytest.param("Hi", TEAMS.format("Hi"), id="teams"),
        pytest.param(None, TEAMS.format(""), id="teams-alone"),
        pytest.param("Hi", f"Hi{ZOOM}", id="zoom"),
        pytest.param(None, ZOOM, id="zoom-alone"),
        pytest.param("Hi", f"Hi{UNRULED}", id="zoom-without-a-line"),
        pytest.param("Hi", f"Hi{FACETIME}", id="facetime"),
        pytest.param(
            "Hi", "Hi\n-::~:~::~:~::-\nJoin with Google Meet: https://meet.google.com/abc-defg-hij", id="meet"
        ),
    ],
)
def test_the_text_that_was_written(ours: str | None, theirs: str | None) -> None:
    assert is_same_text(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param("Hi", "Hi there you all, bring money", id="more-behind-it"),
        pytest.param("Hi", "Oh, Hi", id="more-before-it"),
        pytest.param("Hi", "", id="emptied"),
        pytest.param("Hi", None, id="gone"),
        pytest.param(None, "See https://evil.example", id="a-link-of-somebodys"),
        pytest.param("Hi", "Hi, see https://evil.example", id="a-link-behind-it"),
        pytest.param("Hi", "Hi\n__________\nbring money", id="a-line-and-no-call"),
        pytest.param("Hi", f"Hi, bring money{ZOOM}", id="more-before-the-call"),
        pytest.param("Hi", TEAMS.format("Hi, bring money"), id="more-before-teams"),
    ],
)
def test_the_text_of_somebody_else(ours: str | None, theirs: str | None) -> None:
    assert not is_same_text(ours, theirs)

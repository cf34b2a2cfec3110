"""Pages that users see who connect an account: what came of it."""

from html import escape
from typing import Final

from litestar import Response

from service.core.hosted import Outcome

NAMES: Final = {"google": "Google", "microsoft": "Microsoft", "zoom": "Zoom"}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{said}</p>
</main>
</body>
</html>
"""


def result_page(outcome: Outcome) -> Response[str]:
    """What the user is told who is not sent anywhere; 400 for a failure."""
    name = NAMES.get(outcome.provider, "The account")
    if outcome.code is None:
        title = "Connected"
        said = f"{name} is connected ({outcome.email})." if outcome.email else f"{name} is connected."
        said += " You can close this window."
    else:
        title, said = "Not connected", outcome.message or ""
    page = _PAGE.format(title=escape(title), said=escape(said))
    return Response(page, status_code=200 if outcome.code is None else 400, media_type="text/html; charset=utf-8")

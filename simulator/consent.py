"""The page that asks a user: which account, which application, what it wants, Allow or Deny. The same for every provider.

A provider's authorization endpoint answers GET with `ask`, whose form comes back to the same address as POST, and is read by
`read_decision`; `send_back` is how the browser then returns to the application (RFC 6749, 4.1.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit

from simulator.google.answers import Answer, Request

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto; padding: 0 1rem; color: #1f2328; }}
h1 {{ font-size: 1.25rem; }}
fieldset {{ border: 1px solid #d0d7de; border-radius: .5rem; margin: 1rem 0; }}
label {{ display: block; padding: .25rem 0; }}
button {{ font: inherit; padding: .5rem 1.5rem; border-radius: .5rem; border: 1px solid #d0d7de; background: #fff; }}
button[value=allow] {{ background: #0b57d0; border-color: #0b57d0; color: #fff; }}
small {{ color: #59636e; }}
</style>
{body}
</html>
"""


@dataclass(slots=True)
class Decision:
    """What the user chose: `email` is the account, and `scopes` are those that were ticked."""

    is_allowed: bool
    email: str
    scopes: list[str]


def ask(
    provider: str,
    application: str,
    accounts: Sequence[str],
    scopes: Sequence[str],
    parameters: Mapping[str, str],
    *,
    chosen: str | None = None,
    may_untick: bool = False,
) -> Answer:
    """The page. `parameters` are those of the request, and come back with the form; `chosen` is the account at the top.

    With `may_untick` the user may give less than is asked for, as Google's do.
    """
    first = chosen if chosen in accounts else next(iter(accounts), "")
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in parameters.items()
    )
    people = "".join(
        f'<label><input type="radio" name="account" value="{escape(each)}"{" checked" if each == first else ""}> {escape(each)}</label>'
        for each in accounts
    )
    kind = 'type="checkbox"' if may_untick else 'type="checkbox" onclick="return false"'
    wanted = "".join(
        f'<label><input {kind} name="granted" value="{escape(each)}" checked> {escape(each)}</label>' for each in scopes
    )
    body = (
        f"<h1>{escape(application)} wants to use your {escape(provider)} account</h1>"
        f'<form method="post">{hidden}<fieldset><legend>Account</legend>{people}</fieldset>'
        f"<fieldset><legend>It may</legend>{wanted or '<small>what its settings say</small>'}</fieldset>"
        '<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>'
        f"<p><small>This is a simulated {escape(provider)}. Nobody is signed in anywhere.</small></p>"
    )
    return _page(200, f"Sign in - {provider}", body)


def refuse(provider: str, reason: str) -> Answer:
    """What is shown where the browser must not be sent back: to an application or an address that nobody has registered."""
    body = f"<h1>This request cannot go on</h1><p>{escape(reason)}</p><p><small>A simulated {escape(provider)}.</small></p>"
    return _page(400, f"Error - {provider}", body)


def read_parameters(request: Request) -> dict[str, str]:
    """The parameters of the request, wherever they are: in the address of a GET, in the form of a POST."""
    query = {name: values[-1] for name, values in request.query.items()}
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    return query | {name: value for name, value in form.items() if name not in {"decision", "account", "granted"}}


def read_decision(request: Request) -> Decision:
    """What the form says; a POST without a decision is a denial."""
    fields = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(fields)
    granted = [value for name, value in fields if name == "granted"]
    return Decision(form.get("decision") == "allow", form.get("account", ""), granted)


def send_back(redirect_uri: str, parameters: Mapping[str, str | None]) -> Answer:
    """A redirect to the application; what is None is left out."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    joint = "&" if urlsplit(redirect_uri).query else "?"
    return Answer(302, headers={"Location": f"{redirect_uri}{joint}{query}", "Cache-Control": "no-store"})


def _page(status: int, title: str, body: str) -> Answer:
    page = PAGE.format(title=escape(title), body=body)
    headers = {"Cache-Control": "no-store", "X-Frame-Options": "DENY"}
    return Answer(status, page.encode(), "text/html; charset=utf-8", headers)

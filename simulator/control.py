"""The control API: every public method of a world as `POST /simulator/<method>` with a JSON object of arguments.

Google's are there; Microsoft's and Zoom's have the same names where they do the same, under `/simulator/microsoft` and
`/simulator/zoom`.
"""

import inspect
from typing import Any

import msgspec

from simulator.google.answers import Answer, Request, as_json
from simulator.google.errors import GoogleError, OAuthError
from simulator.google.world import World
from simulator.microsoft.errors import GraphError
from simulator.microsoft.world import MicrosoftWorld
from simulator.zoom.state import TokenError, ZoomError
from simulator.zoom.world import ZoomWorld

CONTROL_ROOT = "/simulator"
MICROSOFT_ROOT = "/simulator/microsoft"
ZOOM_ROOT = "/simulator/zoom"
OPERATIONS = (
    "add_client", "set_client", "add_account", "set_account", "grant", "connect", "credentials", "add_calendar",
    "share_calendar", "set_list_entry", "delete_calendar", "add_event", "add_meeting", "edit_event", "move_event",
    "cancel_event", "split_series", "respond", "add_poison", "clear_poison", "read_event", "read_truth",
    "read_calendars", "invalidate_sync_tokens", "revoke_consent", "expire_access_tokens", "add_fault",
    "clear_faults", "fail_writes", "set_push", "release_pushes", "set", "read_calls", "read_mails", "read_counters",
    "reset_counters", "advance", "reset",
)  # fmt: skip

MICROSOFT_OPERATIONS = (
    "add_client", "set_client", "add_account", "set_account", "grant", "connect", "credentials", "add_calendar",
    "share_calendar", "delete_calendar", "add_event", "add_invitation", "add_meeting", "edit_event", "move_event",
    "cancel_event", "cancel_occurrence", "delete_event", "split_series", "respond", "add_poison", "clear_poison",
    "read_event", "read_truth", "read_calendars", "expire_delta_links", "invalidate_sync_tokens", "revoke_consent",
    "expire_access_tokens", "add_fault", "clear_faults", "fail_writes", "set_push", "release_pushes", "send_lifecycle",
    "suspend_subscriptions", "read_subscriptions", "set", "read_calls", "read_mails", "read_counters",
    "reset_counters", "advance", "reset",
)  # fmt: skip

ZOOM_OPERATIONS = (
    "add_client", "set_client", "add_account", "delete_account", "set_policy", "grant", "consent", "connect",
    "credentials", "add_meeting", "read_meetings", "delete_meeting", "revoke_consent", "expire_access_tokens",
    "add_fault", "clear_faults", "set", "read_calls", "read_counters", "reset_counters", "advance", "reset",
)  # fmt: skip


def control(world: World | MicrosoftWorld | ZoomWorld, request: Request) -> Answer:
    """Run one operation. GET takes its arguments from the query, POST from a JSON body."""
    root: str = CONTROL_ROOT
    operations: tuple[str, ...] = OPERATIONS
    if isinstance(world, MicrosoftWorld):
        root, operations = MICROSOFT_ROOT, MICROSOFT_OPERATIONS
    elif isinstance(world, ZoomWorld):
        root, operations = ZOOM_ROOT, ZOOM_OPERATIONS
    name = request.path.removeprefix(root).strip("/").replace("-", "_")
    if not name:
        return as_json(200, {"operations": [describe(world, each) for each in operations]})
    if name not in operations:
        return as_json(404, {"error": f"no operation {name!r}; GET {root} lists them"})
    try:
        arguments = _read_arguments(request)
        inspect.signature(getattr(world, name)).bind(**arguments)
        return as_json(200, {"result": msgspec.to_builtins(getattr(world, name)(**arguments))})
    except (GoogleError, OAuthError, GraphError, ZoomError, TokenError) as error:
        return as_json(error.status, error.body())
    except KeyError as error:
        return as_json(404, {"error": f"unknown id {error}"})
    except (TypeError, ValueError) as error:
        return as_json(400, {"error": str(error)})


def describe(world: World | MicrosoftWorld | ZoomWorld, name: str) -> dict[str, Any]:
    method = getattr(world, name)
    return {"name": name, "does": inspect.getdoc(method) or "", "arguments": str(inspect.signature(method))}


def _read_arguments(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return {name: values[-1] for name, values in request.query.items()}
    if not request.body:
        return {}
    arguments = msgspec.json.decode(request.body)
    if not isinstance(arguments, dict):
        raise TypeError("the body must be a JSON object of arguments")
    return arguments

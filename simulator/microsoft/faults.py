"""Faults on demand: a preset for each refusal that Microsoft is known for, and those that bend an answer on its way."""

from base64 import b64encode

import msgspec

from simulator.google.answers import Answer
from simulator.google.faults import HUGE_BYTES, Fault
from simulator.google.faults import WIRE_PRESETS as SHARED_WIRE_PRESETS
from simulator.microsoft.errors import GraphError, LoginError
from simulator.microsoft.login import read_number
from simulator.microsoft.refusals import CLAIMS, REFUSALS

TOKEN_PRESETS = [f"AADSTS{number}" for number in REFUSALS]
GRAPH_PRESETS: dict[str, tuple[int, str, str]] = {
    "sync_state_410": (410, "syncStateNotFound", "The sync state generation is not found."),
    "sync_state_invalid_410": (410, "syncStateInvalid", "The sync state is invalid."),
    "resync_required_410": (410, "resyncRequired", "Resynchronization is required."),
    "full_sync_required_410": (410, "fullSyncRequired", "A full synchronization is required."),
    "sync_state_400": (400, "SyncStateNotFound", "The sync state generation is not found."),
    "sync_state_404": (404, "SyncStateNotFound", "The sync state generation is not found."),
    "sync_state_invalid_400": (400, "SyncStateInvalid", "The sync state is invalid."),
    "unauthorized_401": (401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
    "claims_401": (401, "InvalidAuthenticationToken", "Continuous access evaluation resulted in challenge."),
    "access_denied_403": (403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."),
    "authorization_denied_403": (403, "Authorization_RequestDenied", "Insufficient privileges."),
    "forbidden_403": (403, "AccessDenied", "Access denied."),
    "mailbox_not_enabled_404": (404, "MailboxNotEnabledForRESTAPI", "The mailbox is inactive, soft-deleted or on-premise."),
    "mailbox_not_enabled_403": (403, "MailboxNotEnabledForRESTAPI", "REST API is not yet supported for this mailbox."),
    "mailbox_not_hosted_404": (404, "MailboxNotHostedInExchangeOnline", "The mailbox is not hosted in Exchange Online."),
    "mailbox_move_503": (503, "ErrorMailboxMoveInProgress", "The mailbox is being moved."),
    "item_not_found_404": (404, "ErrorItemNotFound", "The specified object was not found in the store."),
    "resource_not_found_404": (404, "ResourceNotFound", "Resource could not be discovered."),
    "invalid_user_404": (404, "ErrorInvalidUser", "The requested user is invalid."),
    "conflict_409": (409, "ErrorIrresolvableConflict", "The send or update operation could not be performed."),
    "conflict_412": (412, "ErrorIrresolvableConflict", "The change key passed does not match the current one."),
    "precondition_412": (412, "PreconditionFailed", "The precondition failed."),
    "invalid_id_400": (400, "ErrorInvalidIdMalformed", "Id is malformed."),
    "too_many_requests_429": (429, "TooManyRequests", "Too many requests."),
    "application_throttled_429": (429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit."),
    "activity_limit_429": (429, "activityLimitReached", "The app or user has been throttled."),
    "internal_500": (500, "InternalServerError", "An internal server error occurred."),
    "bad_gateway_502": (502, "UnknownError", ""),
    "service_503": (503, "serviceNotAvailable", "The service is temporarily unavailable."),
    "server_busy_503": (503, "ErrorServerBusy", "The server cannot service this request right now."),
    "gateway_timeout_504": (504, "UnknownError", "Gateway timeout."),
    "bandwidth_509": (509, "BandwidthLimitExceeded", "The bandwidth limit is exceeded."),
    "validation_failed_400": (400, "ValidationError", "Subscription validation request failed."),
    "validation_timeout_400": (400, "ValidationError", "Subscription validation request timed out."),
    "subscription_forbidden_403": (
        403, "ExtensionError", "Operation: Create; Exception: [Status Code: Forbidden; Reason: Access denied.]",
    ),
    "subscription_exists_409": (
        409, "ObjectIdentifierInUse",
        "Subscription Id 7c9e6679-7425-40de-944b-e07fc1f90ae7 already exists for the requested combination",
    ),
    "subscription_gone_404": (404, "ResourceNotFound", "The object was not found."),
}  # fmt: skip
WITH_RETRY_AFTER = {
    "too_many_requests_429", "application_throttled_429", "activity_limit_429", "token_429", "server_busy_503",
}  # fmt: skip
# `looping_next_link` lets a delta page point to itself for ever, each time with another token.
WIRE_PRESETS = (*SHARED_WIRE_PRESETS, "looping_next_link", "token_429", "sync_state_410_location")
PRESETS = sorted([*TOKEN_PRESETS, *GRAPH_PRESETS, *WIRE_PRESETS])


def strike(fault: Fault) -> GraphError | LoginError | Answer | None:
    """The refusal or answer of a fault that needs no real one; None when the real answer is to be bent."""
    preset = fault.preset
    if preset in TOKEN_PRESETS:
        return LoginError(read_number(preset))
    if preset == "token_429":
        return LoginError(90055)
    if preset in GRAPH_PRESETS:
        return GraphError(*GRAPH_PRESETS[preset], headers=_headers(preset))
    answers = {
        "html_200": lambda: Answer(200, b"<!doctype html><title>Sign in</title>", "text/html; charset=utf-8"),
        "huge_page": lambda: Answer(200, b'{"value":[],"filler":"' + b"x" * HUGE_BYTES + b'"}'),
        "hang": lambda: Answer(200, hang=True),
        "custom": lambda: _custom(fault),
    }
    return answers[preset]() if preset in answers else None


def retry_after(fault: Fault, usual: int) -> dict[str, str]:
    """`Retry-After` where the refusal has it, or where the fault gives `seconds`."""
    refusal = fault.preset in GRAPH_PRESETS or fault.preset in TOKEN_PRESETS or fault.preset == "token_429"
    if fault.preset in WITH_RETRY_AFTER or (refusal and fault.seconds):
        return {"Retry-After": str(int(fault.seconds or usual))}
    return {}


def _headers(preset: str) -> dict[str, str]:
    if preset == "unauthorized_401":
        return {
            "WWW-Authenticate": 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
        }
    if preset == "claims_401":
        claims = b64encode(CLAIMS.encode()).decode()
        return {"WWW-Authenticate": f'Bearer realm="", error="insufficient_claims", claims="{claims}"'}
    return {}


def _custom(fault: Fault) -> Answer:
    if isinstance(fault.body, str):
        return Answer(fault.status or 500, fault.body.encode(), "text/plain; charset=utf-8")
    return Answer(fault.status or 500, msgspec.json.encode(fault.body))

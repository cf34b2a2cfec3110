"""Microsoft's two shapes of refusal: Graph's envelope and the token endpoint's flat object."""

from typing import Any


class GraphError(Exception):
    """A Graph refusal: `{"error": {"code", "message", "innerError": {...}}}`."""

    def __init__(self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Without `innerError`, which only the clock of a world can fill."""
        return {"error": {"code": self.code, "message": self.message}}


class LoginError(Exception):
    """A token endpoint refusal, told by its AADSTS number; `simulator.microsoft.refusals` knows the rest of it."""

    def __init__(self, number: int, message: str | None = None) -> None:
        super().__init__(f"AADSTS{number}: {message or ''}")
        self.number = number
        self.message = message


def not_found(message: str = "The specified object was not found in the store.") -> GraphError:
    return GraphError(404, "ErrorItemNotFound", message)


def invalid_id() -> GraphError:
    return GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")


def invalid(message: str, code: str = "ErrorInvalidParameter") -> GraphError:
    return GraphError(400, code, message)


def bad_token(message: str = "Access token validation failure. Invalid audience.") -> GraphError:
    return GraphError(401, "InvalidAuthenticationToken", message)


def access_denied() -> GraphError:
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def sync_state_gone(status: int, headers: dict[str, str] | None = None) -> GraphError:
    code = "syncStateNotFound" if status == 410 else "SyncStateNotFound"
    message = "The sync state generation is not found; a full synchronization is needed."
    return GraphError(status, code, message, headers=headers)

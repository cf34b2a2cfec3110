"""Google's two shapes of refusal: the Calendar API envelope and the OAuth endpoint's flat object."""

from typing import Any


class GoogleError(Exception):
    """A Calendar API refusal: `{"error": {"code", "message", "errors": [...]}}`."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: str | None = None,
        location_type: str = "parameter",
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.location = location
        self.location_type = location_type
        self.extra = extra or {}

    def body(self) -> dict[str, Any]:
        cause: dict[str, Any] = {"domain": self.domain, "reason": self.reason, "message": self.message}
        if self.location is not None:
            cause |= {"locationType": self.location_type, "location": self.location}
        return {"error": {"errors": [cause], "code": self.status, "message": self.message, **self.extra}}


class OAuthError(Exception):
    """A token endpoint refusal: `{"error": "...", "error_description": "..."}`."""

    def __init__(self, status: int, error: str, description: str, **extra: str) -> None:
        super().__init__(f"{status} {error}: {description}")
        self.status = status
        self.error = error
        self.description = description
        self.extra = extra

    def body(self) -> dict[str, Any]:
        return {"error": self.error, "error_description": self.description, **self.extra}


def not_found(message: str = "Not Found") -> GoogleError:
    return GoogleError(404, "notFound", message)


def gone() -> GoogleError:
    return GoogleError(410, "deleted", "Resource has been deleted")


def invalid(message: str, location: str | None = None) -> GoogleError:
    return GoogleError(400, "invalid", message, location=location)


def invalid_parameter(message: str, location: str) -> GoogleError:
    return GoogleError(400, "invalidParameter", message, location=location)


def bad_credentials() -> GoogleError:
    return GoogleError(
        401,
        "authError",
        "Invalid Credentials",
        location="Authorization",
        location_type="header",
        extra={"status": "UNAUTHENTICATED"},
    )


def insufficient_scope() -> GoogleError:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
        "metadata": {"service": "calendar-json.googleapis.com"},
    }
    return GoogleError(
        403,
        "insufficientPermissions",
        "Request had insufficient authentication scopes.",
        extra={"status": "PERMISSION_DENIED", "details": [info]},
    )


def full_sync_required() -> GoogleError:
    return GoogleError(
        410,
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        domain="calendar",
        location="syncToken",
    )


def required_access_level() -> GoogleError:
    return GoogleError(
        403, "requiredAccessLevel", "You need to have writer access to this calendar.", domain="calendar"
    )

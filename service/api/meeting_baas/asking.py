"""What is asked under `/meeting-baas`: ids, credentials and filters, read leniently, for clients were written to three documents.

Unknown fields and parameters are left alone. A body on a GET or DELETE is read only where the dialect gives it a meaning.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from service.api.auth import ApiRequest
from service.api.bodies import Body
from service.api.problems import field_problem, invalid, invalid_fields
from service.core.credentials import GoogleCredentials, MicrosoftCredentials
from service.errors import FieldProblem

OBJECT: Final = Body[dict[str, Any]](dict[str, Any])
"""A body that has to be there."""

PERHAPS: Final = Body[dict[str, Any]](dict[str, Any], when_empty={})
"""A body that may be empty, with or without a content type."""

NIL: Final = UUID(int=0)
"""What the vendor's client sends where it has no series to name."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PROVIDERS: Final = {"google": "google", "microsoft": "microsoft", "outlook": "microsoft"}
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "client_id": ("oauth_client_id", "client_id"),
    "client_secret": ("oauth_client_secret", "client_secret"),
    "refresh_token": ("oauth_refresh_token", "refresh_token"),
}
"""The fields of credentials: ours, and how the schemas and the older guide call each."""

_TENANTS: Final = ("oauth_tenant_id", "tenant_id")
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


def uuid_of(text: Any) -> UUID | None:
    """The UUID behind a text in its usual form; None for anything else."""
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


def provider_named(body: Mapping[str, Any], *names: str) -> str:
    """The provider that a body names, in any case, under the first of these names that is there. Raises GatewayError 422."""
    given = _first(body, names)
    if given is None:
        raise invalid(names[0], "is required")
    provider = _PROVIDERS.get(given.lower()) if isinstance(given, str) else None
    if provider is None:
        raise invalid(names[0], "accepts google and microsoft")
    return provider


def credentials_of(body: Mapping[str, Any], provider: str) -> GoogleCredentials | MicrosoftCredentials:
    """The credentials in a body. Raises GatewayError 422, naming the fields as the dialect has them."""
    given: dict[str, Any] = {"provider": provider}
    missing = []
    for name, spellings in _NAMES.items():
        if (value := _first(body, spellings)) is None:
            missing.append(FieldProblem(spellings[0], "is required"))
        given[name] = value
    if missing:
        raise invalid_fields(missing)
    kind: type[GoogleCredentials | MicrosoftCredentials] = GoogleCredentials
    if provider == "microsoft":
        kind, given["tenant_id"] = MicrosoftCredentials, _first(body, _TENANTS) or "common"
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        problem = field_problem(str(error))
        spelling = (*_NAMES.get(problem.field, ()), *(_TENANTS if problem.field == "tenant_id" else ()))
        raise invalid(next(iter(spelling), problem.field), problem.message) from None


def optional_text(body: Mapping[str, Any], name: str, most: int) -> str | None:
    """A text of a body that may be missing, null or empty. Raises GatewayError 422."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > most:
        raise invalid(name, f"has to be a string of at most {most} characters")
    return value


class Query:
    """The parameters of a list: of the query string, or (the older guide's way) of a body, which counts for less."""

    def __init__(self, request: ApiRequest, body: Mapping[str, Any] | None = None) -> None:
        self._params = request.query_params
        self._body = body or {}

    def all(self, *names: str) -> list[str]:
        """Every value that is not empty, under the first of these names that has one."""
        for name in names:
            if found := [value for value in self._params.getall(name, []) if value]:
                return found
        for name in names:
            value = self._body.get(name)
            if isinstance(value, (str, bool, int)) and value != "":
                return [str(value)]
        return []

    def text(self, *names: str, most: int = 1024) -> str | None:
        """One value. Raises GatewayError 422 for one that is absurdly long."""
        found = self.all(*names)
        if found and len(found[-1]) > most:
            raise invalid(names[0], f"is longer than {most} characters")
        return found[-1] if found else None

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number. Raises GatewayError 422 outside of its bounds."""
        given = self.text(name, most=20)
        if given is None:
            return default
        if not re.fullmatch(r"-?[0-9]+", given) or not least <= int(given) <= most:
            raise invalid(name, f"has to be a whole number from {least} to {most}")
        return int(given)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false; the word `null` is as good as nothing. Raises GatewayError 422."""
        given = self.text(name, most=8)
        if given is None or given.lower() == "null":
            return default
        if given.lower() not in _FLAGS:
            raise invalid(name, "has to be true or false")
        return _FLAGS[given.lower()]

    def several(self, name: str, accepted: Iterable[str]) -> list[str] | None:
        """Values between commas, or of the parameter given several times; None for no wish. Raises GatewayError 422."""
        given = [part.strip() for value in self.all(name) for part in value.split(",") if part.strip()]
        if not given:
            return None
        known = list(accepted)
        if any(value not in known for value in given):
            raise invalid(name, f"accepts {', '.join(known)}")
        return sorted(set(given))

    def moment(self, *names: str) -> datetime | None:
        """A time, as UTC where it says no offset; a day is its midnight. Raises GatewayError 422."""
        given = self.text(*names, most=64)
        if given is None:
            return None
        try:
            found = datetime.fromisoformat(given.strip().replace(" ", "+"))
        except ValueError:
            raise invalid(names[0], "is not a time such as 2026-01-31T09:00:00Z") from None
        # Far away from the end of the calendar, which an offset could pass.
        if not 1970 <= found.year < 9000:
            raise invalid(names[0], "is not a time such as 2026-01-31T09:00:00Z")
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _first(body: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((body[name] for name in names if body.get(name) is not None), None)

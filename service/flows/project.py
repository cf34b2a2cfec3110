"""Changing what a project decides, and having its calendars follow."""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.audit import GATEWAY, Author
from service.errors import FieldProblem, GatewayError
from service.flows.gateway import Gateway
from service.store import audit, examinations, projects, starts
from service.store.tables import LEAD_SECONDS, Found


class ProjectPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a project: what is UNSET stays, and None is the default.

    `expected_version` is what the client believes to change.
    """

    name: str | UnsetType = UNSET
    starting_lead_seconds: list[int] | UnsetType | None = UNSET
    link_preference: str | UnsetType | None = UNSET
    meeting_hosts: list[Any] | UnsetType | None = UNSET
    expected_version: int | None = None


async def change(gateway: Gateway, project_id: UUID, patch: ProjectPatch, by: Author = GATEWAY) -> Found:
    """Change a project: its row as this has written it. Raises GatewayError 409 for a name that another has, and 412.

    Calendars that decide nothing themselves about links have their stored events examined by the new rules.
    """
    try:
        async with gateway.database.write() as conn:
            await examinations.hold_choices(conn, project_id, alone=True)
            return await _change(gateway, conn, project_id, patch, by)
    except IntegrityError as error:
        taken = FieldProblem("name", "another project has it")
        raise GatewayError(409, "conflict", "Another project has this name.", errors=[taken]) from error


async def _change(gateway: Gateway, conn: AsyncConnection, project_id: UUID, patch: ProjectPatch, by: Author) -> Found:
    now = gateway.clock()
    before = await projects.settings(conn, project_id)
    if patch.expected_version not in {None, before.version}:
        raise GatewayError(412, "precondition_failed", f"The project is at version {before.version} by now.")
    values = _patched(patch)
    if not values:
        return before
    if "link_preference" in values or "meeting_hosts" in values:
        preference = values.get("link_preference", before.link_preference)
        hosts = values.get("meeting_hosts", before.meeting_hosts)
        if await examinations.inherit(conn, project_id, preference, hosts, now):
            gateway.wake.after(conn, "sync")
    # Calendars first: a settling has its calendars' rows when it asks for the project's.
    await projects.change(conn, project_id, values, now)
    if values.get("starting_lead_seconds", before.starting_lead_seconds) != before.starting_lead_seconds:
        await starts.rearm(conn, project_id, now, before.starting_lead_seconds)
        gateway.wake.after(conn, "starting")
    fields = [name for name, value in values.items() if value != getattr(before, name)]
    await audit.append(conn, project_id, by.did("project.changed", project_id, fields=fields), now)
    return await projects.settings(conn, project_id)


def _patched(patch: ProjectPatch) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if patch.name is not UNSET:
        values["name"] = patch.name
    if patch.starting_lead_seconds is not UNSET:
        given = patch.starting_lead_seconds
        values["starting_lead_seconds"] = list(LEAD_SECONDS) if given is None else given
    if patch.link_preference is not UNSET:
        values["link_preference"] = patch.link_preference or "structured"
    if patch.meeting_hosts is not UNSET:
        values["meeting_hosts"] = patch.meeting_hosts or []
    return values

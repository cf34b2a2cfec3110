"""Routes of the project behind the key: show it, and change what it decides for its calendars."""

from typing import Annotated, Final

import msgspec
from litestar import Response, get, patch
from msgspec import UNSET, Meta, UnsetType

from service.api.auth import ApiRequest
from service.api.authorship import author
from service.api.bodies import Body
from service.api.injection import Injected
from service.api.link_choices import LinkPreference, MeetingHosts, check_hosts, stored_hosts
from service.api.paging import entity_tag
from service.api.preconditions import expected_version
from service.api.views import ProjectView, project_view
from service.flows import project
from service.flows.gateway import Gateway
from service.store import projects
from service.store.tables import Found

LONGEST_LEAD: Final = 86_400
MOST_LEADS: Final = 10

Leads = Annotated[list[Annotated[int, Meta(ge=0, le=LONGEST_LEAD)]], Meta(max_length=MOST_LEADS)]


class ProjectChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a project to change; what is not there stays, and `null` brings a setting back to its default.

    `starting_lead_seconds` is how long before its start a meeting is announced (`meeting.starting`), each at most a day;
    none at all announces nothing. `link_preference` says which link of an event is its meeting's where there are several:
    the one of the provider's own field (`structured`, the default) or the one that somebody typed. `meeting_hosts` are
    hosts with meeting rooms of your own: a name, or `host` and `platform`; without a platform the link's path tells.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    starting_lead_seconds: Leads | UnsetType | None = UNSET
    link_preference: LinkPreference | UnsetType | None = UNSET
    meeting_hosts: MeetingHosts | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if self.name is not UNSET and (not self.name.isprintable() or self.name != self.name.strip()):
            raise ValueError("`name` has to be printable, without space around it")
        leads = self.starting_lead_seconds or []
        if len(set(leads)) != len(leads):
            raise ValueError("`starting_lead_seconds` has a value twice")
        check_hosts(self.meeting_hosts)


CHANGE: Final = Body[ProjectChange](
    ProjectChange,
    example={
        "starting_lead_seconds": [600, 60],
        "link_preference": "typed",
        "meeting_hosts": ["meet.example.org", {"host": "rooms.example.org", "platform": "bigbluebutton"}],
    },
)


@get("/project", operation_id="getProject", summary="Show the project behind the API key", tags=["Project"])
async def show(request: ApiRequest, gateway: Injected[Gateway]) -> Response[ProjectView]:
    async with gateway.database.read() as conn:
        return _answer(await projects.settings(conn, request.auth.project_id))


@patch(
    "/project",
    operation_id="changeProject",
    summary="Change what a project decides for its calendars",
    description="Needs the scope `write`. With another `link_preference` or other `meeting_hosts` the events of every calendar "
    "that does not decide that itself are examined again, without asking the provider; a link that is another then is an "
    "ordinary change of its event. 409 for a name that another project has.",
    tags=["Project"],
    opt={"body": CHANGE, "conditional": True, "statuses": (409,)},
)
async def change(request: ApiRequest, gateway: Injected[Gateway]) -> Response[ProjectView]:
    body = await CHANGE.read(request)
    wanted = project.ProjectPatch(
        name=body.name,
        starting_lead_seconds=body.starting_lead_seconds,
        link_preference=body.link_preference,
        meeting_hosts=stored_hosts(body.meeting_hosts) if isinstance(body.meeting_hosts, list) else body.meeting_hosts,
        expected_version=expected_version(request),
    )
    return _answer(await project.change(gateway, request.auth.project_id, wanted, author(request)))


def _answer(row: Found) -> Response[ProjectView]:
    return Response(project_view(row), headers=entity_tag(row.version))


ROUTES: Final = [show, change]

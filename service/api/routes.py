"""The HTTP application: every route, and what stands around them.

Edge ── routing ── Authentication ── check_scope ── the route ── flows, store
 └ request id, headers, hosts, HEAD     └ key, rate                └ problems for whatever is raised
"""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler

from service.api import (
    audit_log,
    availability,
    bots,
    calendars,
    changes,
    connect,
    connect_links,
    connections,
    documentation,
    endpoint_actions,
    endpoints,
    event_writing,
    events,
    health,
    meeting_links,
    meetings,
    messages,
    oauth_clients,
    openapi,
    project,
    push,
)
from service.api.auth import Authentication, check_scope
from service.api.bodies import MOST_BYTES
from service.api.draining import Draining
from service.api.edge import BODY_SECONDS, Edge
from service.api.health import Probe
from service.api.meeting_baas.routes import ROUTES as MEETING_BAAS
from service.api.problems import EXCEPTION_HANDLERS
from service.flows.gateway import Gateway
from service.flows.push import Storms
from service.providers.addresses import Policy
from service.settings import Settings

ROUTES: Final[Sequence[HTTPRouteHandler]] = [
    *project.ROUTES,
    *calendars.ROUTES,
    *oauth_clients.ROUTES,
    *connect_links.ROUTES,
    *connect.ROUTES,
    *connections.ROUTES,
    *events.ROUTES,
    *availability.ROUTES,
    *event_writing.ROUTES,
    *meetings.ROUTES,
    *bots.ROUTES,
    *meeting_links.ROUTES,
    *changes.ROUTES,
    *endpoints.ROUTES,
    *endpoint_actions.ROUTES,
    *messages.ROUTES,
    *audit_log.ROUTES,
    *push.ROUTES,
    *health.ROUTES,
]


def create_api(
    gateway: Gateway,
    draining: Draining | None = None,
    *,
    policy: Policy | None = None,
    clock: Callable[[], float] = time.monotonic,
    body_seconds: float = BODY_SECONDS,
) -> Litestar:
    """The application around a gateway.

    `draining` is begun at the signal to stop; `policy` says where webhooks may go (default: as the settings say); `clock`
    counts seconds (rate limits, health).
    """
    settings = gateway.settings
    draining = draining or Draining()
    documented = documentation.ROUTES if settings.docs else ()
    app = Litestar(
        [*ROUTES, *connect_links.PAGES, *MEETING_BAAS, *documented],
        dependencies={
            "gateway": _known(gateway),
            "draining": _known(draining),
            "policy": _known(policy or webhook_policy(settings)),
            "storms": _known(Storms()),
            "probe": _known(Probe(gateway, draining, clock)),
            "document": _known(create_document),
            "wanted": Provide(events.event_filter),
            "wish": Provide(connect.wish_of),
        },
        guards=[check_scope],
        middleware=[Authentication(gateway.database, settings.rate_limit, clock)],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=MOST_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    app.asgi_handler = Edge(
        app.asgi_handler,
        allowed_hosts=settings.allowed_hosts,
        body_seconds=body_seconds,
        is_ending=lambda: draining.is_begun,
    )
    return app


@cache
def create_document() -> bytes:
    """The OpenAPI document as JSON; needs no gateway, and a moment's work the first time."""
    app = Litestar(
        ROUTES,
        dependencies={name: _known(None) for name in ("gateway", "draining", "policy", "storms", "probe")}
        | {"wanted": Provide(events.event_filter), "wish": Provide(connect.wish_of)},
        openapi_config=openapi.config(),
        logging_config=None,
    )
    return openapi.encoded(app)


def webhook_policy(settings: Settings) -> Policy:
    """Where webhooks may go: not to networks that are private, unless they are named, and never to this gateway."""
    own = {(settings.host, settings.port)}
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        own.add((str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)))
    return Policy(allow_networks=settings.allow_networks, own=frozenset(own))


def _known(part: Any) -> Provide:
    return Provide(lambda: part, sync_to_thread=False)

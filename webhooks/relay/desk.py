"""The desk of endpoints that live at Svix; messages are ours, what became of them is Svix's to tell."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

import msgspec
from svix.api.authentication import AuthenticationAppPortalAccessOptions
from svix.api.endpoint import (
    EndpointCreateOptions,
    EndpointGetStatsOptions,
    EndpointRecoverOptions,
    EndpointRotateSecretOptions,
    EndpointSendExampleOptions,
)
from svix.api.svix import SvixAsync
from svix.models import (
    AppPortalAccessIn,
    EndpointIn,
    EndpointOut,
    EndpointPatch,
    EndpointSecretRotateIn,
    EventExampleIn,
    MessageStatus,
    RecoverIn,
)

from webhooks.delivery import Deliverer
from webhooks.desk import (
    MOST_ENDPOINTS,
    Deed,
    OutdatedVersion,
    Portal,
    Record,
    Selection,
    TooMany,
    Unavailable,
    UnknownObject,
    Unsupported,
    WrongState,
)
from webhooks.endpoints import Endpoint, EndpointDraft
from webhooks.history import Attempt, Delivery, Message
from webhooks.local_desk import LOOK_EVERY, PATIENCE, Announce, keep_no_record, tell_nobody
from webhooks.message import STANDARD, EndpointState
from webhooks.ports import Sessions
from webhooks.relay.archive import Archive
from webhooks.relay.channel import SvixFailed, SvixRefused, SvixUnreadable
from webhooks.relay.directory import Directory
from webhooks.relay.records import Records, Wanted
from webhooks.relay.remote import Remote, application, is_unknown, misses_a_type
from webhooks.relay.shapes import MOST_OF_AN_ENDPOINT, endpoint_id_of, endpoint_of, fields_of, listened_to, names_of

TEST = "webhook.test"
WINDOW = timedelta(hours=24)
LONGEST = 25.0
"""Seconds that a user's wish may take, however many calls it needs."""

SHORT_WHILE = 1.5
"""Seconds in which Svix is expected to make an attempt."""

OPEN_FOR = timedelta(hours=1)
"""How long a link to the portal may be used: the shortest that Svix gives."""


@asynccontextmanager
async def told_as_refusals() -> AsyncIterator[None]:
    """Around calls of the Svix server for one wish: all within its deadline; raises the desk's own exceptions."""
    try:
        async with asyncio.timeout(LONGEST):
            yield
    except TimeoutError:
        raise Unavailable(f"Svix did not answer all of it within {LONGEST:g} s.") from None
    except SvixRefused as error:
        if error.status in (400, 413, 422) and error.is_svix:
            raise Unsupported(f"Svix does not take this: {error.text or 'it does not say why'}.") from None
        if error.status == 409:
            raise WrongState(f"Svix says that this conflicts: {error.text or 'it does not say with what'}.") from None
        if error.status == 404 and error.is_svix:
            raise UnknownObject from None
        if error.status in (401, 403):
            raise Unavailable("Svix refuses the gateway's token; its operator has to give it a valid one.") from None
        raise Unavailable(f"Svix cannot do it now: it answered {error.status}.") from None
    except SvixFailed as error:
        raise Unavailable(f"{error}.") from None


class SvixDesk:
    """Satisfies `Desk`. `deliverer` is None in a process that sends nothing; `announce` reaches those that do.

    `patience` is for how many seconds a test waits for Svix to make the attempt.
    """

    def __init__(
        self,
        sessions: Sessions,
        remote: Remote,
        deliverer: Deliverer | None,
        *,
        announce: Announce = tell_nobody,
        patience: float = PATIENCE,
    ) -> None:
        self._sessions = sessions
        self._remote = remote
        self._directory = Directory(remote)
        self._records = Records(remote)
        self._archive = Archive(sessions, self._directory, self._records)
        self._deliverer = deliverer
        self._announce = announce
        self._patience = patience
        self._record: Record = keep_no_record

    def telling(self, record: Record) -> Self:
        mine = copy.copy(self)
        mine._record = record  # noqa: SLF001  (a copy of our own)
        return mine

    async def create(
        self,
        project_id: UUID,
        draft: EndpointDraft,
        *,
        endpoint_id: UUID,
        now: datetime,  # noqa: ARG002  (the protocol has it)
    ) -> tuple[Endpoint, str]:
        _check_draft(draft)
        app_id = str(project_id)
        wish = EndpointIn(uid=str(endpoint_id), **fields_of(msgspec.structs.asdict(draft), self._remote.catalogue))
        options = EndpointCreateOptions(idempotency_key=f"create.{endpoint_id}")
        async with told_as_refusals():
            await self._remote.open_application(project_id)
            there = await self._directory.all(project_id)
            out = next((each for each in there if endpoint_id_of(each) == endpoint_id), None)
            is_new = out is None
            if is_new and len(there) >= MOST_ENDPOINTS:
                raise TooMany(f"A project has at most {MOST_ENDPOINTS} webhook endpoints.")
            if out is None:
                out = await self._knowing_types(lambda svix: svix.endpoint.create(app_id, wish, options))
            secret = await self._secret(project_id, out)
        if is_new:
            await self._write_down(project_id, Deed("endpoint.created", endpoint_id))
        return self._shown(project_id, out), secret

    async def page(self, project_id: UUID, *, after: UUID | None, limit: int, now: datetime) -> list[Endpoint]:  # noqa: ARG002  (the protocol has it)
        async with told_as_refusals():
            found = await self._directory.all(project_id)
        later = [out for out in found if after is None or endpoint_id_of(out) > after]
        return [self._shown(project_id, out) for out in later[:limit]]

    async def get(self, project_id: UUID, endpoint_id: UUID, *, now: datetime) -> Endpoint:
        app_id, options = str(project_id), EndpointGetStatsOptions(since=now - WINDOW)
        async with told_as_refusals():
            out = await self._directory.one(project_id, endpoint_id)
            stats = await self._remote.call(lambda svix: svix.endpoint.get_stats(app_id, out.id, options))
        total = stats.success + stats.fail
        rate = round(stats.success / total, 4) if total > 0 else None
        return msgspec.structs.replace(self._shown(project_id, out), success_rate=rate)

    async def change(
        self,
        project_id: UUID,
        endpoint_id: UUID,
        changes: dict[str, Any],
        *,
        version: int | None,
        now: datetime,  # noqa: ARG002  (the protocol has it)
    ) -> Endpoint:
        _check_fields(changes.get("ordering"), changes.get("calendar_ids"))
        app_id = str(project_id)
        async with told_as_refusals():
            out, held = await self._held(project_id, endpoint_id, version)
            wish = {"state": EndpointState.ENABLED.value, **changes}
            differing = {name: value for name, value in wish.items() if getattr(held, name) != value}
            if not differing:
                return held
            said = fields_of(differing, self._remote.catalogue)
            if "metadata" in said:
                said["metadata"] = out.metadata | said["metadata"]
            patch = EndpointPatch(**said)
            changed = await self._knowing_types(lambda svix: svix.endpoint.patch(app_id, out.id, patch))
        await self._write_down(project_id, Deed("endpoint.changed", endpoint_id, tuple(sorted(differing))))
        return self._shown(project_id, changed)

    async def delete(self, project_id: UUID, endpoint_id: UUID, *, version: int | None, now: datetime) -> None:  # noqa: ARG002  (the protocol has it)
        app_id = str(project_id)
        async with told_as_refusals():
            out, _ = await self._held(project_id, endpoint_id, version)
            await self._remote.call(lambda svix: svix.endpoint.delete(app_id, out.id))
        await self._write_down(project_id, Deed("endpoint.deleted", endpoint_id))

    async def reveal(self, project_id: UUID, endpoint_id: UUID) -> str:
        async with told_as_refusals():
            out = await self._directory.one(project_id, endpoint_id)
            secret = await self._secret(project_id, out)
        await self._write_down(project_id, Deed("endpoint.secret_revealed", endpoint_id))
        return secret

    async def rotate(
        self,
        project_id: UUID,
        endpoint_id: UUID,
        *,
        grace: timedelta,
        rotation_id: UUID,
        now: datetime,  # noqa: ARG002  (the protocol has it)
    ) -> str:
        app_id = str(project_id)
        wish = EndpointSecretRotateIn(grace_period_seconds=int(grace.total_seconds()))
        options = EndpointRotateSecretOptions(idempotency_key=f"rotate.{rotation_id}")
        async with told_as_refusals():
            out = await self._directory.one(project_id, endpoint_id)
            try:
                await self._remote.call(lambda svix: svix.endpoint.rotate_secret(app_id, out.id, wish, options))
            except SvixUnreadable as error:
                # Svix answers 204 without a word, where this client wants to read the secret.
                if error.status != 204:
                    raise
            secret = await self._secret(project_id, out)
        await self._write_down(project_id, Deed("endpoint.secret_rotated", endpoint_id))
        return secret

    async def test(self, project_id: UUID, endpoint_id: UUID, *, now: datetime) -> Attempt:  # noqa: ARG002  (the protocol has it)
        app_id, wish, options = str(project_id), EventExampleIn(event_type=TEST), EndpointSendExampleOptions()
        async with told_as_refusals():
            out = await self._enabled(project_id, endpoint_id)
            sent = await self._knowing_types(lambda svix: svix.endpoint.send_example(app_id, out.id, wish, options))
        await self._write_down(project_id, Deed("endpoint.tested", endpoint_id))
        # Svix's own server lets an example fall that the endpoint's filters do not want; what is resent passes them.
        is_passed_over = out.channels is not None or (out.event_types is not None and TEST not in out.event_types)
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    async with told_as_refusals():
                        attempt = await self._first_attempt(project_id, sent.id, out)
                        if attempt is None and is_passed_over:
                            await self._records.resend(project_id, [sent.id], out.id)
                    if attempt is not None:
                        return attempt
                    is_passed_over = False
        except TimeoutError:
            raise Unavailable("Svix has not made the attempt yet; its portal will show it.") from None

    async def _first_attempt(self, project_id: UUID, svix_message_id: str, out: EndpointOut) -> Attempt | None:
        """The attempt of a test, as soon as it is made; None when it is not made in a while."""
        for _ in range(int(SHORT_WHILE / LOOK_EVERY)):
            attempt = await self._records.first_attempt(project_id, svix_message_id, out)
            if attempt is not None:
                return attempt
            await asyncio.sleep(LOOK_EVERY)
        return None

    async def recover(
        self,
        project_id: UUID,
        endpoint_id: UUID,
        *,
        since: datetime,
        until: datetime | None,
        event_types: list[str] | None,
        now: datetime,
    ) -> int:
        app_id, options = str(project_id), EndpointRecoverOptions()
        types = names_of(event_types, self._remote.catalogue) if event_types is not None else None
        wanted = Wanted(states=(MessageStatus.FAIL,), types=types, since=since, until=until)
        wish = RecoverIn(since=since, until=until)
        async with told_as_refusals():
            out = await self._enabled(project_id, endpoint_id)
            failed = await self._records.of_endpoint(project_id, out.id, wanted, limit=1000)
            if types is None:
                await self._remote.call(lambda svix: svix.endpoint.recover(app_id, out.id, wish, options))
            else:
                await self._records.resend(project_id, [each.id for each in failed], out.id)
        again = await self._archive.hand_over_again(
            project_id, since=since, until=until, event_types=event_types, now=now, announce=self._announce
        )
        await self._write_down(project_id, Deed("endpoint.recovered", endpoint_id))
        self._wake()
        return len(failed) + again

    async def messages(self, project_id: UUID, wanted: Selection) -> list[tuple[Message, list[Delivery]]]:
        async with told_as_refusals():
            return await self._archive.page(project_id, wanted)

    async def message(self, project_id: UUID, message_id: UUID) -> tuple[Message, list[Delivery]]:
        async with told_as_refusals():
            return await self._archive.one(project_id, message_id)

    async def attempts(self, project_id: UUID, message_id: UUID) -> list[Attempt]:
        async with told_as_refusals():
            return await self._archive.attempts(project_id, message_id)

    async def resend(self, project_id: UUID, message_id: UUID, *, endpoint_id: UUID | None, now: datetime) -> int:
        async with told_as_refusals():
            if endpoint_id is not None:
                await self._enabled(project_id, endpoint_id)
            if await self._archive.resend(project_id, message_id, now=now, announce=self._announce):
                count = 1
            else:
                count = await self._sent_again(project_id, message_id, endpoint_id)
        await self._write_down(project_id, Deed("message.resent", message_id))
        self._wake()
        return count

    async def portal(self, project_id: UUID, *, now: datetime) -> Portal:
        app_id = str(project_id)
        wish = AppPortalAccessIn(application=application(project_id), expiry=int(OPEN_FOR.total_seconds()))
        options = AuthenticationAppPortalAccessOptions()
        async with told_as_refusals():
            access = await self._remote.call(lambda svix: svix.authentication.app_portal_access(app_id, wish, options))
        await self._write_down(project_id, Deed("portal.opened", project_id))
        return Portal(access.url, now + OPEN_FOR)

    async def _sent_again(self, project_id: UUID, message_id: UUID, endpoint_id: UUID | None) -> int:
        found = [
            out
            for out in await self._records.destinations(project_id, message_id)
            if not out.disabled and endpoint_id in (None, endpoint_id_of(out))
        ]
        if not found:
            raise WrongState("None of the endpoints that this message was for can be sent to.")
        for out in found:
            await self._records.resend(project_id, [str(message_id)], out.id)
        return len(found)

    async def _knowing_types(self, work: Callable[[SvixAsync], Any]) -> Any:
        """What a call answers that names types of webhooks, which the server has to know."""
        await self._remote.tell_catalogue()
        try:
            return await self._remote.call(work)
        except SvixRefused as error:
            if not is_unknown(error) and not misses_a_type(error):
                raise
        # Somebody has deleted types there since this process began.
        await self._remote.tell_catalogue(again=True)
        return await self._remote.call(work)

    async def _held(self, project_id: UUID, endpoint_id: UUID, version: int | None) -> tuple[EndpointOut, Endpoint]:
        out = await self._directory.one(project_id, endpoint_id)
        held = self._shown(project_id, out)
        if version is not None and held.version != version:
            raise OutdatedVersion(held.version)
        return out, held

    async def _enabled(self, project_id: UUID, endpoint_id: UUID) -> EndpointOut:
        out = await self._directory.one(project_id, endpoint_id)
        if out.disabled:
            raise WrongState("The endpoint is disabled; a PATCH enables it.")
        return out

    async def _secret(self, project_id: UUID, out: EndpointOut) -> str:
        return (await self._remote.call(lambda svix: svix.endpoint.get_secret(str(project_id), out.id))).key

    def _shown(self, project_id: UUID, out: EndpointOut) -> Endpoint:
        return endpoint_of(out, project_id, self._remote.catalogue)

    async def _write_down(self, project_id: UUID, deed: Deed) -> None:
        """After the deed: what another server does is in no transaction of ours."""
        if self._record is not keep_no_record:
            async with self._sessions.write() as conn:
                await self._record(conn, project_id, deed)

    def _wake(self) -> None:
        if self._deliverer is not None:
            self._deliverer.wake()


def _check_draft(draft: EndpointDraft) -> None:
    if draft.format != STANDARD or draft.headers:
        raise Unsupported("Svix sends the standard format only; other formats need a gateway that delivers itself.")
    _check_fields(draft.ordering, draft.calendar_ids)


def _check_fields(ordering: str | None, calendar_ids: list[UUID] | None) -> None:
    if ordering not in (None, "best_effort"):
        raise Unsupported("Svix knows no order: `ordering` has to be `best_effort`.")
    if len(listened_to(calendar_ids) or ()) > MOST_OF_AN_ENDPOINT:
        raise Unsupported(f"With Svix, `calendar_ids` names at most {MOST_OF_AN_ENDPOINT - 1} calendars.")

"""Receivers that hang, drip, flood, redirect, reset or talk nonsense: bounded, recorded, and retried by the schedule."""

import asyncio
import gzip
import resource
import socket
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import trustme
from providers.recording_dials import Names, slots_over
from webhook_bench import LoopbackClients
from webhook_receivers import (
    answers,
    drips,
    floods,
    hangs,
    hangs_up,
    hangs_up_halfway,
    listening,
    resets,
    talks_nonsense,
)

from service.providers.addresses import Policy, parse_networks
from webhooks.attempt import fit

pytestmark = pytest.mark.anyio


async def first_attempt(bench, url, clients=None, **settings):
    """Publish one message to `url`; the recorded attempt and the delivery's row."""
    await bench.endpoint(url)
    deliverer = bench.deliverer(clients, **settings)
    await bench.publish(deliverer)
    [attempt] = await bench.attempts(1)
    [delivery] = await bench.rows("deliveries")
    return attempt, delivery


@pytest.mark.parametrize(
    ("behaviour", "kind", "status", "pause"),
    [
        pytest.param(hangs, "timeout", None, 5, id="never-answers"),
        pytest.param(drips, "timeout", 200, 5, id="a-byte-now-and-then"),
        pytest.param(resets, "connect", None, 5, id="resets"),
        pytest.param(hangs_up, "protocol", None, 5, id="hangs-up"),
        pytest.param(hangs_up_halfway, "protocol", 200, 5, id="hangs-up-halfway"),
        pytest.param(talks_nonsense, "protocol", None, 5, id="no-http-at-all"),
        pytest.param(answers(200, b"", x="y" * 200_000), "protocol", None, 5, id="headers-without-end"),
        pytest.param(answers(500), "status", 500, 5, id="server-error"),
        pytest.param(answers(429, retry_after="90"), "status", 429, 90, id="too-many-requests"),
        pytest.param(answers(503, retry_after="junk"), "status", 503, 5, id="retry-after-junk"),
    ],
)
async def test_a_failure_is_recorded_and_retried(bench, behaviour, kind, status, pause):
    receiver = await bench.receiver(behaviour)
    attempt, delivery = await first_attempt(bench, receiver.url, deadline=0.4 if kind == "timeout" else 15)
    assert (attempt.error_kind, attempt.status, delivery.state) == (kind, status, "pending")
    wait = (delivery.next_at - bench.clock()).total_seconds()
    assert pause <= wait <= pause + 1
    assert bench.observed == [kind]


async def test_a_redirect_is_a_failure_and_not_followed(bench):
    second = await bench.receiver()
    first = await bench.receiver(answers(308, location=second.url))
    attempt, _ = await first_attempt(bench, first.url)
    assert (attempt.status, attempt.error_kind) == (308, "status")
    assert second.requests == []


async def test_an_endless_answer_is_read_to_the_cap_and_counts_by_its_status(bench):
    receiver = await bench.receiver(floods)
    attempt, delivery = await first_attempt(bench, receiver.url)
    assert (attempt.status, attempt.error_kind, delivery.state) == (200, None, "delivered")
    assert attempt.answer == "x" * 4096


async def test_a_slot_is_of_use_after_a_hanging_and_a_flooding_receiver(bench):
    clients = LoopbackClients()
    receiver = await bench.receiver(hangs)
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer(clients, deadline=1, concurrency=1)
    for number, behaviour in enumerate((hangs, floods, resets, answers(200)), 1):
        receiver.behaviour = behaviour
        await bench.publish(deliverer)
        await bench.attempts(number)
    assert bench.observed == ["timeout", "delivered", "connect", "delivered"]
    assert len(clients.idle) == 1


async def test_a_gzip_bomb_is_never_unpacked(bench):
    bomb = gzip.compress(bytes(20_000_000))
    bomb += gzip.compress(bytes(200_000_000), 1)
    receiver = await bench.receiver(answers(200, bomb, content_encoding="gzip"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attempt, delivery = await first_attempt(bench, receiver.url)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024
    assert delivery.state == "delivered"
    assert attempt.answer == fit(bomb[:4096].decode(errors="replace"))


async def test_html_is_kept_as_text_and_our_secrets_are_not(bench):
    async def echoes(request, writer):
        body = f"<script>{request.headers['webhook-signature']}</script>".encode()
        await answers(400, body)(request, writer)

    receiver = await bench.receiver(echoes)
    attempt, _ = await first_attempt(bench, receiver.url)
    assert attempt.answer == "<script>v1,[redacted]</script>"


async def test_nobody_listens(bench):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        attempt, _ = await first_attempt(bench, f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert attempt.error_kind == "connect"


@pytest.mark.parametrize("url", ["gopher://example.org/", "http://a\x01b/", "https://example.org:port/"])
async def test_an_address_that_is_none(bench, url):
    attempt, delivery = await first_attempt(bench, url)
    assert (attempt.error_kind, delivery.state) == ("protocol", "pending")


async def test_tls_with_somebody_who_does_not_speak_it(bench):
    receiver = await bench.receiver(talks_nonsense)

    @asynccontextmanager
    async def borrow():
        async with httpx.AsyncClient(trust_env=False, verify=ssl.create_default_context()) as client:
            yield client

    clients = LoopbackClients()
    clients.borrow = borrow
    attempt, _ = await first_attempt(bench, receiver.url.replace("http:", "https:"), clients, deadline=0.5)
    assert attempt.error_kind in ("tls", "timeout")


DAY = timedelta(days=1)


def proof(authority, kind):
    """What a server shows: good for its name, or in one way not."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    now = datetime.now(UTC)
    if kind == "expired":
        leaf = authority.issue_cert("good.example", not_before=now - 2 * DAY, not_after=now - DAY)
    elif kind == "not yet valid":
        leaf = authority.issue_cert("good.example", not_before=now + DAY, not_after=now + 2 * DAY)
    elif kind == "self-signed":
        leaf = trustme.CA().issue_cert("good.example")
    else:
        leaf = authority.issue_cert("evil.example" if kind == "another's" else "good.example")
    leaf.configure_cert(tls)
    if kind == "TLS 1.1":
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        tls.set_ciphers("ALL:@SECLEVEL=0")
    return tls


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("kind", ["good", "expired", "not yet valid", "self-signed", "another's", "TLS 1.1"])
async def test_tls_is_good_or_nothing_is_sent(bench, kind):
    authority, trusting = trustme.CA(), httpx.create_ssl_context()
    authority.configure_trust(trusting)
    slots = slots_over(Names(["127.0.0.1"]), Policy(allow_networks=parse_networks(["127.0.0.0/8"])), tls=trusting)
    clients = LoopbackClients()
    clients.borrow = slots.borrow
    async with listening(answers(200), proof(authority, kind)) as receiver:
        port = httpx.URL(receiver.url).port
        attempt, delivery = await first_attempt(bench, f"https://good.example:{port}/", clients)
        assert (attempt.error_kind, delivery.state) == ((None, "delivered") if kind == "good" else ("tls", "pending"))
        assert len(receiver.requests) == (1 if kind == "good" else 0)
        if kind == "TLS 1.1":
            assert await version_spoken_of_old(port, authority) == "TLSv1.1"
        await slots.aclose()  # the server would wait half a minute for the client to say goodbye


async def version_spoken_of_old(port, authority):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(old)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.set_ciphers("ALL:@SECLEVEL=0")
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=old, server_hostname="good.example")
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    await writer.wait_closed()
    return version


class Refused(httpx.ConnectError):
    kind = "blocked_address"


async def test_the_kind_of_a_guard_is_kept(bench):
    def refuse(_request):
        raise Refused("the host leads to an address that is not public")

    attempt, _ = await first_attempt(bench, "https://inside.example/", LoopbackClients(httpx.MockTransport(refuse)))
    assert attempt.error_kind == "blocked_address"
    assert attempt.error_detail == "the host leads to an address that is not public"


async def test_an_endpoint_whose_name_is_silent_has_one_attempt_in_flight(bench):
    class Unknown(httpx.ConnectError):
        kind = "dns"

    in_flight, asked, go = 0, [], asyncio.Event()

    async def look_up_in_vain(_request):
        nonlocal in_flight
        in_flight += 1
        asked.append(in_flight)
        await go.wait()
        in_flight -= 1
        raise Unknown("the host does not resolve")

    await bench.endpoint("https://silent.example/")
    deliverer = bench.deliverer(LoopbackClients(httpx.MockTransport(look_up_in_vain)))
    go.set()
    await bench.publish(deliverer)
    await bench.attempts(1)
    go.clear()
    await bench.publish(deliverer, 8)
    await asyncio.sleep(0.05)
    assert in_flight == 1
    go.set()
    await bench.attempts(2)
    assert set(asked) == {1}


async def test_a_slot_that_cannot_be_had_is_a_failed_attempt(bench):
    @asynccontextmanager
    async def borrow():
        raise RuntimeError("closed")
        yield

    clients = LoopbackClients()
    clients.borrow = borrow
    attempt, delivery = await first_attempt(bench, "https://a.example/", clients)
    assert (attempt.error_kind, delivery.state) == ("internal", "pending")


async def test_a_kept_connection_that_died_is_replaced_at_once(bench):
    async def hangs_up_after_one(request, writer):
        await answers(200)(request, writer)
        receiver.behaviour = dies

    async def dies(_request, writer):
        receiver.behaviour = answers(200)
        writer.transport.abort()

    receiver = await bench.receiver(hangs_up_after_one)
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer(concurrency=1)
    await bench.publish(deliverer)
    await bench.attempts(1)
    await bench.publish(deliverer)
    await bench.attempts(2)
    assert bench.observed == ["delivered", "delivered"]
    assert receiver.connections == 2


@pytest.mark.parametrize(
    ("behaviour", "state", "reason", "delivery_state"),
    [
        pytest.param(answers(410), "disabled", "gone", "parked", id="gone"),
        pytest.param(answers(500, webhook_delivery="disable"), "disabled", "requested", "parked", id="header"),
        pytest.param(answers(200, webhook_delivery="disable"), "disabled", "requested", "delivered", id="with-thanks"),
        pytest.param(answers(500, webhook_delivery="abort-message"), "enabled", None, "failed", id="abort"),
    ],
)
async def test_a_receiver_says_stop(bench, behaviour, state, reason, delivery_state):
    receiver, other = await bench.receiver(behaviour), await bench.receiver()
    endpoint, _ = await bench.endpoint(receiver.url, event_types=["calendar.active"])
    _, other_secret = await bench.endpoint(other.url, event_types=["webhook.*"])
    deliverer = bench.deliverer()
    await bench.publish(deliverer)
    await bench.attempts(1)
    [row] = [row for row in await bench.rows("endpoints") if row.id == endpoint.id]
    assert (row.state, row.disabled_reason) == (state, reason)
    assert (await bench.states())[0] == delivery_state
    if state == "disabled":
        [told] = await other.until(1)
        news = told.verify(other_secret)
        assert (news["type"], news["data"]) == (
            "webhook.endpoint_disabled",
            {"endpoint_id": str(endpoint.id), "reason": reason},
        )
        await bench.publish(deliverer)
        assert len(receiver.requests) == 1


async def test_what_waits_for_an_endpoint_that_is_gone_is_parked(bench):
    receiver = await bench.receiver(answers(410))
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer(endpoint_concurrency=1)
    await bench.publish(deliverer, 5)
    await bench.attempts(1)
    await bench.until(lambda: bench.rows("deliveries"), lambda rows: all(row.lease is None for row in rows))
    await deliverer.claim_due()
    states = await bench.until(bench.states, lambda states: "pending" not in states)
    assert set(states) == {"parked"}
    assert len(receiver.requests) == 1


async def test_five_days_of_failure_disable_across_restarts(bench):
    receiver = await bench.receiver(answers(500))
    endpoint, _ = await bench.endpoint(receiver.url)
    start = bench.clock()
    disabled_at = None
    while disabled_at is None and bench.clock() - start < timedelta(days=7):
        deliverer = bench.deliverer()  # a new process each time: the clock is in the database
        await bench.publish(deliverer)
        before = len(await bench.rows("attempts"))
        await deliverer.claim_due()
        await bench.attempts(before + 1)
        await bench.until(lambda: bench.rows("deliveries"), lambda rows: all(row.lease is None for row in rows))
        await deliverer.drain(0.5)
        [row] = await bench.rows("endpoints")
        disabled_at = row.disabled_at
        bench.clock.advance(hours=12)
    assert disabled_at is not None
    assert timedelta(days=5) <= disabled_at - start <= timedelta(days=5, hours=12)
    assert (row.id, row.disabled_reason) == (endpoint.id, "failing")

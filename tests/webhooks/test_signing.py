"""Signatures: the specification's vector, both published verifiers, rotation, and what must not be signed with."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import standardwebhooks
import svix.webhooks

from webhooks.signing import Signer, SigningKey, checked, new_secret, packed, unpacked

VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VERIFIERS = [
    pytest.param(svix.webhooks.Webhook, id="svix"),
    pytest.param(standardwebhooks.Webhook, id="standardwebhooks"),
]


def headers(message_id, signature):
    return {
        "webhook-id": message_id,
        "webhook-timestamp": signature.timestamp,
        "webhook-signature": signature.value,
    }


def test_the_vector_of_the_specification():
    at = datetime.fromtimestamp(1614265330, UTC)
    signature = Signer([SigningKey(VECTOR_SECRET)]).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    assert signature == ("1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")


def test_another_zone_is_the_same_instant():
    east = timezone(timedelta(hours=9))
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    signer = Signer([SigningKey(VECTOR_SECRET)])
    assert signer.sign("m", at.astimezone(east), "{}") == signer.sign("m", at, "{}")


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_every_unexpired_key_signs(verifier):
    now = datetime.now(UTC)
    newest, older, expired = new_secret(), new_secret(), new_secret()
    keys = [
        SigningKey(newest),
        SigningKey(older, now + timedelta(hours=1)),
        SigningKey(expired, now),
    ]
    body = '{"type":"a","data":{"name":"Zoë \\u2603 ☃"}}'
    signature = Signer(keys).sign("m1", now, body)
    assert len(signature.value.split(" ")) == 2
    for secret in (newest, older):
        verifier(secret).verify(body.encode(), headers("m1", signature))
    for wrong in (expired, new_secret()):
        with pytest.raises(Exception, match="No matching signature"):
            verifier(wrong).verify(body.encode(), headers("m1", signature))


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_changed_body_or_id_does_not_verify(verifier):
    secret = new_secret()
    signature = Signer([SigningKey(secret)]).sign("m1", datetime.now(UTC), "{}")
    for body, message_id in ((b"{ }", "m1"), (b"{}", "m2")):
        with pytest.raises(Exception, match="No matching signature"):
            verifier(secret).verify(body, headers(message_id, signature))


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("", id="empty"),
        pytest.param("whsec_", id="no-bytes"),
        pytest.param("whsec_AA==", id="one-byte"),
        pytest.param("whsk_" + "A" * 44, id="asymmetric-key"),
        pytest.param("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id="no-prefix"),
        pytest.param("whsec_" + "!" * 44, id="not-base64"),
        pytest.param("whsec_" + "A" * 88, id="too-long"),
    ],
)
def test_a_weak_or_foreign_secret_is_refused(secret):
    with pytest.raises(ValueError, match="a signing secret is"):
        Signer([SigningKey(secret)])


def test_secrets_are_fresh_and_of_32_bytes():
    assert new_secret() != new_secret()
    assert len(checked(new_secret())) == len("whsec_") + 44


def test_keys_survive_packing_and_hide_from_print():
    keys = [SigningKey(new_secret()), SigningKey(new_secret(), datetime(2026, 1, 2, tzinfo=UTC))]
    assert unpacked(packed(keys)) == keys
    assert keys[0].secret not in repr(keys)


def test_echoed_signatures_and_secrets_are_taken_out():
    secret = "whsec_" + "/a+b" * 11
    signer = Signer([SigningKey(secret)])
    signature = signer.sign("m1", datetime.now(UTC), "{}")
    echo = f"got {signature.value}, {secret}, {secret.replace('/', chr(92) + '/')} thanks"
    assert signer.redact(echo, signature) == "got v1,[redacted], whsec_[redacted], whsec_[redacted] thanks"

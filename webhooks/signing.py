"""Standard Webhooks 1.0 signatures (HMAC-SHA256) and the secrets behind them."""

import base64
import binascii
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from standardwebhooks import Webhook

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes; "Signature scheme" in the specification


class SigningKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A secret as users see it (`whsec_` and base64), and when it stops signing; the newest never does.

    `headers` are secrets that go along with every request, as the newest key has them.
    `rotation_id` is the wish that has made it, so that the same wish again makes no other.
    """

    secret: str
    expires_at: datetime | None = None
    rotation_id: UUID | None = None
    headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SigningKey(expires_at={self.expires_at})"

    def signs_at(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


class Signature(NamedTuple):
    """The two headers that depend on the attempt: seconds since 1970, and the signatures, space separated."""

    timestamp: str
    value: str


class Signer:
    """The signing keys of one endpoint, ready to use."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        self._keys = [(key, Webhook(checked(key.secret))) for key in keys]
        self.headers = self._keys[0][0].headers if self._keys else {}

    def sign(self, message_id: str, at: datetime, body: str) -> Signature:
        """Sign a body for an attempt made at `at` with every key that has not expired then.

        The library replaces the zone of the time that it gets instead of converting it, so it gets UTC.
        """
        moment = at.astimezone(UTC)
        signatures = [webhook.sign(message_id, moment, body) for key, webhook in self._keys if key.signs_at(moment)]
        return Signature(str(int(moment.timestamp())), " ".join(signatures))

    def redact(self, text: str, signature: Signature) -> str:
        """Take our secrets and signatures out of a receiver's answer, which may echo what it was sent."""
        ours = [part.partition(",")[2] for part in signature.value.split(" ")]
        ours += [key.secret.removeprefix(PREFIX) for key, _ in self._keys]
        ours += self.headers.values()
        for word in ours:
            for spelling in (word, word.replace("/", r"\/")):
                text = text.replace(spelling, "[redacted]")
        return text


def new_secret() -> str:
    """A fresh secret: `whsec_` and the base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def checked(secret: str) -> str:
    """The same secret; raises ValueError unless it is `whsec_` and the base64 of 24 to 64 bytes."""
    try:
        size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
    except binascii.Error:
        size = 0
    if not secret.startswith(PREFIX) or not SHORTEST <= size <= LONGEST:
        raise ValueError(f"a signing secret is {PREFIX} and the base64 of {SHORTEST} to {LONGEST} bytes")
    return secret


def packed(keys: Sequence[SigningKey]) -> bytes:
    """An endpoint's keys, newest first, as the bytes to be sealed."""
    return msgspec.json.encode(keys)


def unpacked(plaintext: bytes) -> list[SigningKey]:
    """The keys out of what `packed` made."""
    return msgspec.json.decode(plaintext, type=list[SigningKey])

"""Sealed values open where they were sealed, under the right key, and nowhere else."""

import base64
import os
from pathlib import Path

import pytest

from service.store.cipher import Cipher, KeyRing, KeyRingError, Unreadable, generate_key, place_of

PLACE = place_of("p1", "connections", "refresh_token", "r1")
KEY = base64.b64encode(os.urandom(32)).decode()


def test_what_is_sealed_opens(cipher: Cipher) -> None:
    assert [cipher.open(cipher.seal(secret, PLACE), PLACE) for secret in (b"", b"x" * 10_000)] == [b"", b"x" * 10_000]


def test_the_same_secret_never_looks_the_same(cipher: Cipher) -> None:
    assert len({cipher.seal(b"secret", PLACE) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(place_of("p2", "connections", "refresh_token", "r1"), id="another-project"),
        pytest.param(place_of("p1", "connections", "access_token", "r1"), id="another-column"),
        pytest.param(place_of("p1", "connections", "refresh_token", "r2"), id="another-row"),
    ],
)
def test_a_value_that_was_moved_does_not_open(cipher: Cipher, other: str) -> None:
    with pytest.raises(Unreadable):
        cipher.open(cipher.seal(b"secret", PLACE), other)


def test_every_flipped_bit_is_noticed(cipher: Cipher) -> None:
    sealed = cipher.seal(b"secret", PLACE)
    for position in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(Unreadable):
            cipher.open(bytes(damaged), PLACE)


def test_a_value_that_was_cut_off_is_unreadable(cipher: Cipher) -> None:
    sealed = cipher.seal(b"secret", PLACE)
    for length in range(len(sealed)):
        with pytest.raises(Unreadable):
            cipher.open(sealed[:length], PLACE)


def test_the_first_key_seals_and_all_open() -> None:
    old, new = generate_key(), generate_key()
    before, between = Cipher(KeyRing.parse(old)), Cipher(KeyRing.parse(f"{new},{old}"))
    after = Cipher(KeyRing.parse(new))
    sealed = before.seal(b"secret", PLACE)
    assert not between.is_current(sealed)
    anew = between.seal(between.open(sealed, PLACE), PLACE)
    assert between.is_current(anew)
    assert after.open(anew, PLACE) == b"secret"
    with pytest.raises(Unreadable):
        after.open(sealed, PLACE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(KEY, "entry 1 has no id", id="no-id"),
        pytest.param(f"a:{KEY},", "entry 2 has no id", id="trailing-comma"),
        pytest.param("a:!!!", "'a' is not base64", id="not-base64"),
        pytest.param("a:" + base64.b64encode(b"x" * 16).decode(), "'a' has 16 bytes", id="too-short"),
        pytest.param(f"a:{KEY.rstrip('=')}A", "'a' has 33 bytes", id="too-long"),
        pytest.param(f"a:{KEY},a:{KEY}", "'a' is there twice", id="twice"),
    ],
)
def test_a_bad_ring_says_what_is_wrong_and_not_the_key(text: str, reason: str) -> None:
    with pytest.raises(KeyRingError, match=reason) as caught:
        KeyRing.parse(text)
    assert str(caught.value).startswith("CALGATE_SECRET_KEYS: ")
    assert KEY not in str(caught.value)


def test_a_ring_does_not_show_its_keys() -> None:
    ring = KeyRing.parse(f"a:{KEY}")
    assert KEY not in repr(ring)
    assert repr(ring.keys["a"]) not in repr(ring)


def test_the_key_file_is_made_once_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "calgate.db.key"
    ring, made = KeyRing.load(None, path)
    again, made_again = KeyRing.load(None, path)
    assert (made, made_again, ring.keys == again.keys) == (True, False, True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["calgate.db.key"]


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calgate.db.key"
    KeyRing.load(None, path)
    path.chmod(0o644)
    with pytest.raises(KeyRingError, match="can be read by others"):
        KeyRing.load(None, path)


def test_a_key_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match="set CALGATE_SECRET_KEYS"):
        KeyRing.load(None, tmp_path / "missing" / "calgate.db.key")


def test_postgresql_needs_the_variable() -> None:
    with pytest.raises(KeyRingError, match="CALGATE_SECRET_KEYS is required with PostgreSQL"):
        KeyRing.load(None, None)


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(KEY.rstrip("="), id="without-padding"),
        pytest.param(KEY.replace("+", "-").replace("/", "_"), id="url-safe"),
        pytest.param(base64.b64encode(b"0" * 32).decode(), id="thirty-two-zeros"),
    ],
)
def test_any_thirty_two_bytes_are_a_key(encoded: str) -> None:
    padded = encoded.replace("-", "+").replace("_", "/") + "=" * (-len(encoded) % 4)
    assert dict(KeyRing.parse(f"a:{encoded}").keys) == {"a": base64.b64decode(padded)}

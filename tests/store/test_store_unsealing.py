"""Damaged encrypted files: one wrong byte costs nothing, more cost a chunk, nothing is made up."""

import os
import random
from pathlib import Path

import pytest

from facesearch.store import unsealing
from facesearch.store.sealing import HEADER, Key
from facesearch.store.unsealing import header_left, unseal_what_is_left, was_sealed
from sealed_stores import cheap_encryption, sealed

CHUNK = 100  # so that the last block of a chunk is short
WHERE = Path("faces.npz")


@pytest.fixture(autouse=True)
def _small_and_cheap():
    with cheap_encryption(CHUNK):
        yield


@pytest.fixture
def key():
    return Key.new("correct horse")


PLAIN = random.Random(1).randbytes(2 * CHUNK + 33)


@pytest.fixture
def raw(key):
    return sealed(PLAIN, key)


def left(raw: bytes, key: Key) -> bytes | None:
    view = memoryview(raw)
    header = header_left(view, WHERE)
    return None if header is None else bytes(unseal_what_is_left(view, header, key))


def test_a_sound_one(raw, key):
    assert left(raw, key) == PLAIN


def test_any_wrong_byte_is_put_right(raw, key):
    for place in [*range(0, HEADER, 7), *range(HEADER, len(raw), 2)]:
        broken = bytearray(raw)
        broken[place] ^= random.Random(place).randrange(1, 256)
        assert was_sealed(memoryview(broken))
        assert left(bytes(broken), key) == PLAIN, place


def test_one_wrong_byte_in_each_chunk(raw, key):
    broken = bytearray(raw)
    for place in (5, HEADER + 50, HEADER + CHUNK + 28 + 40, len(raw) - 20):
        broken[place] ^= 0x40
    assert left(bytes(broken), key) == PLAIN


def test_two_wrong_bytes_cost_their_chunk_and_no_other(raw, key):
    for seed in range(40):
        source = random.Random(seed)
        broken = bytearray(raw)
        for place in source.sample(range(HEADER, HEADER + CHUNK + 28), 2):
            broken[place] ^= source.randrange(1, 256)
        assert left(bytes(broken), key) == bytes(CHUNK) + PLAIN[CHUNK:]


def test_cut_anywhere(raw, key):
    for length in range(HEADER, len(raw)):
        found = left(raw[:length], key)
        whole = (length - HEADER) // (CHUNK + 28)
        assert found[: whole * CHUNK] == PLAIN[: whole * CHUNK]
        assert not any(found[whole * CHUNK :])
    assert left(raw[: HEADER - 1], key) is None


def test_a_header_with_two_wrong_bytes_is_none(raw, key):
    broken = bytearray(raw)
    broken[20] ^= 1
    broken[40] ^= 1
    assert left(bytes(broken), key) is None


def test_what_was_never_encrypted():
    assert not was_sealed(memoryview(os.urandom(1000)))
    assert not was_sealed(memoryview(b""))


def test_multiplying_is_that_of_the_field():
    source = random.Random(3)
    for _ in range(20):
        one, other, third = (source.getrandbits(128) for _ in range(3))
        assert unsealing._times(one, other) == unsealing._times(other, one)
        assert unsealing._times(one ^ third, other) == (
            unsealing._times(one, other) ^ unsealing._times(third, other)
        )
        assert unsealing._times(one, unsealing._inverse(one)) == unsealing._ONE
        assert unsealing._times_by(unsealing._table_of(other), one) == unsealing._times(one, other)

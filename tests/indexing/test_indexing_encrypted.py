"""Index runs into encrypted stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facesearch import index_target
from facesearch.errors import StoreLockedError, UsageError
from facesearch.store.encrypting import is_encrypted
from facesearch.store.passphrases import Given, Keys, unlocking
from facesearch.store.sealing import Key
from photo_library import Library
from sealed_stores import cheap_encryption


@pytest.fixture(autouse=True)
def _unlocked() -> Iterator[None]:
    with cheap_encryption(), unlocking(Keys(Given("correct horse"))):
        yield


def test_a_first_run_and_those_after_it(library: Library) -> None:
    library.add_many(20)
    library.index(encrypt=True)
    assert is_encrypted(library.path)
    expected = library.digest_of_a_fresh_store(library.photos)
    assert library.store.content_digest() == expected
    library.add("more.jpg")
    assert library.refresh().new == 1
    assert is_encrypted(library.path)
    assert library.problems() == []
    assert b"more.jpg" not in library.path.read_bytes()


def test_built_anew(library: Library) -> None:
    library.add_many(20)
    library.index(encrypt=True)
    key = library.store.key
    library.index(rebuild=True)
    assert library.store.key == key


def test_a_plain_one_is_encrypted_first(library: Library) -> None:
    library.add_many(5)
    library.index()
    digest = library.store.content_digest()
    library.refresh(encrypt=True)
    assert is_encrypted(library.path)
    assert library.store.content_digest() == digest


def test_one_that_another_process_makes_in_plain_meanwhile_is_encrypted(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add_many(5)
    made = index_target.new_key

    def slow(path: Path) -> Key:
        if not path.exists():
            library.index()
        return made(path)

    monkeypatch.setattr(index_target, "new_key", slow)
    library.index(encrypt=True)
    assert is_encrypted(library.path)
    assert library.problems() == []


def test_with_real_processes(busy_library: Library) -> None:
    """Workers know nothing of keys; the run alone writes."""
    busy_library.add_many(40)
    assert busy_library.index(encrypt=True).new == 40
    assert is_encrypted(busy_library.path)
    assert busy_library.problems() == []


class Ring:
    """Keeps what is right."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def of_store(self, path: Path, key_id: bytes, attempt: int) -> str:
        return "correct horse"

    def for_new(self, path: Path, other: bool) -> str:
        return "correct horse"

    def keep(self, key_id: bytes, passphrase: str) -> None:
        self.kept.append(passphrase)


def test_a_keyring_keeps_the_passphrase_of_a_store_that_was_begun(library: Library) -> None:
    library.add_many(5)
    ring = Ring()
    with unlocking(Keys(ring)):
        with pytest.raises(UsageError):
            library.index(library.home / "not-there", encrypt=True)
        assert ring.kept == []
        library.index(encrypt=True)
        assert ring.kept == ["correct horse"]


def test_a_wrong_passphrase_changes_nothing(library: Library) -> None:
    library.add_many(5)
    library.index(encrypt=True)
    before = library.path.read_bytes()
    library.add("more.jpg")
    for options in ({}, {"rebuild": True}, {"encrypt": True}):
        with unlocking(Keys(Given("wrong"))), pytest.raises(StoreLockedError):
            library.index(**options)
    assert library.path.read_bytes() == before


def test_a_mistyped_folder_leaves_nothing(library: Library) -> None:
    with pytest.raises(UsageError):
        library.index(library.home / "not-there", encrypt=True)
    assert not library.path.exists()

"""Encrypted stores: all that can be done to a plain one, and never a plain byte on the disk."""

import os
import random
import threading
from contextlib import nullcontext
from contextvars import Context
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facesearch.encrypting import change_passphrase, decrypt, encrypt
from facesearch.errors import StoreError, StoreLockedError, UsageError
from facesearch.forgetting import ForgetOptions, Targets, forget
from facesearch.merging import merge
from facesearch.splitting import split_evenly
from facesearch.store import (
    Root,
    Store,
    StoreWriter,
    check_path,
    disk,
    save_derived,
    sealing,
    unsealing,
)
from facesearch.store.archive import Member
from facesearch.store.attached import load_attached, save_attached
from facesearch.store.derived import face_keys, load_derived
from facesearch.store.encrypting import is_encrypted
from facesearch.store.entered import change_entered
from facesearch.store.heads import numbered_head
from facesearch.store.layout import Layout
from facesearch.store.passphrases import Given, Keys, unlocking
from facesearch.store.repair import RepairOptions, repair
from facesearch.store.sealing import Key, read_header, unlock
from facesearch.store.traces import traces
from made_mutants import read_files
from made_photos import Photos
from sealed_stores import cheap_encryption

KEYS = [f"someone/photo-{number}.jpg" for number in range(12)]


@pytest.fixture(autouse=True)
def _cheap():
    with cheap_encryption():
        yield


@pytest.fixture
def photos():
    return Photos()


@pytest.fixture(autouse=True)
def keys():
    """Whoever asks is given the passphrase."""
    with unlocking(Keys(Given("correct horse"))) as keys:
        yield keys


@pytest.fixture
def place(tmp_path):
    return tmp_path / "faces.npz"


@pytest.fixture
def plain(tmp_path, photos):
    """The same store, not encrypted."""
    (tmp_path / "plain").mkdir()
    return photos.build(tmp_path / "plain" / "faces.npz", KEYS)


class Spy:
    """Looks at all files in a folder for what must not be in them."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.looked = 0
        rows = [row.tobytes() for row in np.concatenate(store.rows)]
        hashes = [row.tobytes() for row in store.contents.hash]
        self.secrets = [b"someone", b"photo-", b"recipe", b"PK\3\4", *rows, *hashes]

    def look(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file() and "plain" not in path.parts:
                data = path.read_bytes()
                assert not [secret for secret in self.secrets if secret in data], path
                self.looked += 1


@pytest.fixture
def spy(tmp_path, plain, monkeypatch):
    """Looks whenever something comes to the disk, and each time that a file is renamed."""
    spy = Spy(tmp_path, plain)
    fsync = os.fsync
    monkeypatch.setattr(disk.os, "fsync", lambda descriptor: (spy.look(), fsync(descriptor)))
    yield spy
    spy.look()
    assert spy.looked


def test_a_run_that_is_encrypted_all_along(place, photos, plain, spy, keys):
    store = photos.build(place, KEYS, key=keys.new(place))
    assert is_encrypted(place)
    assert store.content_digest() == plain.content_digest()
    assert check_path(place) == []
    assert np.array_equal(np.concatenate(store.rows), np.concatenate(plain.rows))
    with pytest.raises(ValueError, match="read-only"):
        store.rows[0][0] = 0


def test_it_goes_on_in_parts(place, photos, plain, spy, keys):
    with photos.open(place, key=keys.new(place)) as writer:
        writer.set_roots([Root("/photos", "photos")])
        for key in KEYS[:6]:
            photos.fill(writer, [key])
            writer.commit((1, 12))
    assert list(place.with_name("faces.npz.parts").iterdir())
    with photos.open(place) as writer:  # which asks for no key: it is encrypted already
        photos.fill(writer, KEYS[6:])
        writer.finish()
    assert Store.open(place).content_digest() == plain.content_digest()
    assert Store.open(place).key is not None


def test_it_is_built_anew_and_stays_encrypted(place, photos, plain, spy, keys):
    photos.build(place, KEYS[:5], key=keys.new(place))
    before = Store.open(place).key
    store = photos.build(place, KEYS, fresh=True)
    assert store.content_digest() == plain.content_digest()
    assert store.key == before


def test_a_damaged_one_is_built_anew_and_stays_encrypted(place, photos, plain, spy, keys):
    before = photos.build(place, KEYS[:5], key=keys.new(place)).key
    raw = bytearray(place.read_bytes())
    raw[-1] ^= 1
    place.write_bytes(raw)
    with pytest.raises(StoreError, match="the encrypted file was changed or damaged"):
        Store.open(place)
    assert photos.build(place, KEYS, fresh=True).key == before


def test_a_rebuild_begun_in_plain_does_not_go_on_encrypted(place, photos, keys):
    photos.build(place, KEYS[:5])
    with photos.open(place, fresh=True) as writer:
        photos.fill(writer, KEYS[:3])
        writer.commit((3, 12))
    rebuild = place.with_name("faces.npz.rebuild")
    assert rebuild.exists()
    encrypt(place)
    assert not rebuild.exists()


def test_what_was_computed_is_encrypted_too(place, photos, plain, spy, keys):
    store = photos.build(place, KEYS, key=keys.new(place))
    faces = face_keys(store)
    assert save_derived(place, "graph", {"rows": np.concatenate(store.rows)}, faces.digest)
    store = Store.open(place)
    rows = store.segments[0].rows
    codes = [Member("codes", "<f4", rows.shape, (rows,))]
    assert save_attached(store, store.segments[0], "codes", codes)
    store = Store.open(place)
    found = load_derived(store, "graph", faces.digest)
    assert found is not None
    assert np.array_equal(found["rows"], np.concatenate(store.rows))
    attached = load_attached(store, store.segments[0], "codes")
    assert attached is not None
    assert np.array_equal(attached["codes"], rows)
    assert check_path(place) == []


def test_what_is_entered_and_forgotten(place, photos, spy, keys):
    photos.build(place, KEYS, key=keys.new(place))
    change_entered(place, lambda store: {"labels": {"someone": "Secret Name"}}, wait=False)
    spy.secrets.append(b"Secret Name")
    store = Store.open(place)
    name = store.contents.hash[0].tobytes().hex()[:16]
    forget(place, Targets(ids=(name,)), ForgetOptions(), lambda summary: True)
    after = Store.open(place)
    assert after.key == store.key
    assert len(after.files) == len(KEYS) - 1
    assert list(traces(after)) == []
    assert check_path(place) == []


def test_merged_and_split_it_stays_encrypted(place, photos, plain, spy, keys, tmp_path):
    photos.build(place, KEYS[:7], key=keys.new(place))
    both = tmp_path / "both.npz"
    merge([place, tmp_path / "plain" / "faces.npz"], both)
    assert Store.open(both).content_digest() == plain.content_digest()
    summary = split_evenly(both, 2, tmp_path / "part.npz")
    assert all(is_encrypted(Path(part.store)) for part in summary.parts)
    assert is_encrypted(both)
    stores = [place, both, *(Path(part.store) for part in summary.parts)]
    assert len({Store.open(store).key.secret for store in stores}) == 4


def test_one_that_is_there_is_encrypted_and_decrypted(place, photos, plain, keys, tmp_path):
    with photos.open(place, single_file_bytes=0) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, KEYS)
        writer.finish()
    save_derived(place, "graph", {"n": np.zeros(3, np.int64)}, face_keys(Store.open(place)).digest)
    files = read_files(place.parent)
    encrypt(place)
    Spy(tmp_path, plain).look()
    assert Store.open(place).content_digest() == plain.content_digest()
    assert check_path(place) == []
    with pytest.raises(UsageError, match="is encrypted already"):
        encrypt(place)
    decrypt(place)
    assert read_files(place.parent) == files
    with pytest.raises(UsageError, match="is not encrypted"):
        decrypt(place)


@pytest.mark.parametrize("change", [change_passphrase, decrypt])
def test_what_was_computed_and_is_damaged_is_dropped(place, photos, plain, keys, change):
    photos.build(place, KEYS, key=keys.new(place))
    faces = face_keys(Store.open(place)).digest
    for name in ("graph", "codes"):
        save_derived(place, name, {"n": np.zeros(3, np.int64)}, faces)
    (file,) = place.with_name("faces.npz.derived").glob("graph*")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert change(place) == (file,)
    store = Store.open(place)
    assert load_derived(store, "graph", faces) is None
    assert load_derived(store, "codes", faces) is not None
    assert check_path(place) == []
    assert store.content_digest() == plain.content_digest()


@pytest.mark.parametrize("left", [b"", b"?", None])
def test_a_damaged_plain_one_is_dropped_before_it_is_encrypted(place, photos, left):
    photos.build(place, KEYS)
    faces = face_keys(Store.open(place)).digest
    save_derived(place, "graph", {"n": np.zeros(3, np.int64)}, faces)
    (file,) = place.with_name("faces.npz.derived").iterdir()
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw if left is None else left)
    assert encrypt(place) == (file,)
    assert check_path(place) == []


def test_another_passphrase_opens_all_of_it(place, photos, plain, keys):
    with photos.open(place, single_file_bytes=0, key=keys.new(place)) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, KEYS[:6])
        writer.finish()
    with unlocking(Keys(Two())):
        change_passphrase(place)
    with pytest.raises(StoreLockedError, match="wrong passphrase"), _given("correct horse"):
        Store.open(place)
    with _given("battery staple"):
        photos.build(place, KEYS)
        assert Store.open(place).content_digest() == plain.content_digest()
    with _given("correct horse"), pytest.raises(StoreLockedError):
        Store.open(place)


@pytest.mark.parametrize("step", range(6))
def test_cut_off_while_its_passphrase_is_changed_one_of_the_two_opens_all_of_it(
    place, photos, plain, step, monkeypatch, keys
):
    """Two files, the head, and the two again."""
    with photos.open(place, single_file_bytes=0, key=keys.new(place)) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, KEYS)
        writer.finish()
    save_derived(place, "graph", {"n": np.zeros(3, np.int64)}, face_keys(Store.open(place)).digest)
    old = Store.open(place).key
    left = [step]

    def put(temporary, path):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        temporary.replace(path)

    with monkeypatch.context() as patch, unlocking(Keys(Two())):
        patch.setattr("facesearch.store.encrypting.put_in_place", put)
        with nullcontext() if step == 5 else pytest.raises(KeyboardInterrupt):
            change_passphrase(place)
    right, wrong = ["correct horse", "battery staple"][:: 1 if step < 3 else -1]
    with _given(wrong), pytest.raises(StoreLockedError):
        Store.open(place)
    with _given(right):
        store = Store.open(place)
        assert store.content_digest() == plain.content_digest()
        assert check_path(place) == []
        assert (store.key.secret == old.secret) == (step < 3)
        photos.build(place, KEYS)
        assert check_path(place) == []
    if step < 5:
        with unlocking(Keys(Two(right))):
            change_passphrase(place)
    with _given("battery staple"):
        assert check_path(place) == []
        assert Store.open(place).content_digest() == plain.content_digest()
    for path in place.parent.rglob("*.npz"):
        if "plain" not in path.parts:
            header = read_header(memoryview(path.read_bytes()), path)
            assert unlock(header, "battery staple", path).secret != old.secret


def test_a_forged_slot_is_not_written_on(place, photos, keys, tmp_path):
    """Who cannot open it puts another wrapped key into a part: new files must not have that."""
    with photos.open(place, single_file_bytes=0, key=keys.new(place)) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, KEYS)
        writer.finish()
    raw = place.read_bytes()
    header = read_header(memoryview(raw), place)
    Store.open(place)
    forged = replace(header, slot=Key.new("of a stranger").slot)
    place.write_bytes(forged.encode() + raw[sealing.HEADER :])
    change_entered(place, lambda store: {"labels": {"a": "b"}}, wait=False)
    with _given("correct horse"):
        assert Store.open(place).head.entered


def test_who_encrypted_it_meanwhile_is_not_overruled(place, photos, monkeypatch, keys):
    photos.build(place, KEYS)
    asked = keys.new

    def slow(path):
        with _given("correct horse"):
            encrypt(path)
        return asked(path)

    monkeypatch.setattr(keys, "new", slow)
    with pytest.raises(UsageError, match="another process has encrypted it"):
        encrypt(place)


class Two:
    """The old passphrase for what is there, another one for what is to come."""

    def __init__(self, old="correct horse"):
        self.old = old

    def of_store(self, path, key_id, attempt):
        return self.old

    def for_new(self, path, other):
        return "battery staple"

    def keep(self, key_id, passphrase):
        """Nothing."""


def _given(passphrase):
    return unlocking(Keys(Given(passphrase)))


@pytest.mark.parametrize("step", range(4))
def test_cut_off_while_it_is_encrypted_it_opens_all_the_same(
    place, photos, plain, step, monkeypatch, tmp_path
):
    with photos.open(place, single_file_bytes=0) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, KEYS)
        writer.finish()
    save_derived(place, "graph", {"n": np.zeros(3, np.int64)}, face_keys(Store.open(place)).digest)
    left = [step]

    def put(temporary, path):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        temporary.replace(path)

    with monkeypatch.context() as patch:
        patch.setattr("facesearch.store.encrypting.put_in_place", put)
        if step < 3:
            with pytest.raises(KeyboardInterrupt):
                encrypt(place)
        else:
            encrypt(place)
    assert is_encrypted(place) == (step == 3)
    encrypt_again = encrypt if step < 3 else change_passphrase
    assert Store.open(place).content_digest() == plain.content_digest()
    encrypt_again(place)
    assert Store.open(place).content_digest() == plain.content_digest()
    Spy(tmp_path, plain).look()
    assert check_path(place) == []


def test_without_a_passphrase_it_says_so(place, photos, keys):
    photos.build(place, KEYS, key=keys.new(place))
    with _given("wrong"), pytest.raises(StoreLockedError, match="wrong passphrase"):
        Store.open(place)
    with _given("wrong"), pytest.raises(StoreLockedError):
        check_path(place)
    with _given("wrong"), pytest.raises(StoreLockedError):
        StoreWriter.open(place, photos.recipe)
    with _given("wrong"), pytest.raises(StoreLockedError):
        StoreWriter.open(place, photos.recipe, fresh=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_no_encrypted_store_and_nobody_waits_for_it(place):
    os.mkfifo(place)
    held = os.open(place, os.O_RDWR)  # so that even a reader who waits goes on at last
    found = []
    looking = threading.Thread(target=lambda: found.append(is_encrypted(place)), daemon=True)
    looking.start()
    looking.join(5)
    os.write(held, sealing.MAGIC)
    os.close(held)
    looking.join(5)
    assert found == [False]
    assert not is_encrypted(place.parent)
    assert not is_encrypted(place / "below")


def test_an_encrypted_head_that_is_numbered_makes_it_encrypted(place, photos, plain, keys):
    photos.build(place, KEYS, key=keys.new(place))
    head = numbered_head(place, 1)
    head.parent.mkdir()
    place.rename(head)
    photos.build(tmp := place.with_name("other.npz"), KEYS[:1])
    tmp.rename(place)
    assert is_encrypted(place)


def test_a_numbered_head_that_stays_stops_it_before_anything_is_written(place, photos, monkeypatch):
    photos.build(place, KEYS)
    numbered_head(place, 1).parent.mkdir()
    numbered_head(place, 1).write_bytes(place.read_bytes())
    before = read_files(place.parent)
    with monkeypatch.context() as patch:
        patch.setattr(Layout, "settle", lambda layout: None)  # as where somebody has it open
        with pytest.raises(StoreError, match=r"faces\.npz\.heads: cannot be put in the store's"):
            encrypt(place)
    assert read_files(place.parent) == before
    encrypt(place)
    assert not numbered_head(place, 1).exists()


def test_nobody_to_ask(place, photos, keys):
    photos.build(place, KEYS, key=keys.new(place))
    with pytest.raises(StoreLockedError, match="encrypted; open it with its passphrase"):
        Context().run(Store.open, place)


def test_a_passphrase_however_it_is_typed(place, photos):
    with _given("Z\u00fcrich\u2460"):
        photos.build(place, KEYS, key=_new(place))
    with _given("Zu\u0308rich1"):
        assert len(Store.open(place).files) == len(KEYS)


def test_an_empty_passphrase_is_refused(place):
    with _given(""), pytest.raises(UsageError, match="protects nothing"):
        _new(place)


def _new(place) -> Key:
    from facesearch.store.passphrases import new_key

    return new_key(place)


def _repaired(path):
    found = repair(path, RepairOptions(), lambda summary: True)
    assert found is not None
    assert check_path(path) == []
    return found


@pytest.mark.parametrize("seed", range(25))
def test_one_wrong_byte_is_repaired_without_loss(place, photos, plain, keys, seed, tmp_path):
    before = photos.build(place, KEYS, key=keys.new(place)).key
    raw = bytearray(place.read_bytes())
    raw[random.Random(seed).randrange(len(raw)) if seed else 3] ^= 0x55
    place.write_bytes(raw)
    found = _repaired(place)
    assert found.complete
    store = Store.open(place)
    assert store.content_digest() == plain.content_digest()
    assert store.key == before
    assert place.with_name("faces.npz.damaged").read_bytes() == raw
    Spy(tmp_path, plain).look()


@pytest.fixture
def small_chunks():
    with cheap_encryption(512):
        yield


@pytest.mark.usefixtures("small_chunks")
def test_what_is_gone_of_an_encrypted_store_is_said(place, photos, plain, keys):
    photos.build(place, KEYS, key=keys.new(place))
    raw = bytearray(place.read_bytes())
    embeddings = plain.segments[0].archive._arrays["faces.embedding"]
    at = sealing.HEADER + (embeddings.offset // 512) * 540 + 100
    raw[at : at + 3] = b"abc"
    place.write_bytes(raw)
    found = _repaired(place)
    assert found.lost
    assert Store.open(place).key is not None
    with photos.open(place) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, KEYS)
        writer.finish()
    assert Store.open(place).content_digest() == plain.content_digest()


@pytest.mark.usefixtures("small_chunks")
def test_a_repair_says_what_it_did_not_try(place, photos, keys, monkeypatch):
    monkeypatch.setattr(unsealing, "_MOST_HOPELESS", 0)
    photos.build(place, KEYS, key=keys.new(place))
    raw = bytearray(place.read_bytes())
    raw[-100] ^= 1
    place.write_bytes(raw)
    found = _repaired(place)
    assert any("chunks not searched for one wrong byte" in line for line in found.problems)


def test_a_repair_needs_the_passphrase_and_changes_nothing_without(place, photos, keys):
    photos.build(place, KEYS, key=keys.new(place))
    raw = bytearray(place.read_bytes())
    raw[-1] ^= 1
    place.write_bytes(raw)
    with _given("wrong"), pytest.raises(StoreLockedError):
        repair(place, RepairOptions(), lambda summary: True)
    assert place.read_bytes() == raw
    assert not list(place.parent.glob("*.damaged*"))


def test_a_damaged_plain_store_is_built_anew_encrypted(place, photos, keys):
    photos.build(place, KEYS)
    place.write_bytes(place.read_bytes()[:-5])
    assert photos.build(place, KEYS, fresh=True, key=keys.new(place)).key is not None


def test_a_stranger_cannot_lock_the_owner_out(place, photos, tmp_path, keys):
    """What is taken in does not decide under which passphrase a store is."""
    own = photos.build(place, KEYS[:3], key=keys.new(place)).key
    other = tmp_path / "other.npz"
    photos.build(other, KEYS[3:], key=keys.new(other))
    merge([other, place], place)
    assert Store.open(place).key == own

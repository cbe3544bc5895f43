"""Encrypted stores at the command line: where passphrases come from, and what is said."""

import sys

import numpy as np
import pytest

from facesearch.encrypting import encrypt
from facesearch.errors import StoreError
from facesearch.store import Store, save_derived
from facesearch.store.derived import face_keys
from facesearch.store.encrypting import is_encrypted
from facesearch.store.passphrases import Given, Keys, unlocking
from sealed_stores import cheap_encryption
from small_store import enroll


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    monkeypatch.delenv("FACESEARCH_PASSPHRASE_FILE", raising=False)
    with cheap_encryption():
        yield


@pytest.fixture
def secret(folder):
    """A file with the passphrase."""
    path = folder / "secret"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def encrypted(program, store, secret):
    """The small store, encrypted."""
    done = program("encrypt", "--passphrase-file", secret)
    assert done.code == 0, done.err
    assert "encrypted; the disk's free space may still hold what it was before" in done.err
    assert is_encrypted(store)
    return store


def typed(monkeypatch, *answers):
    """A terminal with somebody who types this."""
    left = list(answers)
    asked = []

    def answer(question):
        asked.append(question)
        return left.pop(0)

    monkeypatch.setattr("click.termui.hidden_prompt_func", answer)
    return asked


@pytest.mark.parametrize("place", ["before", "after", "joined", "environment"])
def test_a_file_with_the_passphrase(program, encrypted, secret, red, place, monkeypatch):
    before, after = [], []
    if place == "before":
        before = ["--passphrase-file", secret]
    elif place == "after":
        after = ["--passphrase-file", secret]
    elif place == "joined":
        after = [f"--passphrase-file={secret}"]
    else:
        monkeypatch.setenv("FACESEARCH_PASSPHRASE_FILE", str(secret))
    done = program(*before, "query", red, "-k", 1, "--format", "paths", *after)
    assert done.code == 0, done.err
    assert done.lines[0].endswith("red1.png")


@pytest.mark.parametrize("command", [["info"], ["check"], ["roots"], ["check", "--forgotten"]])
def test_nobody_is_there_to_ask(program, encrypted, command):
    done = program(*command)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        f"facesearch: {encrypted}: no passphrase, and nobody is there to ask; give "
        "--passphrase-file FILE, set $FACESEARCH_PASSPHRASE_FILE, or add --keyring"
    )


def test_a_wrong_passphrase_in_a_file(program, encrypted, secret):
    secret.write_text("wrong\n")
    done = program("check", "--passphrase-file", secret)
    assert done.code == 1
    assert f"the passphrase in {secret} is wrong; give another --passphrase-file" in done.err


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read (No such file"), (b"\xff\n", "is no UTF-8 text")]
)
def test_a_file_that_gives_no_passphrase(program, encrypted, secret, content, told):
    secret.unlink()
    if content:
        secret.write_bytes(content)
        secret.chmod(0o600)
    done = program("info", "--passphrase-file", secret)
    assert done.code == 1
    assert told in done.err


def test_a_file_that_others_may_read(program, encrypted, secret):
    secret.chmod(0o644)
    done = program("info", "--passphrase-file", secret)
    assert done.code == 0
    assert f"{secret}: others may read this passphrase; run chmod 600 on it" in done.err


def test_a_person_is_asked(program, encrypted, monkeypatch):
    asked = typed(monkeypatch, "wrong", "correct horse")
    assert _go(program, monkeypatch, "info").code == 0
    assert [question.strip() for question in asked] == ["Passphrase of faces.npz:"] * 2


def test_a_person_may_be_wrong_three_times(program, encrypted, monkeypatch):
    typed(monkeypatch, "a", "b", "c", "d")
    done = _go(program, monkeypatch, "info")
    assert done.code == 1
    assert "wrong passphrase, 3 times" in done.err


def test_a_new_passphrase_is_typed_twice(program, store, monkeypatch):
    asked = typed(monkeypatch, "one", "other", "correct horse", "correct horse")
    done = _go(program, monkeypatch, "encrypt")
    assert done.code == 0, done.err
    assert len(asked) == 4
    assert "Nobody can open the store without its passphrase" in done.err
    with unlocking(Keys(Given("correct horse"))):
        assert Store.open(store).key is not None


def _go(program, monkeypatch, *arguments):
    """The program at a terminal."""
    monkeypatch.setattr("facesearch.cli.passphrases._at_terminal", lambda: True)
    return program(*arguments)


@pytest.fixture
def ring(monkeypatch):
    """A keyring of this test; what it holds."""
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    held = {}

    class Ring(KeyringBackend):
        priority = 1

        def get_password(self, service, username):
            return held.get((service, username))

        def set_password(self, service, username, password):
            held[service, username] = password

        def delete_password(self, service, username):
            del held[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    yield held
    keyring.set_keyring(before)


def test_a_keyring_keeps_what_was_typed(program, store, ring, monkeypatch):
    typed(monkeypatch, "correct horse", "correct horse")
    assert _go(program, monkeypatch, "encrypt", "--keyring").code == 0
    assert list(ring.values()) == ["correct horse"]
    assert program("info", "--keyring").code == 0, "nobody is asked"


def test_a_keyring_that_has_an_old_passphrase(program, encrypted, ring, monkeypatch):
    typed(monkeypatch, "correct horse")
    assert _go(program, monkeypatch, "info", "--keyring").code == 0
    ((place, _),) = ring.items()
    ring[place] = "of before"
    typed(monkeypatch, "correct horse")
    assert _go(program, monkeypatch, "info", "--keyring").code == 0
    assert ring[place] == "correct horse"


def test_stores_of_one_passphrase_are_each_kept(program, encrypted, ring, folder, monkeypatch):
    with unlocking(Keys(Given("correct horse"))):
        enroll(folder / "other.npz", [])
        encrypt(folder / "other.npz")
    typed(monkeypatch, "correct horse")
    both = (encrypted, folder / "other.npz", "-o", folder / "both.npz", "--keyring")
    done = _go(program, monkeypatch, "merge", *both)
    assert done.code == 0, done.err
    assert list(ring.values()) == ["correct horse"] * 3, "what they become is a store of its own"
    for each in (*both[:2], both[3]):
        assert program("info", each, "--keyring").code == 0


def test_a_keyring_that_keeps_nothing_is_told_and_nobody_is_asked_again(
    program, encrypted, ring, monkeypatch
):
    import keyring
    from keyring.errors import PasswordSetError

    def refuse(*asked):
        raise PasswordSetError("locked")

    monkeypatch.setattr(type(keyring.get_keyring()), "set_password", refuse)
    asked = typed(monkeypatch, "correct horse", "correct horse")
    done = _go(program, monkeypatch, "info", "--keyring")
    assert done.code == 1
    assert "the keyring cannot be used (locked)" in done.err
    assert len(asked) == 1


def test_an_option_counts_more_than_the_environment(
    program, encrypted, ring, monkeypatch, folder, secret
):
    monkeypatch.setenv("FACESEARCH_PASSPHRASE_FILE", str(folder / "not-there"))
    typed(monkeypatch, "correct horse")
    assert _go(program, monkeypatch, "info", "--keyring").code == 0
    assert list(ring.values()) == ["correct horse"]
    assert program("info", "--keyring").code == 0
    assert program("info", "--passphrase-file", secret).code == 0
    assert program("info").code == 1


def test_a_keyring_keeps_a_new_passphrase_once_the_store_is_under_it(
    program, encrypted, ring, monkeypatch
):
    typed(monkeypatch, "correct horse")
    assert _go(program, monkeypatch, "info", "--keyring").code == 0
    typed(monkeypatch, "new one", "new one")
    with monkeypatch.context() as patch:
        patch.setattr("facesearch.encrypting.change_key", _full)
        assert _go(program, patch, "encrypt", "--change", "--keyring").code == 1
    assert list(ring.values()) == ["correct horse"]
    assert program("info", "--keyring").code == 0
    typed(monkeypatch, "new one", "new one")
    assert _go(program, monkeypatch, "encrypt", "--change", "--keyring").code == 0
    assert "new one" in ring.values()
    typed(monkeypatch)
    assert program("info", "--keyring").code == 0


def _full(path, *asked):
    raise StoreError(f"{path}: the disk is full")


@pytest.mark.parametrize("command", [["info"], ["encrypt", "--change"], ["encrypt", "--off"]])
def test_a_missing_library_is_told_before_anybody_types(program, encrypted, monkeypatch, command):
    asked = typed(monkeypatch)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = _go(program, monkeypatch, *command)
    assert done.code == 2
    assert "pip install cryptography" in done.err
    assert asked == []


def test_it_is_told_before_a_new_passphrase_is_typed(program, store, monkeypatch):
    asked = typed(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        assert _go(program, patch, "encrypt").code == 2
    monkeypatch.setitem(sys.modules, "keyring", None)
    done = _go(program, monkeypatch, "encrypt", "--keyring")
    assert done.code == 2
    assert "pip install keyring" in done.err
    assert asked == []


def test_a_machine_without_a_keyring(program, encrypted, monkeypatch):
    keyring = pytest.importorskip("keyring")
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    try:
        done = program("info", "--keyring")
    finally:
        keyring.set_keyring(before)
    assert done.code == 1
    assert "the keyring cannot be used" in done.err
    assert len(done.err.strip().splitlines()) == 1, done.err


def test_two_places_for_a_passphrase(program, secret):
    done = program("info", "--keyring", "--passphrase-file", secret)
    assert done.code == 2
    assert "exclude each other" in done.err


def test_one_that_is_there_is_encrypted_by_the_next_run(program, store, photos, secret):
    done = program("index", "--encrypt", "--passphrase-file", secret)
    assert done.code == 0, done.err
    assert is_encrypted(store)


@pytest.mark.parametrize("option", ["--passphrase-file", "--keyring"])
def test_a_passphrase_for_a_store_that_would_be_plain_is_refused(
    program, store, photos, secret, folder, option
):
    wish = [option, secret] if option == "--passphrase-file" else [option]
    before = store.read_bytes()
    for name, state in (("new.npz", "would not be encrypted"), ("faces.npz", "is not encrypted")):
        done = program("index", photos, "--store", folder / name, *wish)
        assert done.code == 2
        assert f"{name}: {state}; add --encrypt to {option}, or leave that out" in done.err
    assert not (folder / "new.npz").exists()
    assert store.read_bytes() == before


def test_a_passphrase_of_the_environment_is_no_wish(program, store, secret, monkeypatch):
    monkeypatch.setenv("FACESEARCH_PASSPHRASE_FILE", str(secret))
    assert program("index").code == 0
    assert not is_encrypted(store)


def test_a_passphrase_for_a_store_that_is_encrypted_is_none_to_refuse(program, encrypted, secret):
    assert program("index", "--passphrase-file", secret).code == 0


def test_what_lies_in_plain_beside_it_is_told(program, store, secret, folder):
    plain = store.read_bytes()
    beside = [".damaged", ".damaged.parts/1.npz", ".damaged-2", ".damaged.txt", ".repair"]
    for name in [*(f"faces.npz{end}" for end in beside), "other.npz.damaged"]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(plain)
    asked = ("--passphrase-file", secret)
    done = program("encrypt", *asked)
    assert done.code == 0
    checked = program("check", *asked)
    assert checked.code == 0
    for err in (done.err, checked.err):
        told = [line for line in err.splitlines() if "not encrypted (" in line]
        assert [line.split(" (")[0] for line in told] == [
            f"{store}.damaged: not encrypted",
            f"{store}.damaged-2: not encrypted",
            f"{store}.repair: not encrypted",
        ]
        assert "damaged: not encrypted (2 files," in told[0]
    assert "not encrypted (" not in program("encrypt", "--off", *asked).err
    assert "not encrypted (" not in program("check").err


def test_what_is_encrypted_or_empty_beside_it_is_not_told(program, encrypted, secret, folder):
    raw = bytearray(encrypted.read_bytes())
    raw[3] ^= 1  # a damaged one that was kept
    (folder / "faces.npz.damaged").write_bytes(raw)
    (folder / "faces.npz.repair").write_bytes(b"")
    assert "not encrypted" not in program("check", "--passphrase-file", secret).err


def test_what_is_damaged_and_can_be_computed_again_is_told(program, store, secret):
    faces = face_keys(Store.open(store)).digest
    save_derived(store, "graph", {"n": np.zeros(3, np.int64)}, faces)
    (file,) = store.with_name("faces.npz.derived").iterdir()
    file.write_bytes(b"")
    done = program("encrypt", "--passphrase-file", secret)
    assert done.code == 0, done.err
    assert f"{file}: was damaged and is removed; it is computed again" in done.err


def test_another_passphrase_and_none(program, encrypted, secret, folder, ring, monkeypatch):
    typed(monkeypatch, "correct horse", "new one", "new one")
    done = _go(program, monkeypatch, "encrypt", "--change")
    assert done.code == 0, done.err
    assert "who has an older copy and its passphrase can still read that copy" in done.err
    assert program("info", "--passphrase-file", secret).code == 1
    secret.write_text("new one")
    assert program("encrypt", "--off", "--passphrase-file", secret).code == 0
    assert not is_encrypted(encrypted)
    assert program("info").code == 0
    both = program("encrypt", "--off", "--change")
    assert both.code == 2


def test_what_is_written_in_plain_is_told_before(program, encrypted, secret, red, folder):
    sheet, log = folder / "sheet.png", folder / "run.json"
    done = program("query", red, "-k", 1, "--contact-sheet", sheet, "--passphrase-file", secret)
    assert done.code == 0
    assert f"{encrypted} is encrypted, what is written to {sheet} is not" in done.err
    run = program("index", "--log", log, "--passphrase-file", secret)
    assert f"{encrypted} is encrypted, what is written to {log} is not" in run.err


def test_output_that_goes_to_a_file_is_told(program, encrypted, secret, red, folder):
    assert "standard output" in program("query", red, "--passphrase-file", secret).err, (
        "these tests keep it in a file"
    )


@pytest.mark.parametrize(
    "command",
    [
        ["info"],
        ["roots", "--json"],
        ["check", "--deep"],
        ["forget", "--dry-run", "--yes", "both.png"],
    ],
)
def test_names_of_photos_that_go_to_a_file_are_told(program, encrypted, secret, photos, command):
    (photos / "both.png").write_bytes(b"of another kind")  # so that check names it
    command = [photos / word if word == "both.png" else word for word in command]
    done = program(*command, "--passphrase-file", secret)
    assert done.out, done.err
    assert f"{encrypted} is encrypted, what is written to standard output is not" in done.err


def test_info_says_that_it_is_encrypted(program, encrypted, secret):
    asked = ("--passphrase-file", secret)
    assert ", encrypted)" in program("info", *asked).lines[0]
    assert program("info", "--json", *asked).json["encrypted"] is True
    program("encrypt", "--off", *asked)
    assert "encrypted" not in program("info").out
    assert program("info", "--json").json["encrypted"] is False


def test_no_picture_of_faces_is_left_in_the_temporary_folder(
    program, encrypted, secret, photos, tmp_path
):
    program("info", "--passphrase-file", secret)  # makes the home
    before = set(tmp_path.iterdir())
    done = program("query", photos / "both.png", "-k", 1, "--passphrase-file", secret)
    assert "no picture of the numbered faces: the store is encrypted" in done.out + done.err
    assert set(tmp_path.iterdir()) == before


def test_nothing_is_said_of_a_plain_store(program, store, red):
    assert "encrypted" not in program("query", red, "-k", 1).err


def test_rights(encrypted):
    assert encrypted.stat().st_mode & 0o777 == 0o600


def test_a_file_has_only_the_old_passphrase(program, encrypted, secret, monkeypatch):
    refused = program("encrypt", "--change", "--passphrase-file", secret)
    assert refused.code == 1
    assert "no passphrase, and nobody is there to ask" in refused.err
    typed(monkeypatch, "new one", "new one")
    changed = _go(program, monkeypatch, "encrypt", "--change", "--passphrase-file", secret)
    assert changed.code == 0, changed.err
    assert program("info", "--passphrase-file", secret).code == 1


def test_a_file_is_read_once_and_not_without_end(program, encrypted, secret, folder):
    secret.write_bytes(b"\xef\xbb\xbfcorrect horse\r\n")
    assert program("info", "--passphrase-file", secret).code == 0
    endless = program("info", "--passphrase-file", "/dev/zero")
    assert endless.code == 1
    secret.write_text("\n")
    assert "its first line is empty" in program("info", "--passphrase-file", secret).err

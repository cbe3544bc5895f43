"""``facesearch repair``: what it says, asks and prints."""

from __future__ import annotations

import pytest

from facesearch.store import Store
from facesearch.store.archive import Archive
from small_store import enroll


def spoil(store, name):
    """Zeros in place of an array."""
    placed = Archive.open(store)._arrays[name].placed
    raw = bytearray(store.read_bytes())
    raw[placed.data_offset : placed.end] = bytes(placed.size)
    store.write_bytes(raw)


def test_a_sound_store(program, store):
    before = store.read_bytes()
    done = program("repair")
    assert done.code == 0
    assert done.lines == [f"{store}: sound, with 10 photos with 10 faces; nothing was changed"]
    assert store.read_bytes() == before
    assert program("repair", store, "--json").json["sound"] is True


def test_damage_that_costs_nothing_needs_no_answer(program, store):
    whole = store.read_bytes()
    store.write_bytes(whole[:-100])
    checked = program("check")
    assert checked.code == 1
    assert "run facesearch repair" in checked.out
    done = program("repair", "--store", store)
    assert done.code == 0
    assert done.lines == [
        f"{store}: its headers or its end are damaged, its arrays are not",
        f"{store}: 10 photos with 10 faces kept, no photo lost",
        f"the damaged store is kept as {store}.damaged; delete it, and the folders beside it of "
        "that name, when you need it no more",
    ]
    assert store.read_bytes() == whole
    assert program("check").code == 0


def test_what_is_lost_is_said_and_read_again(program, store, photos):
    digest = Store.open(store).content_digest()
    spoil(store, "faces.embedding")
    left = store.read_bytes()
    refused = program("repair")
    assert refused.code == 2
    assert "nobody is there to ask; say --yes to repair" in refused.err
    dry = program("repair", "--dry-run")
    assert dry.code == 0
    assert dry.lines[0] == f"{store}: faces.embedding is damaged"
    assert dry.lines[-1] == "run facesearch index on the same folders: it reads them again"
    assert f"{photos / 'both.png'}: to be read again, for faces 1, 2 of 2 are damaged" in dry.lines
    assert (
        f"{photos / 'red' / 'red1.png'}: to be read again, for face 1 of 1 are damaged"
        not in dry.lines
    )
    assert (
        f"{photos / 'red' / 'red1.png'}: to be read again, for face 1 of 1 is damaged" in dry.lines
    )
    assert f"{store}: 1 photo with 0 faces would be kept, 9 photos to be read again" in dry.lines
    assert store.read_bytes() == left
    done = program("repair", "--yes", "--json")
    assert done.code == 0
    assert len(done.json["lost"]) == 9
    assert done.json["lost"][0] == {
        "path": str(photos / "blue" / "blue1.png"),
        "faces": 1,
        "lost": [1],
    }
    assert done.json["damaged"] == f"{store}.damaged"
    assert program("check").code == 0
    assert enroll(store, [photos]).content_digest() == digest


def test_of_very_many_lines_the_first_are_shown(program, store, monkeypatch):
    monkeypatch.setattr("facesearch.cli.repair._SHOWN", 4)
    spoil(store, "faces.embedding")
    dry = program("repair", "--dry-run")
    assert sum(": to be read again, for " in line for line in dry.lines) == 4
    assert dry.lines[5] == "and 5 more; --json names all of them"
    assert len(program("repair", "--dry-run", "--json").json["lost"]) == 9


def test_a_single_photo_is_told_of_as_one(program, store, photos):
    program("forget", *(photos / name for name in ("red", "green", "blue", "both.png")), "--yes")
    program("forget", photos / "gold" / "gold1.png", "--yes")
    spoil(store, "faces.embedding")
    dry = program("repair", "--dry-run")
    assert dry.lines[-2:] == [
        f"{store}: 1 photo with 0 faces would be kept, 1 photo to be read again",
        "run facesearch index on the same folders: it reads it again",
    ]


def told_by_every_command(program, store, photos):
    """What commands say of a store that cannot be opened, and that none of them changes it."""
    before = store.read_bytes()
    for command in (
        ["info"],
        ["check"],
        ["roots"],
        ["doctor"],
        ["query", photos / "both.png"],
        ["index", photos],
        ["index", photos, "--rebuild"],
        ["forget", photos, "--yes"],
        ["label", "--forget"],
    ):
        done = program(*command)
        assert done.code == 1, command
        told = [line for line in (done.out + done.err).splitlines() if f"{store}: the " in line]
        assert len(told) == 1, command
        yield told[0]
        assert store.read_bytes() == before


@pytest.mark.parametrize(
    ("raw", "what"), [(b"", "is empty, no store"), (bytes(2000), "holds nothing but zeros")]
)
def test_where_nothing_is_left_no_repair_is_advised(program, store, photos, raw, what):
    store.write_bytes(raw)
    for told in told_by_every_command(program, store, photos):
        assert f"{store}: the file {what}" in told
        assert told.endswith("; delete it and run facesearch index")
        assert "repair" not in told
    done = program("repair")
    assert done.code == 1
    assert "its description is lost" in done.err
    assert "run facesearch index" in done.err


def test_where_parts_are_left_repair_is_advised(program, store, photos):
    store.write_bytes(b"")
    store.with_name(store.name + ".parts").mkdir()
    assert "run facesearch repair, or delete it and run facesearch index" in program("info").err


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_wrong_first_byte_can_be_repaired_and_is_told_so(
    program, store, photos, place, sealed, folder, monkeypatch
):
    if sealed:
        (folder / "passphrase").write_text("correct horse")
        monkeypatch.setenv("FACESEARCH_PASSPHRASE_FILE", str(folder / "passphrase"))
        assert program("encrypt").code == 0
    whole = store.read_bytes()
    store.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    for told in told_by_every_command(program, store, photos):
        assert "the store is damaged (its first bytes are not as they were written)" in told
        assert "; run facesearch repair, or bring back a copy" in told
    done = program("repair")
    assert done.code == 0
    assert "10 photos with 10 faces kept, no photo lost" in done.out
    assert program("check").code == 0


def test_what_is_refused_in_one_line(program, store, folder):
    (folder / "other.txt").write_text("hello")
    for code, words, arguments in (
        (1, "no store there", ["nowhere.npz"]),
        (1, "not a facesearch store", ["other.txt"]),
        (2, "name one store", [store, "--store", "x.npz"]),
        (2, "needs a store file", ["milvus+http://127.0.0.1:1/x"]),
    ):
        done = program("repair", *arguments)
        assert done.code == code, arguments
        assert words in done.err
        assert done.err.rstrip().splitlines()[-1].startswith("facesearch: ")

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
    assert f"{photos / 'both.png'}: lost, for faces 1, 2 of 2 are damaged" in dry.lines
    assert f"{photos / 'red' / 'red1.png'}: lost, for face 1 of 1 are damaged" not in dry.lines
    assert f"{photos / 'red' / 'red1.png'}: lost, for face 1 of 1 is damaged" in dry.lines
    assert f"{store}: 1 photo with 0 faces would be kept, 9 photos lost" in dry.lines
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


@pytest.mark.parametrize("raw", [b"", bytes(2000)])
def test_a_store_of_zeros_says_what_to_do(program, store, photos, raw):
    store.write_bytes(raw)
    for command in (["index", photos, "--rebuild"], ["info"], ["query", "me.png"]):
        done = program(*command)
        assert done.code in (1, 2)
        if command[0] != "query":
            assert "run facesearch repair, or delete it and run facesearch index" in done.err
    done = program("repair")
    assert done.code == 1
    assert "its description is lost" in done.err
    assert "run facesearch index" in done.err


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

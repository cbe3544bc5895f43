"""``facesearch merge`` and ``facesearch split`` as a person types them."""

from __future__ import annotations


def test_split_then_merge(program, store):
    done = program("split", "--parts", "2", "-o", "part.npz")
    assert done.code == 0
    assert len(done.lines) == 2
    assert "part-1.npz: " in done.lines[0]
    merged = program("merge", "part-1.npz", "part-2.npz", "-o", "again.npz", "--json")
    assert merged.code == 0
    before, after = (
        program("info", name, "--json").json["coverage"] for name in (store, "again.npz")
    )
    assert after | {"indexed_at": ""} == before | {"indexed_at": ""}
    assert merged.json["faces"] > 0
    assert merged.json["merged"] == [str(store.parent / f"part-{n}.npz") for n in (1, 2)]
    dry = program("merge", "part-1.npz", "-o", "more.npz", "--dry-run")
    assert "more.npz: would have " in dry.out
    assert not (store.parent / "more.npz").exists()


def test_split_by_faces_and_by_folder(program, store):
    parts = program(
        "split", str(store), "--faces", "1", "-o", "each.npz", "--dry-run", "--json"
    ).json
    assert parts["dry_run"] is True
    assert len(parts["parts"]) > 1
    root = program("roots", "--json").json["roots"][0]
    done = program("split", "--under", root["path"], "-o", "own.npz", "--remove")
    assert done.code == 0
    assert f"{store}: {root['photos']} photos taken out" in done.out
    assert program("info", "own.npz", "--json").json["roots"][0]["photos"] == root["photos"]


def test_what_is_refused_in_one_line(program, store):
    for code, words, arguments in (
        (2, "say how to split", ["split", "-o", "x.npz"]),
        (2, "say how to split", ["split", "-o", "x.npz", "--parts", "2", "--faces", "3"]),
        (2, "--remove goes with --under", ["split", "-o", "x.npz", "--parts", "2", "--remove"]),
        (2, "--parts", ["split", "-o", "x.npz", "--parts", "0"]),
        (2, "is there already", ["split", "-o", str(store), "--under", "."]),
        (2, "name the stores to merge", ["merge", "-o", "x.npz"]),
        (2, "--output", ["merge", str(store)]),
        (1, "nowhere.npz: no store here", ["merge", str(store), "nowhere.npz", "-o", "x.npz"]),
    ):
        done = program(*arguments)
        assert done.code == code, arguments
        assert words in done.err
        assert done.err.rstrip().splitlines()[-1].startswith("facesearch: ")
        assert not (store.parent / "x.npz").exists()

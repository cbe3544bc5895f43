"""The faces of a store for other programs."""

from __future__ import annotations

import csv
import io
import json
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from facesearch import exporting
from facesearch.store import Store
from small_store import MIDDLE, RED, draw, enroll


def ndjson(done):
    return [json.loads(line) for line in done.lines]


def test_one_row_a_face(program, store, photos):
    rows = ndjson(program("export", "--ndjson"))
    assert len(rows) == 10
    both = [row for row in rows if row["path"].endswith("both.png")]
    assert [row["face"] for row in both] == [1, 2]
    assert both[0]["box"] == [5, 5, 30, 30]
    assert both[0]["person"] == "photos"
    assert (both[0]["width"], both[0]["height"]) == (120, 100)
    assert len(both[0]["landmarks"]) == 5
    assert both[0]["id"] == f"{both[0]['content'][:16]}-1"
    red = next(row for row in rows if row["path"].endswith("red1.png"))
    assert (red["person"], red["root"], red["relative_path"]) == (
        "red",
        str(photos),
        "red/red1.png",
    )
    assert "embedding" not in red


def test_rows_are_those_of_query(program, store, red):
    by_id = {row["id"]: row for row in ndjson(program("export", "--ndjson"))}
    asked = program("query", red, "-k", "all", "--by", "face", "--json").json["results"][0]
    for neighbor in asked["neighbors"]:
        row = by_id.pop(neighbor["id"])
        for name in ("path", "root", "relative_path", "also", "face", "box", "width", "taken"):
            assert row[name] == neighbor[name], name
    assert by_id == {}


def test_embeddings_come_back_bit_by_bit(program, store):
    held = Store.open(store)
    wanted = held.embeddings(np.arange(len(held.faces)))
    rows = ndjson(program("export", "--ndjson", "--embeddings"))
    found = np.array([row["embedding"] for row in rows], np.float32)
    assert np.array_equal(found, wanted)
    lines = csv.DictReader(io.StringIO(program("export", "--csv", "--embeddings").out))
    assert np.array_equal(
        np.array([json.loads(row["embedding"]) for row in lines], np.float32), wanted
    )


def test_csv_is_safe_in_a_spreadsheet(program, folder):
    draw(folder / "p" / "=cmd()" / "a\nb.png", {RED: MIDDLE})
    enroll(folder / "faces.npz", [folder / "p"])
    (row,) = csv.DictReader(io.StringIO(program("export", "--csv").out))
    assert row["relative_path"] == "./=cmd()/a\\nb.png"
    assert row["person"] == "'=cmd()"
    assert row["box_x"] == "30.0"


def test_a_copy_is_there_once(program, photos, folder):
    shutil.copy(photos / "red" / "red1.png", photos / "copy.png")
    enroll(folder / "faces.npz", [photos])
    rows = ndjson(program("export", "--ndjson"))
    assert len(rows) == 10
    (row,) = (row for row in rows if row["also"])
    assert {Path(path).name for path in (row["path"], *row["also"])} == {"copy.png", "red1.png"}


def test_parquet(program, store):
    parquet = pytest.importorskip("pyarrow.parquet")
    done = program("export", store, "--parquet", "--embeddings", "-o", "faces.parquet")
    assert done.code == 0
    assert "10 faces written to faces.parquet" in done.err
    table = parquet.read_table("faces.parquet").to_pylist()
    rows = ndjson(program("export", "--ndjson", "--embeddings"))
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    assert table[0]["embedding"] == [float(np.float32(x)) for x in rows[0]["embedding"]]
    assert stat.S_IMODE(Path("faces.parquet").stat().st_mode) == 0o600
    piped = program("export", "--parquet")
    assert len(parquet.read_table(io.BytesIO(piped.raw))) == 10


def test_a_name_that_is_not_utf_8(program, folder):
    try:
        draw(folder / "p" / "caf\udce9.png", {RED: MIDDLE})
    except OSError:
        pytest.skip("no such names on this file system")
    enroll(folder / "faces.npz", [folder / "p"])
    (row,) = ndjson(program("export", "--ndjson"))
    assert row["relative_path"] == "caf\udce9.png"
    assert "caf\\xe9.png" in program("export", "--csv").out
    if pytest.importorskip("pyarrow"):
        assert program("export", "--parquet").code == 0


def test_whole_photos(program, whole_store):
    rows = ndjson(program("export", "--ndjson"))
    assert len(rows) == 10
    assert all(row["face"] is None and row["box"] is None for row in rows)


def test_an_empty_store(program, folder):
    (folder / "p").mkdir()
    enroll(folder / "faces.npz", [folder / "p"])
    assert program("export", "--csv").out.startswith('"id","path"')
    assert program("export", "--ndjson").raw == b""
    if pytest.importorskip("pyarrow"):
        assert program("export", "--parquet").code == 0


def test_a_store_of_many_parts_comes_in_pieces(program, photos, folder, monkeypatch):
    monkeypatch.setattr(exporting, "CONTENTS_AT_ONCE", 2)
    store = enroll(folder / "faces.npz", [photos], batch=3, finish=False)
    batches = list(exporting.face_rows(store, embeddings=True))
    assert len(batches) == 5
    for row in (row for batch in batches for row in batch):
        assert row.embedding is not None
    assert len({row.id for batch in batches for row in batch}) == 10
    rows = {row.id: row.embedding for batch in batches for row in batch}
    assert np.array_equal(
        np.array(list(rows.values())), store.embeddings(np.arange(len(store.faces)))
    )


def test_a_face_that_was_forgotten_is_not_there(program, store, red):
    before = {row["id"] for row in ndjson(program("export", "--ndjson"))}
    both = next(each for each in before if each.endswith("-2"))
    photo = next(r["path"] for r in ndjson(program("export", "--ndjson")) if r["id"] == both)
    assert program("forget", photo, "--face", 1, "--yes").code == 0
    assert {row["id"] for row in ndjson(program("export", "--ndjson"))} == before - {
        both.removesuffix("-2") + "-1"
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "say one format: --csv, --ndjson or --parquet"),
        (["--csv", "--ndjson"], "say one format"),
        (["--csv", "-o", "me.png"], "me.png: there is a file already"),
        (["--csv", "-o", "nowhere/x.csv"], "nowhere/x.csv: cannot be written (No such file"),
        (["nothing.npz", "--csv"], "nothing.npz: no store here"),
        (["milvus+file:x", "--csv"], "this command needs a store file"),
    ],
)
def test_what_cannot_be_meant(program, store, red, arguments, told):
    done = program("export", *arguments)
    assert done.code in (1, 2)
    assert told in done.err
    assert "Traceback" not in done.err


def test_without_pyarrow(program, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    done = program("export", "--parquet", "-o", "faces.parquet")
    assert done.code == 2
    assert "--parquet needs pyarrow; install it: pip install pyarrow" in done.err
    assert not Path("faces.parquet").exists()

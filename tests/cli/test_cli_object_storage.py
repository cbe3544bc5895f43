"""Photos in a bucket on the command line: named, found, drawn, and errors in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from object_storage import (  # noqa: F401 - fixtures
    DENIED,
    Bucket,
    bucket,
    hasty,
    one_server,
    own_server,
    server,
)
from photo_library import PoolInHere
from small_store import RED, embedder_of


@pytest.fixture
def root(bucket: Bucket, photos, program, monkeypatch) -> str:  # noqa: F811
    """The address of the photos; the command reads them in this very process."""
    monkeypatch.setattr("facesearch.indexing.WorkerPool", PoolInHere)
    monkeypatch.setattr("facesearch.processing.ProcessSpec.__call__", embedder_of)
    bucket.upload(photos, "photos/")
    return bucket / "photos"


def test_index_refresh_and_roots(program, root, bucket):  # noqa: F811
    done = program("index", f"{root}/")
    assert done.code == 0, done.err
    assert done.lines[0] == "10 photos seen: 10 new, 0 unchanged, 0 removed, 0 failed"
    assert program("index").lines[0].startswith("10 photos seen: 0 new, 10 unchanged")
    assert program("roots").lines == [f"{root}  10 photos"]
    assert program("info").code == 0
    assert program("check", "--deep").lines[-1].endswith("sound")
    bucket.put("photos/red/red1.png", b"something else")
    assert program("check", "--deep").lines[0] == (
        f"{root}/red/red1.png: changed since it was indexed"
    )
    bucket.server.fault = lambda asked: DENIED
    assert program("roots").lines == [f"{root}  10 photos, away"]
    done = program("index", "--json")
    assert done.json["roots_away"] == [{"root": root, "why": "unreadable", "kept": 10}]
    (failure,) = done.json["failures"]
    assert failure["path"] == root
    assert "AccessDenied" in failure["message"]
    assert program("roots", "drop", root).lines == [f"{root}: dropped, 10 photos forgotten"]


def test_query_prints_addresses_and_draws_them(program, root, red, bucket, folder):  # noqa: F811
    program("index", root)
    bucket.server.asked.clear()
    done = program("query", red, "-k", 2, "--format", "paths")
    assert done.lines == [f"{root}/red/red1.png", f"{root}/both.png"]
    assert bucket.server.asked == [], "a query of a local photo needs no network"
    assert program("query", red, "-k", 1).code == 0
    done = program("query", red, "-k", 3, "--contact-sheet", "sheet.png", "--json")
    paths = [neighbor["path"] for neighbor in done.json["results"][0]["neighbors"]]
    assert paths[0] == f"{root}/red/red1.png"
    assert sorted(bucket.server.gets()) == sorted(
        path.removeprefix(f"s3://{bucket.name}/") for path in paths
    )
    with Image.open(folder / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    assert (np.abs(pixels - RED).max(axis=2) < 12).mean() > 0.05


def test_query_under_an_address(program, root, red):
    program("index", root)
    done = program("query", red, "--format", "paths", "--under", f"{root}/green/")
    assert {line.rpartition("/")[0] for line in done.lines} == {f"{root}/green"}
    done = program("query", red, "--under", f"{root}/nothing")
    assert done.code == 2
    assert "the store has no photos there" in done.err


def test_query_by_a_photo_and_by_a_folder_in_a_bucket(program, root, store, bucket):  # noqa: F811
    bucket.server.asked.clear()
    done = program("query", f"{root}/red/red1.png", "--store", store, "--json")
    assert done.json["results"][0]["neighbors"][0]["path"].endswith("photos/red/red1.png")
    assert len(bucket.server.asked) == 1, "one request for one photo"
    done = program("query", f"{root}/red/", "--store", store, "--json", "-k", 1)
    assert [result["query"]["path"] for result in done.json["results"]] == [
        f"{root}/red/red1.png",
        f"{root}/red/red2.png",
    ]
    done = program("query", f"{root}/gone.png", "--store", store)
    assert done.code == 1
    assert f"{root}/gone.png: no such file" in done.out
    assert program("query", f"{root}/none/", "--store", store).code == 1


def test_a_contact_sheet_says_which_photos_are_away(program, root, red, bucket, folder):  # noqa: F811
    program("index", root)
    bucket.server.fault = lambda asked: DENIED
    done = program("query", red, "-k", 3, "--contact-sheet", "sheet.png")
    assert done.code == 0
    assert (folder / "sheet.png").exists()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://", "no bucket has such a name"),
        ("s3:///photos", "no bucket has such a name"),
        ("http://example.com/a.jpg", "http://: facesearch takes files and folders"),
        ("https://example.com/a.jpg", "and no addresses of the web; save the photo and name its"),
        ("milvus+http://localhost:19530/x", "photos lie in folders and at s3://, gs://"),
        ("s3://KEY:SECRET@bucket/photos", "the environment or its own files"),
        ("file://photos", "begins with file:///"),
    ],
)
def test_addresses_that_cannot_be_meant(program, store, address, words):
    for command in (["index"], ["query"], ["roots", "drop"]):
        done = program(*command, address)
        assert (done.code, done.out) == (2, "")
        assert words in done.err
        assert "SECRET" not in done.err


def test_a_bucket_that_refuses_ends_in_one_line(program, hasty, server):  # noqa: F811
    server.fault = lambda asked: DENIED
    done = program("index", "s3://bucket/photos")
    assert done.code == 1
    line = done.err.splitlines()[-1]
    assert line.startswith("facesearch: s3://bucket/photos: no permission to read it: ")
    assert "AccessDenied" in line
    assert "your credentials" in line


def test_a_path_of_a_program_is_refused_with_a_hint(folder):
    from pathlib import Path

    import facesearch
    from facesearch.errors import UsageError

    with pytest.raises(UsageError, match="give an address as text"):
        facesearch.index(Path("s3://bucket/photos"), folder / "faces.npz")


def test_summaries_name_addresses(program, root, bucket):  # noqa: F811
    bucket.put("photos/broken.jpg", b"\xff\xd8\xff no photo")
    done = program("index", root, "--log", "log.json")
    assert f"{root}/broken.jpg: " in done.out
    with open("log.json") as log:  # noqa: PTH123
        assert json.load(log)["failures"][0]["path"] == f"{root}/broken.jpg"


def test_offline_means_no_bucket_either(program, root, red, bucket, folder, photos):  # noqa: F811
    program("index", root)
    bucket.server.asked.clear()
    for command in (["index", root], ["index"], ["index", "--dry-run"], ["query", f"{root}/a.jpg"]):
        done = program(*command, "--offline")
        assert (done.code, done.out) == (2, "")
        assert "lies on the network" in done.err
    assert program("query", red, "--offline", "--contact-sheet", "sheet.png").code == 0
    assert program("index", photos, "--offline").code == 0
    assert bucket.server.asked == []


def test_photos_in_a_bucket_are_forgotten_and_allowed_again(program, root):
    program("index", root)
    forgot = program("forget", f"{root}/red", "--yes")
    assert forgot.lines == ["forgot 2 photos with 2 faces"], forgot.err
    assert program("check", "--forgotten").code == 0
    allowed = program("forget", "--allow", f"{root}/red")
    assert allowed.out == "2 photos had been forgotten; index takes them in again\n"

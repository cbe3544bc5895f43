"""What an index run says at its end, and what --dry-run foresees."""

import json
from dataclasses import fields, replace

import pytest

from facesearch.records import Failure, IndexPrediction, IndexSummary, RootAway, SystemRun
from facesearch.report import (
    render_index_summary,
    render_prediction,
    render_system_run,
    render_system_runs,
)
from facesearch.report.wording import duration, size

FULL = IndexSummary(
    store="/my photos/faces.npz",
    seen=4031,
    new=25,
    changed=2,
    unchanged=4000,
    moved=3,
    copies=1,
    removed=12,
    gone_kept=3120,
    faces=5120,
    without_face=40,
    failures=(
        Failure("/p/a\n.jpg", "truncated", "the file ends too early"),
        Failure("/p/b.jpg", "empty", "/p/b.jpg: the file has no bytes"),
        Failure("/p/c.jpg", "empty", "/p/c.jpg: the file has no bytes"),
    ),
    not_read={".pdf": 310, ".mov": 12_031},
    further_pages=1,
    small_faces=((60, 120),),
    roots_away=(RootAway("/mnt/disk", "missing", 31_204),),
    seconds=151.26,
    photos_per_second=26.64,
    device="cpu",
    store_bytes=12_345_678,
)


def lines_of(summary):
    return render_index_summary(summary, json=False).decode().splitlines()


def test_whole_photos_have_no_faces_to_count():
    lines = lines_of(replace(FULL, subject="photo", small_faces=(), without_face=0))
    assert lines[1].startswith("failed: ")
    assert not [line for line in lines if "without a face" in line or "px" in line]
    facts = json.loads(render_index_summary(replace(FULL, subject="photo"), json=True))
    assert facts["subject"] == "photo"


RUNS = [
    SystemRun(("vgg16-l2", "vgg16-pca"), "vgg16", "/s-vgg16.npz", FULL),
    SystemRun(("facenet",), "facenet", "/s.npz", error="no weights\x1b"),
]


def test_one_of_several_systems():
    lines = render_system_run(RUNS[0]).decode().splitlines()
    assert lines == ["== vgg16-l2, vgg16-pca", *lines_of(FULL), ""]
    failed = render_system_run(RUNS[1]).decode().splitlines()
    assert failed == ["== facenet", "failed: no weights\\x1b", ""]


def test_several_systems_as_json():
    document = json.loads(render_system_runs(RUNS))
    assert list(document) == ["schema", "systems"]
    first, second = document["systems"]
    assert first == {
        "systems": ["vgg16-l2", "vgg16-pca"],
        "recipe": "vgg16",
        "store": "/s-vgg16.npz",
        "error": None,
        "summary": json.loads(render_index_summary(FULL, json=True)),
    }
    assert (second["error"], second["summary"]) == ("no weights\x1b", None)
    foreseen = IndexPrediction(10, 5, 5, 1.5, 900)
    (run,) = json.loads(render_system_runs([replace(RUNS[0], outcome=foreseen)]))["systems"]
    assert run["prediction"] == json.loads(render_prediction(foreseen, json=True))
    assert "summary" not in run
    assert (
        "10 photos found, 5 to read"
        in render_system_run(replace(RUNS[0], outcome=foreseen)).decode()
    )


def test_everything_that_can_be_said():
    assert lines_of(FULL) == [
        "4,031 photos seen: 25 new, 2 changed, 4,000 unchanged, 3 moved, 1 copy, 12 removed, "
        "3 failed",
        "5,120 faces; 40 photos without a face",
        "failed: 2 empty, 1 truncated",
        "  /p/a\\n.jpg: the file ends too early",
        "  /p/b.jpg: the file has no bytes",
        "  /p/c.jpg: the file has no bytes",
        "not read: 12,031 .mov, 310 .pdf",
        "root away, 31,204 photos kept: /mnt/disk (missing)",
        "3,120 photos are gone, more than a tenth: kept; facesearch index --prune removes them",
        "in 120 photos faces under 60 px could not be found (--detail high, --min-face)",
        "1 further page or frame not searched: only the first of each file is",
        "took 2 min 31 s, 26.6 photos/s, on cpu",
        "store: /my photos/faces.npz (12.3 MB)",
        "next: facesearch query PHOTO --store '/my photos/faces.npz'",
    ]


def test_a_quiet_run_is_short():
    assert lines_of(IndexSummary(store="faces.npz", seen=1, unchanged=1, faces=1)) == [
        "1 photo seen: 0 new, 1 unchanged, 0 removed, 0 failed",
        "1 face; 0 photos without a face",
        "took 0.0 s",
        "store: faces.npz",
        "next: facesearch query PHOTO --store faces.npz",
    ]


def test_an_empty_run_says_what_to_do():
    assert lines_of(IndexSummary(store="faces.npz"))[-1].startswith("next: facesearch index FOLDER")


@pytest.mark.parametrize(("failed", "more"), [(20, None), (21, 1), (1500, 1480)])
def test_twenty_failures_are_listed_and_the_rest_counted(failed, more):
    failures = tuple(Failure(f"/p/{n}.jpg", "empty", "empty") for n in range(failed))
    lines = lines_of(replace(FULL, failures=failures))
    listed = [line for line in lines if line.startswith("  /p/")]
    assert len(listed) == 20
    said = [line for line in lines if line.startswith("  and ")]
    assert said == ([f"  and {more:,} more: --log FILE or --json lists all"] if more else [])


def test_json_has_every_field_and_every_failure():
    failures = (*FULL.failures, Failure("/p/\udcff.jpg", "damaged", "x"))
    document = json.loads(render_index_summary(replace(FULL, failures=failures), json=True))
    assert {field.name for field in fields(IndexSummary)} <= set(document)
    assert document["schema"] == 1
    assert document["failed"] == 4
    assert document["failed_by_reason"] == {"empty": 2, "damaged": 1, "truncated": 1}
    assert document["failures"][3] == {"path": "/p/\udcff.jpg", "reason": "damaged", "message": "x"}
    assert list(document["not_read"].items()) == [(".mov", 12_031), (".pdf", 310)]
    assert document["small_faces"] == [{"under": 60, "photos": 120}]
    assert document["roots_away"] == [{"root": "/mnt/disk", "why": "missing", "kept": 31_204}]
    assert document["seconds"] == 151.26


PREDICTION = IndexPrediction(
    photos=50_000,
    to_read=48_000,
    sampled=40,
    seconds=7800,
    store_bytes=120_000_000,
    not_read={".mov": 7},
    roots_away=(RootAway("/mnt/disk", "missing", 1),),
)


def test_prediction():
    assert render_prediction(PREDICTION, json=False).decode().splitlines() == [
        "50,000 photos found, 48,000 to read",
        "about 2 h 10 min and a store of 120.0 MB, judged by 40 photos",
        "not read: 7 .mov",
        "root away, 1 photo kept: /mnt/disk (missing)",
        "nothing was written: the same command without --dry-run does it",
    ]


def test_prediction_with_nothing_to_read_predicts_no_time():
    text = render_prediction(replace(PREDICTION, to_read=0), json=False).decode()
    assert "about" not in text


def test_prediction_as_json_has_every_field():
    document = json.loads(render_prediction(PREDICTION, json=True))
    assert set(document) == {"schema"} | {field.name for field in fields(IndexPrediction)}
    assert document["seconds"] == 7800


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (360_000, "100 h 0 min"),
    ],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (5_000_000_000_000, "5.0 TB"),
    ],
)
def test_sizes(number, said):
    assert size(number) == said

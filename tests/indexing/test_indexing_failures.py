"""Photos that cannot be used: named every run with their reason, read again where it helps."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from facesearch.errors import DeviceError, ModelError, StoreError
from facesearch.photos import printable
from photo_library import Library


def failures_of(library: Library, summary) -> dict[str, str]:
    found = {library.name(failure.path): failure.reason for failure in summary.failures}
    assert len(found) == len(summary.failures)
    for failure in summary.failures:
        assert failure.message.startswith(f"{printable(failure.path)}: ")
        assert failure.message.count(printable(failure.path)) == 1
    return found


def test_what_lies_in_the_bytes_is_not_read_again_and_named_every_run(library: Library) -> None:
    library.add_many(5)
    library.add("cut short.jpg", "broken")
    (library.photos / "empty.jpg").touch()
    (library.photos / "text.jpg").write_text("no photo")
    named = {"cut short.jpg": "truncated", "empty.jpg": "empty", "text.jpg": "not-a-photo"}
    summary = library.index()
    assert failures_of(library, summary) == named
    assert (summary.seen, summary.new, summary.usable, summary.failed) == (8, 8, 5, 3)
    library.embedded()
    for summary in (library.index(), library.refresh()):
        assert failures_of(library, summary) == named
        assert (summary.seen, summary.unchanged, summary.usable) == (8, 8, 5)
    assert library.embedded() == []
    assert library.problems() == []


def test_a_broken_photo_that_was_mended(library: Library) -> None:
    library.add_many(5)
    path = library.add("cut short.jpg", "broken")
    library.index()
    library.add(path.name, "whole")
    summary = library.index()
    assert (summary.changed, summary.failures) == (1, ())
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_a_passing_failure_is_tried_on_every_run(library: Library) -> None:
    library.add_many(5)
    library.add("far.jpg", "flaky")
    library.switch.touch()
    for count in ("new", "changed", "changed"):
        summary = library.index()
        assert failures_of(library, summary) == {"far.jpg": "io-error"}
        assert getattr(summary, count) == (6 if count == "new" else 1)
        assert "far.jpg" in library.embedded()
    library.switch.unlink()
    summary = library.index()
    assert (summary.failures, summary.changed, summary.unchanged) == ((), 1, 5)
    assert library.index().unchanged == 6
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_a_known_photo_stays_while_its_new_content_cannot_be_read(library: Library) -> None:
    library.add_many(5)
    library.index()
    faces = len(library.store.faces)
    library.add("003.jpg", "flaky edit")
    library.switch.touch()
    for _ in range(2):
        summary = library.index()
        assert failures_of(library, summary) == {"003.jpg": "io-error"}
        assert (summary.seen, summary.unchanged, summary.usable) == (5, 5, 4)
        assert len(library.store.faces) == faces
    library.switch.unlink()
    assert library.index().changed == 1
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_a_broken_photo_whose_new_content_cannot_be_read(library: Library) -> None:
    library.add_many(5)
    library.add("x.jpg", "broken")
    library.index()
    library.add("x.jpg", "flaky edit")
    library.switch.touch()
    assert failures_of(library, library.index()) == {"x.jpg": "io-error"}
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_a_failing_network_is_told_as_itself(library: Library) -> None:
    library.add_many(5)
    library.add("a.jpg", "senseless")
    library.add("b.jpg", "senseless")  # the same bytes
    for _ in range(2):
        assert failures_of(library, library.index()) == {
            "a.jpg": "model-error",
            "b.jpg": "model-error",
        }


def test_photos_once_too_large_are_tried_at_another_limit(library: Library) -> None:
    library.add_many(5)
    library.add("huge.jpg", "large 500000000")
    assert failures_of(library, library.index()) == {"huge.jpg": "too-large"}
    library.embedded()
    assert failures_of(library, library.index()) == {"huge.jpg": "too-large"}
    assert library.embedded() == []
    summary = library.index(max_pixels=400_000_000)
    assert failures_of(library, summary) == {"huge.jpg": "too-large"}
    assert library.embedded() == ["huge.jpg"]
    assert library.index(max_pixels=600_000_000).failures == ()
    assert library.store.options["max_pixels"] == 600_000_000
    library.add("as huge.jpg", "large 550000000")
    assert library.index().failures == ()  # the limit is remembered
    library.embedded()
    assert library.index(max_pixels=1000).failures == ()  # nothing that is known is lost
    assert library.embedded() == []


def test_many_copies_of_a_broken_file_are_one_pass(library: Library) -> None:
    library.add_many(3)
    for number in range(50):
        (library.photos / f"empty {number:02}.jpg").touch()
        library.add(f"b/{number:02}.jpg", "broken")
    pools = []

    def counted(spec):
        pools.append(spec)
        return library.networks(spec)

    library.hooks["factory"] = counted
    summary = library.index()
    assert len(pools) == 1
    assert summary.failed_by_reason == {"empty": 50, "truncated": 50}
    assert len(failures_of(library, summary)) == 100
    assert (summary.seen, summary.usable) == (103, 3)
    assert len(library.embedded()) == 3 + 2
    summary = library.index()
    assert len(failures_of(library, summary)) == 100
    assert library.embedded() == []


def test_a_known_photo_and_copies_of_it_that_vanish(library: Library) -> None:
    """The first copy is gone when its turn comes; the others are read in a turn of their own."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        library.add(name, "the same bytes")
    networks = library.networks

    class Vanishing:
        def __init__(self, spec):
            self.inner = networks(spec)
            self.describe = self.inner.describe

        def process(self, batch):
            (library.photos / "a.jpg").unlink(missing_ok=True)
            return self.inner.process(batch)

    library.hooks["factory"] = lambda spec: lambda: Vanishing(spec)
    summary = library.index()
    assert failures_of(library, summary) == {"a.jpg": "vanished"}
    assert library.names() == ["b.jpg", "c.jpg"]
    assert library.problems() == []


def test_failures_of_other_roots_are_not_this_runs(library: Library) -> None:
    other = library.home / "other"
    for number in range(5):
        library.add(f"{number}.jpg", f"broken {number}")
    library.add_many(2, "o", other)
    library.index(library.photos, other)
    summary = library.index(other)
    assert (summary.failures, summary.usable) == ((), 2)
    assert len(library.refresh().failures) == 5


def test_failures_are_told_where_the_file_lies_now(library: Library, tmp_path: Path) -> None:
    library.add_many(3)
    library.add("bad.jpg", "broken")
    library.index()
    library.home.rename(tmp_path / "there")
    there = Library(tmp_path / "there")
    assert failures_of(there, there.refresh()) == {"bad.jpg": "truncated"}
    (there.photos / "bad.jpg").rename(there.photos / "worse.jpg")
    assert failures_of(there, there.refresh(prune=True)) == {"worse.jpg": "truncated"}


def test_names_with_line_breaks_in_failures(library: Library) -> None:
    for name in ("line\nbreak.jpg", "\udcff.jpg"):
        library.add(name, "broken " + repr(name))
    for _ in range(2):
        summary = library.index()
        assert len(failures_of(library, summary)) == 2
        assert all("\n" not in failure.message for failure in summary.failures)
    assert summary.usable == 0


def test_a_gone_failure_that_is_kept_is_not_named(library: Library) -> None:
    library.add_many(3)
    library.add("bad.jpg", "broken")
    library.index()
    (library.photos / "bad.jpg").unlink()
    summary = library.index()
    assert (summary.gone_kept, summary.failures, summary.usable) == (1, (), 3)


@pytest.mark.parametrize(("word", "reason"), [("deadly", "worker-died"), ("hanging", "timeout")])
def test_a_photo_that_ends_its_process_is_named_and_no_other(
    busy_library: Library, word: str, reason: str
) -> None:
    busy_library.add_many(40)
    busy_library.add("017 x.jpg", word)
    summary = busy_library.index(item_timeout=0.5)
    assert failures_of(busy_library, summary) == {"017 x.jpg": reason}
    assert (summary.seen, summary.new, summary.usable) == (41, 41, 40)
    assert len(busy_library.store.files) == 41
    shutil.rmtree(busy_library.photos)
    busy_library.add_many(40)
    busy_library.add("017 x.jpg", "harmless")
    assert busy_library.index().failures == ()


def test_copies_of_a_photo_that_ends_its_process_are_not_tried(busy_library: Library) -> None:
    busy_library.add_many(4)
    for number in range(6):
        busy_library.add(f"d{number}.jpg", "deadly")
    summary = busy_library.index()
    assert summary.failed_by_reason == {"worker-died": 6}
    assert len(failures_of(busy_library, summary)) == 6
    assert sum(name.startswith("d") for name in busy_library.embedded()) <= 2


def test_a_photo_that_ends_its_process_is_left_alone_until_it_changes(
    busy_library: Library,
) -> None:
    busy_library.add_many(9)
    busy_library.add("x.jpg", "mortal")
    busy_library.switch.touch()
    summary = busy_library.index()
    assert failures_of(busy_library, summary) == {"x.jpg": "worker-died"}
    assert busy_library.embedded().count("x.jpg") == 2
    for summary in (busy_library.index(), busy_library.refresh()):
        assert failures_of(busy_library, summary) == {"x.jpg": "worker-died"}
        assert summary.failures[0].message.endswith("left alone until it changes, or with --retry")
        assert (summary.seen, summary.unchanged, summary.usable) == (10, 10, 9)
    assert busy_library.embedded() == []
    summary = busy_library.index(retry=True)
    assert failures_of(busy_library, summary) == {"x.jpg": "worker-died"}
    assert busy_library.embedded() == ["x.jpg"] * 2
    busy_library.add("x.jpg", "mortal but edited")
    assert failures_of(busy_library, busy_library.index()) == {"x.jpg": "worker-died"}
    busy_library.switch.unlink()
    assert len(busy_library.index().failures) == 1
    assert busy_library.index(retry=True).failures == ()
    assert busy_library.store.content_digest() == busy_library.digest_of_a_fresh_store()


def test_what_failed_is_read_again_where_that_is_asked_for(library: Library) -> None:
    library.add_many(5)
    library.add("a.jpg", "broken")
    library.add("b.jpg", "broken")  # the same bytes
    (library.photos / "empty.jpg").touch()
    library.index()
    library.embedded()
    summary = library.index(retry=True)
    assert len(failures_of(library, summary)) == 3
    assert {"a.jpg", "empty.jpg"} <= set(library.embedded()) <= {"a.jpg", "b.jpg", "empty.jpg"}
    assert (summary.seen, summary.usable) == (8, 5)
    assert library.store.content_digest() == library.digest_of_a_fresh_store()
    assert library.problems() == []


def test_what_ends_the_run_leaves_what_was_done(busy_library: Library) -> None:
    busy_library.add_many(30)
    for number in range(25):
        busy_library.add(f"z{number:02}.jpg", f"deadly {'x' * number}")
    with pytest.raises(ModelError, match="20 worker processes in a row died"):
        busy_library.index(jobs=1)
    assert len(busy_library.store.files) >= 30
    progress = busy_library.store.progress
    assert (progress.total, progress.running) == (55, False)
    assert progress.done >= 30


def test_a_device_that_is_not_there_leaves_no_store(busy_library: Library) -> None:
    busy_library.add_many(10)
    networks = busy_library.networks
    busy_library.hooks["factory"] = lambda spec: dataclasses.replace(networks(spec), refuses=True)
    with pytest.raises(DeviceError, match="there is none here"):
        busy_library.index()
    assert not busy_library.path.exists()


def test_a_full_disk_loses_nothing(library: Library, monkeypatch) -> None:
    library.add_many(30)
    library.index()
    before = library.path.read_bytes()
    library.add_many(40, "more/")
    monkeypatch.setattr("facesearch.indexing.COMMIT_SECONDS", 0.0)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("facesearch.store.disk.os.fsync", full)
        with pytest.raises(StoreError, match=r"faces\.npz: the disk is full"):
            library.index()
    assert library.path.read_bytes() == before
    assert library.index().new == 40
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_failures_can_be_written_as_json(library: Library) -> None:
    from facesearch.report import render_index_summary

    library.add("bad\udcff.jpg", "broken")
    library.add("good.jpg")
    facts = json.loads(render_index_summary(library.index(), True))
    assert facts["failures"][0]["reason"] == "truncated"
    assert facts["failed"] == 1

"""The index job over photos in a bucket: as over a folder, reading no object that need not be."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from facesearch import buckets
from facesearch.errors import FacesearchError, UsageError
from facesearch.gallery.facts import coverage_of, roots_of
from facesearch.gallery.places import Places
from facesearch.locations import as_location
from facesearch.photos import printable
from facesearch.records import RootAway
from facesearch.rooting import drop_root, move_root
from facesearch.store import Store
from object_storage import DENIED, SLOW_DOWN, Answer, Asked, Bucket, BucketLibrary, S3Server


def gone(asked: Asked) -> Answer | None:
    return Answer("404 Not Found", "NoSuchBucket")


def denied(asked: Asked) -> Answer | None:
    return DENIED


def test_first_run_reads_each_object_once_and_refresh_none(library: BucketLibrary) -> None:
    library.put_many(5)
    library.put("a b/ü+%20.jpg")
    library.put("notes.txt")
    summary = library.index_at()
    assert (summary.seen, summary.new, summary.failures) == (6, 6, ())
    assert summary.not_read == {".txt": 1}
    read = sorted(library.bucket.server.gets())
    assert read == sorted(f"photos/{key}" for key in library.names())
    for summary in (library.index_at(), library.refresh()):
        assert (summary.unchanged, summary.seen, summary.new) == (6, 6, 0)
        assert library.bucket.server.gets() == []
    assert library.problems() == []


def test_only_new_and_changed_objects_are_read(library: BucketLibrary) -> None:
    library.put_many(5)
    library.put("same.jpg", "one")
    library.index_at()
    library.bucket.server.gets()
    library.put("new.jpg")
    library.put("000.jpg", "another text")
    library.put("same.jpg", "two")  # in the same second, of the same size
    summary = library.refresh()
    assert (summary.new, summary.changed, summary.unchanged) == (1, 2, 4)
    read = set(library.bucket.server.gets())
    assert read == {"photos/new.jpg", "photos/000.jpg", "photos/same.jpg"}
    assert library.store.content_digest() == fresh_digest(library)


def test_an_object_written_anew_with_the_same_bytes_is_not_embedded_again(
    library: BucketLibrary, monkeypatch
) -> None:
    library.put_many(3)
    library.index_at()
    library.embedded()
    monkeypatch.setattr("facesearch.buckets.s3.version_of", lambda modified, tag: 5)
    library.bucket.server.gets()
    summary = library.refresh()
    assert (summary.unchanged, summary.changed) == (3, 0)
    assert len(library.bucket.server.gets()) == 3
    assert library.embedded() == []


def test_removed_objects_leave(library: BucketLibrary) -> None:
    library.put_many(30)
    library.index_at()
    library.bucket.delete("photos/001.jpg", "photos/002.jpg")
    assert library.refresh().removed == 2
    assert len(library.names()) == 28
    library.bucket.delete(*(f"photos/{number:03}.jpg" for number in range(3, 20)))
    summary = library.refresh()
    assert (summary.removed, summary.gone_kept) == (0, 17)
    assert library.refresh(prune=True).removed == 17
    assert library.store.content_digest() == fresh_digest(library)


def test_an_object_that_moved_is_recognised(library: BucketLibrary) -> None:
    library.put_many(12)
    library.index_at()
    library.bucket.delete("photos/003.jpg")
    library.put("elsewhere/x.jpg", f"003.jpg {'x' * 3}")
    summary = library.refresh()
    assert (summary.moved, summary.new, summary.removed) == (1, 0, 0)
    assert "elsewhere/x.jpg" in library.names()
    assert library.store.content_digest() == fresh_digest(library)


def test_copies_in_a_bucket_are_one_content(library: BucketLibrary) -> None:
    for name in ("a.jpg", "b.jpg", "c/a.jpg"):
        library.put(name, "the same")
    summary = library.index_at()
    assert (summary.new, summary.copies) == (1, 2)
    assert len(library.store.contents) == 1
    assert len(library.bucket.server.gets()) == 3


def test_patterns_are_remembered(library: BucketLibrary) -> None:
    library.put_many(12)
    library.put_many(3, "raw/")
    library.index_at(exclude=("raw/",))
    assert len(library.names()) == 12
    library.put("raw/late.jpg")
    assert library.refresh().new == 0
    assert library.refresh(forget_excludes=True).new == 4


def test_failures_have_the_full_address(library: BucketLibrary) -> None:
    library.put_many(3)
    library.put("bad/x.jpg", "broken photo")
    library.put("empty.jpg")
    library.bucket.put("photos/empty.jpg", b"")
    library.bucket.put("photos/text.jpg", b"only text")
    for summary in (library.index_at(), library.refresh()):
        found = {failure.path: failure.reason for failure in summary.failures}
        root = library.root
        assert found == {
            f"{root}/bad/x.jpg": "truncated",
            f"{root}/empty.jpg": "empty",
            f"{root}/text.jpg": "not-a-photo",
        }
        for failure in summary.failures:
            assert failure.message.startswith(f"{failure.path}: ")
            assert failure.message.count(failure.path) == 1
    library.bucket.server.gets()
    library.refresh()
    assert library.bucket.server.gets() == [], "broken objects are not read again"


def test_an_object_that_vanishes_between_listing_and_reading(library: BucketLibrary) -> None:
    library.put_many(3)
    library.bucket.server.fault = lambda asked: (
        Answer("404 Not Found", "NoSuchKey") if asked.key.endswith("001.jpg") else None
    )
    summary = library.index_at()
    assert [failure.reason for failure in summary.failures] == ["vanished"]
    assert library.names() == ["000.jpg", "002.jpg"]


def test_an_object_that_may_not_be_read_is_tried_again(library: BucketLibrary) -> None:
    library.put_many(3)
    library.bucket.server.fault = lambda asked: DENIED if "001" in asked.key else None
    summary = library.index_at()
    (failure,) = summary.failures
    assert (failure.path, failure.reason) == (f"{library.root}/001.jpg", "unreadable")
    assert "AccessDenied" in failure.message
    library.bucket.server.fault = lambda asked: None
    assert library.refresh().failures == ()
    assert library.store.content_digest() == fresh_digest(library)


def test_a_busy_service_costs_no_photo(library: BucketLibrary) -> None:
    library.put_many(4)
    refused: set[str] = set()

    def first_time(asked: Asked) -> Answer | None:
        if asked.key in refused:
            return None
        refused.add(asked.key)
        return SLOW_DOWN

    library.bucket.server.fault = first_time
    summary = library.index_at()
    assert (summary.new, summary.failures) == (4, ())


@pytest.mark.parametrize(
    ("fault", "state"), [(gone, "missing"), (denied, "unreadable")], ids=["gone", "denied"]
)
def test_a_bucket_that_is_away_is_kept(library: BucketLibrary, fault, state: str) -> None:
    library.put_many(20)
    library.add_many(3)
    library.run([as_location(library.root), library.photos])
    library.bucket.server.fault = fault
    for options in ({}, {"prune": True}):
        summary = library.refresh(**options)
        assert summary.roots_away == (RootAway(library.root, state, 20),)
        assert (summary.seen, summary.removed) == (3, 0)
    assert len(library.store.files) == 23
    with pytest.raises(FacesearchError, match="20 photos"):
        library.refresh(rebuild=True)
    library.bucket.server.fault = lambda asked: None
    assert library.refresh().unchanged == 23


def test_a_server_that_is_away_is_a_disk_that_is_not_plugged_in(
    hasty: None, own_server: S3Server, tmp_path: Path
) -> None:
    library = BucketLibrary(tmp_path / "home", Bucket(own_server))
    library.put_many(5)
    library.index_at()
    own_server.stop()
    summary = library.refresh(prune=True)
    assert summary.roots_away == (RootAway(library.root, "unreadable", 5),)
    assert len(library.names()) == 5


def test_an_emptied_prefix_is_away(library: BucketLibrary) -> None:
    library.put_many(20)
    library.index_at()
    library.bucket.delete(*library.bucket.keys())
    library.bucket.put("photos/.hidden", b"")
    assert library.refresh(prune=True).roots_away == (RootAway(library.root, "empty", 20),)
    assert len(library.names()) == 20
    library.bucket.remove()
    assert library.refresh(prune=True).roots_away == (RootAway(library.root, "missing", 20),)


def test_the_server_goes_away_while_the_bucket_is_listed(
    library: BucketLibrary, monkeypatch
) -> None:
    monkeypatch.setattr(buckets, "KEYS_A_PAGE", 5)
    library.put_many(20)
    library.index_at()
    library.bucket.delete("photos/001.jpg", "photos/019.jpg")
    library.bucket.server.fault = lambda asked: (
        DENIED if "continuation-token" in asked.query else None
    )
    summary = library.refresh(prune=True)
    assert [(failure.path, failure.reason) for failure in summary.failures] == [
        (library.root, "unreadable")
    ]
    assert (summary.seen, summary.removed) == (5, 0)
    assert len(library.names()) == 20, "what was not listed may be there"


def test_the_server_goes_away_while_photos_are_read(
    hasty: None, own_server: S3Server, tmp_path: Path
) -> None:
    library = BucketLibrary(tmp_path / "home", Bucket(own_server))
    library.put_many(100)

    def stops(asked: Asked) -> Answer | None:
        served = [each for each in own_server.asked if each.key]
        return Answer("500 Internal Server Error", "InternalError") if len(served) > 20 else None

    own_server.fault = stops
    with pytest.raises(FacesearchError, match="went away during the run") as caught:
        library.index_at()
    assert str(caught.value).startswith(f"s3://{library.bucket.name}: ")
    assert len(own_server.asked) < 70, "it is not asked for each of those left"
    assert not library.store.contents.failed[:20].any()
    own_server.fault = lambda asked: None
    own_server.gets()
    summary = library.refresh()
    assert (summary.seen, summary.failures) == (100, ())
    assert len(own_server.gets()) == 80, "what was done is kept"
    assert library.store.content_digest() == fresh_digest(library)


def test_a_few_network_errors_end_no_run(hasty: None, library: BucketLibrary) -> None:
    library.put_many(20)
    broken = {f"photos/{number:03}.jpg" for number in range(0, 20, 2)}
    library.bucket.server.fault = lambda asked: (
        Answer("500 Internal Server Error", "InternalError") if asked.key in broken else None
    )
    summary = library.index_at()
    assert (summary.seen, summary.failed) == (20, 10)
    assert summary.failed_by_reason == {"io-error": 10}


def test_named_addresses_that_are_wrong(hasty: None, library: BucketLibrary) -> None:
    library.put("a.jpg")
    with pytest.raises(UsageError, match="nothing lies there; check the address"):
        library.index_at(library.bucket / "typo")
    with pytest.raises(UsageError, match="nothing lies there"):
        library.index_at("s3://no-such-bucket/photos")
    library.bucket.server.fault = denied
    with pytest.raises(FacesearchError, match="AccessDenied") as caught:
        library.index_at()
    assert "your credentials" in str(caught.value)
    assert not library.path.exists()


def test_a_bucket_without_photos(library: BucketLibrary) -> None:
    library.put("a.txt")
    with pytest.raises(FacesearchError, match=r"no photos here \(not read: 1 .txt\)"):
        library.index_at()


def test_parts_and_single_objects(library: BucketLibrary) -> None:
    library.put_many(3, "2019/")
    library.put_many(3, "2020/")
    assert library.index_at(f"{library.root}/2019/001.jpg").new == 1
    assert library.index_at(f"{library.root}/2019").seen == 3
    assert library.index_at().seen == 6
    assert [root.path for root in library.store.roots] == [library.root], "one root is left"
    library.put("2019/late.jpg")
    library.put("2020/late.jpg")
    assert library.index_at(f"{library.root}/2019/").new == 1
    assert library.refresh().new == 1
    assert library.problems() == []
    assert library.store.content_digest() == fresh_digest(library)


def test_under_and_places(library: BucketLibrary) -> None:
    library.put_many(3, "2019/")
    library.put_many(2, "2020/")
    library.index_at()
    places = Places(library.store)

    def count(folder: str) -> int:
        below = places.below([folder])
        assert below is not None
        return int(below.sum())

    root, bucket = library.root, library.bucket
    assert count(f"{root}/2019") == count(f"{root}/2019/") == count("2019") == count("./2019/") == 3
    assert count(root) == count(bucket / "") == 5
    assert count(f"{root}/2020/000.jpg") == 1
    for none in (f"{root}/2018", f"{root}/20", "s3://other/photos", "/photos", ".", "../2019"):
        with pytest.raises(UsageError, match="the store has no photos there"):
            places.below([none])
    contents = range(len(library.store.contents))
    paths = {places.of_content(content)[0].path for content in contents}
    assert paths == {f"{root}/{key}" for key in library.names()}


def test_a_query_asks_nobody_whether_the_bucket_is_there(library: BucketLibrary) -> None:
    library.put_many(3)
    library.index_at()
    library.bucket.server.asked.clear()
    assert coverage_of(library.store).roots_away == 0
    Places(library.store).below([library.root])
    assert library.bucket.server.asked == []
    library.bucket.server.fault = denied
    assert [root.there for root in roots_of(library.store, ask=True)] == [False]


def test_roots_move_and_drop(library: BucketLibrary) -> None:
    library.put_many(5)
    library.index_at()
    before = library.store.content_digest()
    old, new = as_location(library.root), as_location(library.bucket / "moved")
    with pytest.raises(UsageError, match="no such folder; check the address"):
        move_root(library.path, old, new)
    for key in library.bucket.keys():  # noqa: SIM118 - no dictionary
        content = library.bucket._backend.get_object(library.bucket.name, key).value
        library.bucket.put(key.replace("photos/", "moved/"), content)
    assert move_root(library.path, old, new) == 5
    assert [root.path for root in library.store.roots] == [str(new)]
    assert library.store.content_digest() == before
    with pytest.raises(UsageError, match="is no root"):
        drop_root(library.path, old)
    library.bucket.server.fault = denied
    assert drop_root(library.path, new) == 5, "a bucket that is away can be forgotten"


def test_from_a_folder_to_a_bucket_and_back(library: BucketLibrary) -> None:
    library.add_many(5)
    library.index()
    library.bucket.upload(library.photos, "photos/")
    assert move_root(library.path, library.photos, as_location(library.root)) == 5
    library.embedded()
    summary = library.refresh()
    assert (summary.unchanged, summary.changed) == (5, 0)
    assert library.embedded() == [], "read again to be compared, for the times differ; not more"
    move_root(library.path, as_location(library.root), library.photos)
    assert library.refresh().seen == 5


def test_the_same_photos_in_a_folder_and_in_a_bucket_give_the_same_store(
    library: BucketLibrary,
) -> None:
    library.add_many(20, "a/")
    library.add("ü ü/é.jpg")
    library.add("copy.jpg", "a/003.jpg xxx")
    library.add("broken.jpg", "broken")
    library.bucket.upload(library.photos, "photos/")
    library.index_at()
    digest = library.store.content_digest()
    assert digest == library.digest_of_a_fresh_store(library.photos)
    assert digest == library.digest_of_a_fresh_store(as_location(library.photos.as_uri()))


def test_file_addresses_are_folders(library: BucketLibrary) -> None:
    library.add_many(3)
    library.index_at(f"file://{library.photos}")
    assert [root.path for root in library.store.roots] == [str(library.photos)]
    assert library.index(library.photos).unchanged == 3


def test_a_store_that_moves_takes_its_addresses_along(library: BucketLibrary) -> None:
    library.put_many(3)
    library.index_at()
    other = library.home / "other"
    other.mkdir()
    shutil.move(library.path, other / "faces.npz")
    (root,) = Store.open(other / "faces.npz").roots
    assert str(root.resolve(other)) == library.root


def test_dry_run(library: BucketLibrary) -> None:
    library.put_many(30)
    prediction = library.predict_at()
    assert (prediction.photos, prediction.to_read, prediction.sampled) == (30, 30, 30)
    assert not library.path.exists()


def test_verify_content_hashes_and_embeds_nothing(library: BucketLibrary) -> None:
    library.put_many(5)
    library.index_at()
    library.embedded()
    library.bucket.server.gets()
    assert library.refresh(verify_content=True).unchanged == 5
    assert library.embedded() == []
    assert len(library.bucket.server.gets()) == 5


def test_check_deep_names_what_changed(library: BucketLibrary) -> None:
    library.put_many(4)
    library.index_at()
    library.put("000.jpg", "something else")
    library.bucket.delete("photos/001.jpg")
    library.bucket.server.fault = lambda asked: DENIED if "002" in asked.key else None
    root = library.root
    assert library.problems() == [
        f"{root}/000.jpg: changed since it was indexed",
        f"{root}/001.jpg: missing",
        f"{root}/002.jpg: cannot be read (AccessDenied: told to)",
    ]
    library.bucket.server.fault = denied
    assert library.problems() == [f"{root}: root away, 4 photos not checked"]


def test_odd_keys_are_indexed_and_read_again(library: BucketLibrary) -> None:
    names = ["a//b.jpg", "c d.jpg", "esc\x1b[31m.jpg", "q?x=1&y=2#z.jpg", "*.jpg", "a\\b.jpg"]
    names += ["e\u0301.jpg", "\u00e9.jpg", "\U0001f600.jpg", "a.jpg", "a.jpg/b.jpg", "-k.jpg"]
    for name in names:
        library.put(name)
    summary = library.index_at()
    assert (summary.new, summary.failures) == (len(names), ())
    assert library.names() == sorted(names)
    assert library.problems() == []
    assert library.refresh().unchanged == len(names)
    assert all("\x1b" not in printable(f"{library.root}/{name}") for name in names)


def test_workers_of_their_own_read_objects(tmp_path: Path, bucket: Bucket) -> None:
    library = BucketLibrary(tmp_path / "home", bucket, processes=True)
    library.put_many(24)
    library.put("x.jpg", "deadly")
    summary = library.index_at()
    assert summary.seen == 25
    assert [(failure.path, failure.reason) for failure in summary.failures] == [
        (f"{library.root}/x.jpg", "worker-died")
    ]


def test_without_the_extra(library: BucketLibrary, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "facesearch.buckets.s3", None)
    buckets._connected.cache_clear()
    with pytest.raises(FacesearchError, match=r"run: pip install s3fs$"):
        library.index_at()


def fresh_digest(library: BucketLibrary) -> str:
    return library.digest_of_a_fresh_store(as_location(library.root))

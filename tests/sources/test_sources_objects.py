"""What a listing of a bucket finds, in which order, and what reading it asks for and tells."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading

import pytest

from facesearch import buckets
from facesearch.errors import PhotoError
from facesearch.locations import as_location
from facesearch.photos import hash_file, read_bytes, read_header
from facesearch.records import Failure
from facesearch.sources import ObjectSource, is_folder, is_gone, open_source, root_state
from object_storage import DENIED, SLOW_DOWN, Answer, Asked, Bucket, S3Server
from odd_photos import encoded, lopsided_picture


def source(address: str, exclude: tuple[str, ...] = (), under: str = "") -> ObjectSource:
    found = open_source(as_location(address), exclude, under)
    assert isinstance(found, ObjectSource)
    return found


def keys(address: str, exclude: tuple[str, ...] = (), under: str = "") -> list[str]:
    return [entry.key for entry in source(address, exclude, under).entries()]


def put_all(bucket: Bucket, *names: str) -> None:
    for name in names:
        bucket.put(name, b"x")


def test_order_is_that_of_the_keys_bytes(bucket: Bucket) -> None:
    names = [
        "b.jpg",
        "a/x.jpg",
        "a.jpg",
        "a-b.jpg",
        "a/y/z.jpg",
        "a b/x.jpg",
        "Z.jpg",
        "é.jpg",
        "a0",
    ]
    names += ["\u20ac.jpg", "\U0001f600.jpg", "\uffee.jpg", "plus+&%20#?.jpg"]
    put_all(bucket, *names)
    assert keys(bucket / "") == sorted(names, key=os.fsencode)


def test_keys_are_relative_and_other_prefixes_are_left_alone(bucket: Bucket) -> None:
    put_all(bucket, "photos/a.jpg", "photos/a/b.jpg", "photos-2/c.jpg", "photos.jpg", "photo")
    for address in (bucket / "photos", bucket / "photos/", bucket / "photos//"):
        assert keys(address) == ["a.jpg", "a/b.jpg"]
    assert keys(bucket / "photos", under="a") == ["a/b.jpg"]
    assert keys(bucket / "photos", under="a.jpg") == ["a.jpg"]
    assert keys(bucket / "photos.jpg") == [""]
    assert keys(bucket / "photos", under="none") == []


def test_what_folders_cannot_hold(bucket: Bucket) -> None:
    """Empty and dotted parts, markers of folders, a file where a folder is too."""
    put_all(bucket, "p/a//b.jpg", "p//c.jpg", "p/../d.jpg", "p/./e.jpg", "p/f/../g.jpg")
    put_all(bucket, "p/folder/", "p/", "p/h.jpg", "p/h.jpg/i.jpg")
    found = source(bucket / "p")
    assert [entry.key for entry in found.entries()] == ["a//b.jpg", "h.jpg", "h.jpg/i.jpg"]
    assert found.not_read == {'name beginning with "/"': 1}
    assert read_bytes(bucket / "p/a//b.jpg").data == b"x"
    assert keys(bucket / "p//") == keys(bucket / "p")
    assert keys(bucket / "p/h.jpg") == ["i.jpg"]


@pytest.mark.parametrize("pattern", ["raw", "raw/", "*.gif", "2019/raw", "2019/*", "r?w*", "/raw"])
def test_exclude_counts_as_in_a_folder(bucket: Bucket, tmp_path, pattern: str) -> None:
    names = ["2019/raw/a.jpg", "2019/raw2/a.jpg", "2019/x.gif", "raw/b.jpg", "raw.jpg", ".h/a.jpg"]
    names += ["@eaDir/a.jpg", "faces.npz.parts/a.jpg", "x/.b.jpg"]
    put_all(bucket, *names)
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    expected = [entry.key for entry in open_source(tmp_path, (pattern,)).entries()]
    assert keys(bucket / "", (pattern,)) == expected
    found, folder = source(bucket / "", (pattern,)), open_source(tmp_path, (pattern,))
    assert [found.covers(name) for name in names] == [folder.covers(name) for name in names]


def test_ten_thousand_objects_come_page_by_page(bucket: Bucket) -> None:
    names = sorted(f"photos/{number % 7}/{number:05}.jpg" for number in range(10_000))
    for name in names:
        bucket.put(name, b"")
    bucket.server.asked.clear()
    entries = source(bucket / "photos").entries()
    assert next(entries).key == names[0].removeprefix("photos/")
    assert len(bucket.server.asked) == 1, "the first photo comes with the first page"
    for number, _ in enumerate(entries, start=2):
        assert len(bucket.server.asked) == -(-number // 1000)
    assert number == 10_000


def test_the_version_changes_with_content_even_within_a_second(bucket: Bucket) -> None:
    def version() -> int:
        (entry,) = source(bucket / "a.jpg").entries()
        return entry.mtime_ns

    bucket.put("a.jpg", b"one")
    first = version()
    assert version() == first
    bucket.put("a.jpg", b"two")
    second = version()
    assert second != first
    listed = next(iter(source(bucket / "").entries()))
    assert listed.mtime_ns == second, "the same, however it was listed"


def test_probe_reads_as_little_as_it_can(bucket: Bucket) -> None:
    photo = encoded(lopsided_picture((300, 200)), "PNG")
    contents = {
        "a.jpg": b"no photo, but its name says so",
        "b": photo,
        "c.dat": photo,
        "d": b"text",
        "e": b"",
        "f.MOV": photo,
        "g.nef": photo,
        "h.what ever": b"x",
    }
    for name, content in contents.items():
        bucket.put(name, content)
    found = source(bucket / "")
    entries = list(found.entries())
    bucket.server.asked.clear()
    probes = {entry.key: found.probe(entry) for entry in entries}
    photos = {"a.jpg", "b", "c.dat"}
    assert probes == {name: "photo" if name in photos else "not-read" for name in contents}
    assert {asked.key: asked.range for asked in bucket.server.asked} == dict.fromkeys(
        ["b", "c.dat", "d", "h.what ever"], "bytes=0-127"
    )
    assert found.not_read == {"no extension": 2, ".mov": 1, ".nef": 1, "other": 1}


def test_reading(bucket: Bucket, tmp_path) -> None:
    content = os.urandom(300_000)
    address = bucket.put("ä b/c+d%20?.jpg", content)
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    bucket.server.asked.clear()
    file = read_bytes(address)
    assert (file.name, file.data, file.content_hash) == (address, content, hash_file(path))
    assert len(bucket.server.asked) == 1, "one request for size, content and hash"
    assert hash_file(address) == hash_file(path)
    assert read_header(address) == content[:128]
    assert read_bytes(path.as_uri()).data == content, "file:// is the file itself"
    with pytest.raises(PhotoError, match="empty") as caught:
        read_bytes(bucket.put("empty.jpg", b""))
    assert caught.value.reason == "empty"
    assert read_header(bucket / "empty.jpg") == b""


def test_hashing_goes_in_pieces(bucket: Bucket, tmp_path, monkeypatch) -> None:
    content = os.urandom(10_000)
    (tmp_path / "a").write_bytes(content)
    address = bucket.put("a.jpg", content)
    for piece in (1, 999, 5_000, 10_000, 20_000):
        monkeypatch.setattr(buckets, "_PIECE", max(piece, 500))
        assert hash_file(address) == hash_file(tmp_path / "a")


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        (DENIED, "unreadable", "your credentials, which come from the environment"),
        (Answer("403 Forbidden", "InvalidAccessKeyId"), "unreadable", "InvalidAccessKeyId"),
        (Answer("403 Forbidden", "InvalidObjectState"), "unreadable", "InvalidObjectState"),
        (Answer("404 Not Found", "NoSuchKey"), "vanished", "run again if it is back"),
        (Answer("500 Internal Server Error", "InternalError"), "io-error", "check the network"),
        (SLOW_DOWN, "io-error", "SlowDown"),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_errors_of_the_service_are_those_of_a_disk(
    hasty: None, bucket: Bucket, fault: Answer, reason: str, words: str
) -> None:
    address = bucket.put("a\nb.jpg", b"x")
    bucket.server.fault = lambda asked: fault
    for read in (read_bytes, read_header, hash_file):
        bucket.server.asked.clear()
        with pytest.raises(PhotoError) as caught:
            read(address)
        assert caught.value.reason == reason
        message = str(caught.value)
        assert message.startswith(address.replace("\n", "\\n") + ": ")
        assert words in message
        assert "\n" not in message
        assert len(bucket.server.asked) == 1, "as often as it should"


def test_a_busy_service_gets_its_rest(bucket: Bucket) -> None:
    address = bucket.put("a.jpg", b"content")
    refusals = iter([SLOW_DOWN, SLOW_DOWN])
    bucket.server.fault = lambda asked: next(refusals, None)
    assert read_bytes(address).data == b"content"
    refusals = iter([SLOW_DOWN, SLOW_DOWN])
    assert keys(bucket / "") == ["a.jpg"]
    refusals = iter([SLOW_DOWN] * 99)
    bucket.server.asked.clear()
    with pytest.raises(PhotoError):
        read_bytes(address)
    assert len(bucket.server.asked) == buckets.ATTEMPTS


def test_a_service_that_does_not_answer(hasty: None, bucket: Bucket, monkeypatch) -> None:
    address = bucket.put("a.jpg", b"content")
    monkeypatch.setattr(buckets, "READ_SECONDS", 0.5)
    wake = threading.Event()
    bucket.server.fault = lambda asked: SLOW_DOWN if wake.wait(30) else None
    with pytest.raises(PhotoError, match=r"(?i)timeout") as caught:
        read_bytes(address)
    wake.set()
    assert caught.value.reason == "io-error"


def test_a_body_that_ends_early_is_read_again(bucket: Bucket) -> None:
    address = bucket.put("a.jpg", b"content")
    cut = iter([Answer("200 OK", body=b"con", length=7)])
    bucket.server.fault = lambda asked: next(cut, None)
    assert read_bytes(address).data == b"content"
    bucket.server.fault = lambda asked: Answer("200 OK", body=b"con", length=7)
    with pytest.raises(PhotoError) as caught:
        read_bytes(address)
    assert caught.value.reason == "io-error", "never half a photo"


def test_a_listing_that_breaks_off_hides_the_rest(bucket: Bucket, monkeypatch) -> None:
    monkeypatch.setattr(buckets, "KEYS_A_PAGE", 2)
    put_all(bucket, *(f"p/{name}.jpg" for name in "abcdef"))

    def second_page(asked: Asked) -> Answer | None:
        return DENIED if "continuation-token" in asked.query else None

    bucket.server.fault = second_page
    found = source(bucket / "p")
    assert [entry.key for entry in found.entries()] == ["a.jpg", "b.jpg"]
    (failure,) = found.unreadable
    assert isinstance(failure, Failure)
    assert (failure.path, failure.reason) == (bucket / "p", "unreadable")
    assert found.hides("c.jpg")
    bucket.server.fault = lambda asked: None
    assert len(list(found.entries())) == 6
    assert (found.unreadable, found.hides("c.jpg")) == ([], False), "a new listing begins anew"


def test_root_states(bucket: Bucket) -> None:
    put_all(bucket, "a/x.jpg", "hidden/.DS_Store", "hidden/lost+found/x", "marked/")

    def state(key: str) -> str:
        return root_state(as_location(bucket / key))

    assert state("") == state("a") == state("a/x.jpg") == "there"
    assert state("gone") == state("hidden") == state("marked") == state("a/x.jpg/y") == "empty"
    assert root_state(as_location("s3://no-such-bucket/a")) == "missing"
    bucket.server.fault = lambda asked: DENIED
    assert state("a") == "unreadable"


def test_what_is_gone_and_what_is_a_folder(bucket: Bucket) -> None:
    put_all(bucket, "a/x.jpg")
    facts = {
        key: (is_gone(as_location(bucket / key)), is_folder(as_location(bucket / key)))
        for key in ("", "a", "a/x.jpg", "a/x", "b")
    }
    assert facts == {
        "": (False, True),
        "a": (False, True),
        "a/x.jpg": (False, False),
        "a/x": (True, False),
        "b": (True, False),
    }
    assert is_gone(as_location("s3://no-such-bucket/a"))
    bucket.server.fault = lambda asked: DENIED
    assert not is_gone(as_location(bucket / "b")), "a service that refuses says nothing"
    assert not is_folder(as_location(bucket / "a"))


def test_a_server_that_is_away(hasty: None, own_server: S3Server) -> None:
    bucket = Bucket(own_server)
    put_all(bucket, "a/x.jpg")
    root = as_location(bucket / "a")
    assert root_state(root) == "there"
    own_server.stop()
    assert root_state(root) == "unreadable"
    assert not is_gone(root)
    with pytest.raises(PhotoError) as caught:
        read_bytes(bucket / "a/x.jpg")
    assert caught.value.reason == "io-error"
    assert "Could not connect" in str(caught.value)


def test_an_endpoint_that_is_none(hasty: None, server: S3Server, monkeypatch) -> None:
    for endpoint in ("nonsense", "http://127.0.0.1:1"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        buckets._connected.cache_clear()
        assert root_state(as_location("s3://bucket/a")) == "unreadable"


def test_no_credentials(server: S3Server, monkeypatch) -> None:
    bucket = Bucket(server)
    address = bucket.put("a.jpg", b"x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    buckets._connected.cache_clear()
    with pytest.raises(PhotoError, match="credentials") as caught:
        read_bytes(address)
    assert caught.value.reason == "unreadable"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    buckets._connected.cache_clear()
    with pytest.raises(PhotoError, match="nobody") as caught:
        read_bytes(address)
    assert caught.value.reason == "unreadable"


def test_bytes_of_more_than_the_limit_are_not_read(bucket: Bucket, monkeypatch) -> None:
    monkeypatch.setattr("facesearch.photos.files.MAX_FILE_BYTES", 1000)
    assert len(read_bytes(bucket.put("a.jpg", bytes(1000))).data) == 1000
    bucket.server.asked.clear()
    with pytest.raises(PhotoError) as caught:
        read_bytes(bucket.put("b.jpg", bytes(5000)))
    assert caught.value.reason == "too-large"
    assert [asked.range for asked in bucket.server.asked] == ["bytes=0-1000"]


def test_an_object_tells_no_more_than_a_file(bucket: Bucket) -> None:
    """What a photo's failure says names the full address, once."""
    found = source(bucket / "")
    bucket.put("noname", b"x")
    (entry,) = found.entries()
    bucket.server.fault = lambda asked: DENIED
    probe = found.probe(entry)
    assert isinstance(probe, Failure)
    assert dataclasses.astuple(probe)[:2] == (bucket / "noname", "unreadable")
    assert probe.message.count(bucket / "noname") == 1


def test_public_buckets_need_no_signature(bucket: Bucket, monkeypatch) -> None:
    """As the documentation says: a setting of fsspec's own, read when a program starts."""
    bucket.server.fault = lambda asked: None if asked.signed else Answer("200 OK", body=b"public")
    monkeypatch.setenv("FSSPEC_S3_ANON", "true")
    program = (
        "import sys; from facesearch.photos import read_bytes as r; print(r(sys.argv[1]).data)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, bucket / "a.jpg"], capture_output=True, check=True
    )
    assert done.stdout == b"b'public'\n"


def test_a_local_run_imports_nothing_for_the_network() -> None:
    program = (
        "import sys, facesearch, facesearch.cli.index, facesearch.indexing, facesearch.querying\n"
        "print(sorted({'fsspec', 's3fs', 'aiohttp', 'botocore', 'gcsfs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"[]\n"

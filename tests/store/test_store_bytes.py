"""The bytes on the disk: one exact form, aligned, and no damage that goes unseen."""

import json
import os
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import FacesearchError, StoreError
from facesearch.store import Root, Store, archive, check_store, schema
from facesearch.store.archive import Archive, Member, write_archive
from facesearch.store.check import check_path
from facesearch.store.entered import change_entered


@pytest.fixture
def small(photos, tmp_path) -> Path:
    photos.build(tmp_path / "faces.npz", list("abcdefgh"))
    return tmp_path / "faces.npz"


def write(path: Path, members: list[Member]) -> str:
    with path.open("w+b") as file:
        return write_archive(file, members)


def meta(data: object) -> Member:
    array = np.frombuffer(json.dumps(data).encode(), np.uint8)
    return Member("meta", "|u1", array.shape, (array,))


def without_time(path: Path) -> bytes:
    stamp = Store.open(path).indexed_at.encode()
    raw = path.read_bytes()
    assert raw.count(stamp) == 1
    return raw.replace(stamp, b"*" * len(stamp))


def test_equal_content_equal_bytes(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("facesearch.store.writer._now", lambda: "2026-01-01T00:00:00Z")
    (tmp_path / "other").mkdir()
    keys = list("abcdefghij")
    photos.build(tmp_path / "faces.npz", keys, batch=3)
    photos.build(tmp_path / "other" / "faces.npz", keys[::-1], batch=7)
    first = (tmp_path / "faces.npz").read_bytes()
    assert first == (tmp_path / "other" / "faces.npz").read_bytes()
    with photos.open(tmp_path / "faces.npz") as writer:
        writer.finish()
    assert first == (tmp_path / "faces.npz").read_bytes()


def test_a_huge_description_is_neither_parsed_nor_written(small, photos, monkeypatch):
    huge = np.full((64 << 20) + 1, ord(" "), np.uint8)
    whole = Member("meta", "|u1", huge.shape, (huge,))
    head = Store.open(small).head
    write(small, [whole])
    monkeypatch.setattr("facesearch.store.heads.decode", lambda raw, path: pytest.fail("parsed"))
    with pytest.raises(StoreError, match=r"faces\.npz: .*its description takes 64 MiB") as told:
        Store.open(small)
    assert "\n" not in str(told.value)
    monkeypatch.undo()
    photos.build(small.with_name("sound.npz"), ["a"])
    before = small.with_name("sound.npz").read_bytes()
    monkeypatch.setattr("facesearch.store.segments.MAX_META", len(head.encode()) + 100)
    labels = {"labels": {f"{number}.jpg": "Ann" for number in range(100)}}
    with pytest.raises(StoreError, match="nothing was changed"):
        change_entered(small.with_name("sound.npz"), lambda store: labels, False)
    assert small.with_name("sound.npz").read_bytes() == before
    assert sorted(path.name for path in small.parent.iterdir() if ".tmp" in path.name) == []


def test_members_are_stored_in_order_aligned_and_timeless(small):
    with zipfile.ZipFile(small) as file:
        assert file.testzip() is None
        members = file.infolist()
        assert [member.filename for member in members] == [
            f"{name}.npy" for name in ("meta", *schema.NAMES)
        ]
        raw = small.read_bytes()
        for member in members:
            assert member.compress_type == zipfile.ZIP_STORED
            assert member.date_time == (1980, 1, 1, 0, 0, 0)
            name, extra = struct.unpack_from("<HH", raw, member.header_offset + 26)
            start = member.header_offset + 30 + name + extra
            assert start % 64 == 0
            length = struct.unpack_from("<H", raw, start + 8)[0]
            assert (start + 10 + length) % 64 == 0


def test_the_comment_is_the_digest_of_all_before_it(small):
    import hashlib

    raw = small.read_bytes()
    comment = raw[-82:]
    assert comment == b"facesearch sha256:" + hashlib.sha256(raw[:-82]).hexdigest().encode()


def test_headers_read_as_numpy_writes_them():
    from io import BytesIO

    for dtype, shape in (("<f4", (3, 128)), ("|u1", (0,)), ("<i8", (10**12, 5, 2)), ("<u4", (7,))):
        file = BytesIO(archive.npy_header(dtype, shape))
        assert np.lib.format.read_magic(file) == (1, 0)
        assert np.lib.format.read_array_header_1_0(file) == (shape, False, np.dtype(dtype))
        assert file.read() == b""
        assert len(file.getvalue()) % 64 == 0


@pytest.mark.parametrize("limit", [1, 700, 2000])
def test_large_files_take_the_wide_form(photos, tmp_path, monkeypatch, limit):
    monkeypatch.setattr(archive, "ZIP64_LIMIT", limit)
    store = photos.build(tmp_path / "s.npz", list("abcdefgh"))
    assert check_store(store) == []
    with zipfile.ZipFile(tmp_path / "s.npz") as file:
        assert file.testzip() is None
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        assert np.array_equal(file["faces.embedding"], store.rows[0])
    raw = (tmp_path / "s.npz").read_bytes()
    broken = 0
    generator = random.Random(limit)
    for _ in range(150):
        place = generator.randrange(len(raw))
        (tmp_path / "s.npz").write_bytes(flipped(raw, place, generator.randrange(8)))
        broken += bool(check_path(tmp_path / "s.npz"))
    assert broken == 150


@pytest.mark.full
def test_more_than_four_gigabytes(tmp_path):
    rows = np.ones((1 << 18, 128), np.float32)
    rows[:, 0] = np.arange(1 << 18)
    big = Member("faces.embedding", "<f4", (34 << 18, 128), (rows for _ in range(34)))
    after = Member("faces.checksum", "<u4", (2,), (np.array([1, 2], np.uint32),))
    write(tmp_path / "big.npz", [meta({}), big, after])
    opened = Archive.open(tmp_path / "big.npz")
    assert opened.array("faces.embedding")[33 << 18 | 77, 0] == 77
    assert opened.verified("faces.checksum").tolist() == [1, 2]
    assert opened.sound("faces.embedding")
    assert opened.actual_digest() == opened.digest
    with np.load(tmp_path / "big.npz") as file:
        assert file["faces.checksum"].tolist() == [1, 2]


def flipped(raw: bytes, place: int, bit: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]


def test_every_flipped_header_byte_and_a_sample_of_the_rest_is_found(small):
    raw = small.read_bytes()
    with zipfile.ZipFile(small) as file:
        starts = [member.header_offset for member in file.infolist()]
        directory = file.start_dir
    generator = random.Random(4)
    places = {start + step for start in starts for step in range(0, 300, 7)}
    places |= set(range(directory, len(raw), 5)) | set(range(len(raw) - 110, len(raw)))
    places |= {generator.randrange(len(raw)) for _ in range(400)}
    missed = []
    for place in sorted(place for place in places if place < len(raw)):
        small.write_bytes(flipped(raw, place, generator.randrange(8)))
        if not check_path(small):
            missed.append(place)
    assert missed == []


def test_a_flipped_byte_gives_an_error_or_the_right_answer(small):
    raw = small.read_bytes()

    def answer() -> bytes:
        store = Store.open(small)
        return store.content_digest().encode() + repr(list(store.files.paths())).encode()

    right = answer()
    generator = random.Random(9)
    errors = 0
    for _ in range(300):
        small.write_bytes(flipped(raw, generator.randrange(len(raw)), generator.randrange(8)))
        try:
            assert answer() == right
        except StoreError:
            errors += 1
    assert errors > 100


def test_a_store_cut_short_is_an_error_at_any_length(small):
    raw = small.read_bytes()
    lengths = {*range(0, 300), *range(len(raw) - 300, len(raw)), *range(300, len(raw), 61)}
    for length in sorted(lengths):
        small.write_bytes(raw[:length])
        with pytest.raises(StoreError, match=r"faces\.npz"):
            Store.open(small)
    small.write_bytes(raw + b"\0")
    with pytest.raises(StoreError):
        Store.open(small)


def test_a_tail_of_zeros_is_an_error(small):
    raw = small.read_bytes()
    for kept in (100, len(raw) // 2, len(raw) - 10):
        small.write_bytes(raw[:kept] + bytes(len(raw) - kept))
        assert check_path(small)


def other_files(folder: Path) -> dict[str, Path]:
    (folder / "text").write_text("hello")
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    np.savez(folder / "numpy.npz", a=np.arange(3))
    np.savez(folder / "meta.npz", meta=np.frombuffer(b'{"format": "x", "version": 1}', np.uint8))
    np.save(folder / "array.npy", np.arange(3))
    with zipfile.ZipFile(folder / "zip.npz", "w") as file:
        file.writestr("a.txt", "a")
    write(folder / "ours.npz", [meta({"format": "other", "version": 1})])
    write(folder / "list.npz", [meta([1, 2])])
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    return {path.name: path for path in folder.iterdir()}


def test_other_files_are_no_stores(tmp_path):
    for name, path in other_files(tmp_path).items():
        with pytest.raises(StoreError, match=f"{name}: .*; ") as caught:
            Store.open(path)
        assert "\n" not in str(caught.value)


def test_a_newer_version_is_refused_with_a_hint(small, tmp_path):
    newer = {"format": "facesearch-store", "version": 2, "whatever": {}}
    write(tmp_path / "new.npz", [meta(newer)])
    hint = r"new\.npz: made by a newer facesearch \(format 2\); update facesearch"
    with pytest.raises(StoreError, match=hint):
        Store.open(tmp_path / "new.npz")
    # A later version may end otherwise.
    with (tmp_path / "new.npz").open("ab") as file:
        file.write(b"another ending")
    with pytest.raises(StoreError, match=hint):
        Store.open(tmp_path / "new.npz")


def head_of(path: Path) -> dict:
    return json.loads(Archive.open(path).array("meta").tobytes())


def same(opened: Archive, name: str) -> Member:
    return Member(name, opened.dtype(name), opened.shape(name), (opened.array(name),))


def replaced(source: Path, target: Path, name: str, array: np.ndarray) -> Path:
    """The same store with another array, all checksums right."""
    opened = Archive.open(source)
    new = Member(name, array.dtype.str, array.shape, (array,))
    write(target, [new if other == name else same(opened, other) for other in opened.names])
    return target


def redescribed(source: Path, target: Path, change) -> Path:
    """The same store with another description, all checksums right."""
    data = head_of(source)
    change(data)
    raw = np.frombuffer(json.dumps(data).encode(), np.uint8)
    return replaced(source, target, "meta", raw)


def set_segment(**values):
    return lambda data: data["segments"][0].update(values)


HOSTILE_HEADS = [
    lambda data: data.pop("recipe"),
    lambda data: data.update(recipe={"name": "x"}),
    lambda data: data["recipe"]["extractor"].update(dim="many"),
    lambda data: data["recipe"]["extractor"].update(dim=1 << 40),
    lambda data: data["recipe"].update(extractor=[]),
    lambda data: data.update(roots=5),
    lambda data: data.update(roots=[{"path": 1, "relative": "a", "id": 0}]),
    lambda data: data.update(roots=[{"path": "a", "relative": "a", "id": 1 << 40}]),
    lambda data: data.update(roots=data["roots"] * 2),
    lambda data: data.update(segments={}),
    lambda data: data.update(segments=[]),
    lambda data: data.update(segments=data["segments"] * 2),
    set_segment(name="../../../../etc/passwd"),
    set_segment(name="/etc/passwd.npz"),
    set_segment(name="abc.npz", sha256="0" * 64),
    set_segment(name="abc.npz\n", sha256="0" * 64),
    set_segment(faces=1 << 39),
    set_segment(files=-1),
    set_segment(contents=True),
    lambda data: data.update(progress={"done": 1}),
    lambda data: data.update(progress=[]),
    lambda data: data.update(options=5),
    lambda data: data.update(version=0),
    lambda data: data.update(version="2"),
    lambda data: data.update(version=True),
]


@pytest.mark.parametrize("change", HOSTILE_HEADS)
def test_a_senseless_description_is_an_error(small, tmp_path, change):
    path = redescribed(small, tmp_path / "bad.npz", change)
    with pytest.raises(StoreError, match=r"bad\.npz"):
        Store.open(path)


def test_a_deeply_nested_description_is_an_error(tmp_path):
    raw = np.frombuffer(b'{"format":' + b"[" * 200_000, np.uint8)
    write(tmp_path / "deep.npz", [Member("meta", "|u1", raw.shape, (raw,))])
    with pytest.raises(StoreError):
        Store.open(tmp_path / "deep.npz")


def test_a_description_in_another_form_is_read_and_told(small, tmp_path):
    path = redescribed(small, tmp_path / "copy.npz", lambda data: None)
    # ``json.dumps`` puts spaces in, the one thing that is not as facesearch writes it.
    assert Store.open(path).content_digest() == Store.open(small).content_digest()
    assert check_path(path) == [f"{path}: its description is not in the exact form"]


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("files.content", 0, 99),
        ("files.content", 0, -2),
        ("files.path_offsets", 1, 99),
        ("files.path_offsets", 0, 1),
        ("files.path_offsets", -1, 7),
        ("files.path_offsets", 1, -(1 << 62)),
        ("contents.face_offsets", 1, 1 << 40),
        ("contents.camera_offsets", 2, 0),
        ("files.path_blob", 0, ord("z")),
        ("files.path_blob", 0, ord("/")),
        ("files.path_blob", 0, 0),
        ("files.size", 0, -1),
        ("contents.camera_blob", 2, 0xFF),
        ("contents.width", 0, -1),
        ("contents.hash", 0, 0),
        ("faces.box", (0, 0), np.nan),
        ("faces.landmarks", (0, 0, 0), np.inf),
        ("faces.embedding", (0, 0), 7.0),
        ("faces.embedding", (0, 0), np.nan),
        ("faces.checksum", 0, 5),
    ],
)
def test_check_finds_what_a_stranger_put_in(small, tmp_path, name, place, value):
    array = Archive.open(small).array(name).copy()
    array[place] = value
    path = replaced(small, tmp_path / "copy.npz", name, array)
    assert check_path(path), name
    try:
        store = Store.open(path)
        store.content_digest()
        list(store.files.paths())
    except FacesearchError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("path", [b"../../x", b"aa/../b", b"/etc/ab", b"abc\0def", b"aaaaa/.."])
def test_paths_never_lead_outside(photos, tmp_path, path):
    photos.build(tmp_path / "s.npz", ["seven.."])
    with (
        pytest.raises(ValueError, match="no path below a root"),
        photos.open(tmp_path / "s.npz") as writer,
    ):
        photos.fill(writer, [os.fsdecode(path)])
    assert check_store(Store.open(tmp_path / "s.npz")) == []
    raw = np.frombuffer(path, np.uint8)
    replaced(tmp_path / "s.npz", tmp_path / "bad.npz", "files.path_blob", raw)
    with pytest.raises(StoreError, match="outside"):
        len(Store.open(tmp_path / "bad.npz").files)


@pytest.mark.parametrize(("name", "dtype"), [("files.size", "<f4"), ("faces.score", "<i4")])
def test_arrays_of_another_kind_are_refused(small, tmp_path, name, dtype):
    array = Archive.open(small).array(name).astype(dtype)
    path = replaced(small, tmp_path / "other.npz", name, array)
    with pytest.raises(StoreError, match=f"{name} has the wrong type"):
        Store.open(path)


def test_missing_arrays_are_an_error(small, tmp_path):
    opened = Archive.open(small)
    members = [same(opened, name) for name in opened.names[:-1]]
    write(tmp_path / "less.npz", members)
    with pytest.raises(StoreError, match="arrays are not those"):
        Store.open(tmp_path / "less.npz")


def test_pickles_are_never_read(small, tmp_path):
    np.savez(tmp_path / "pickle.npz", meta=np.array([{"a": 1}], dtype=object))
    with pytest.raises(StoreError):
        Store.open(tmp_path / "pickle.npz")


def test_a_damaged_block_is_found_when_one_of_its_rows_is_asked_for(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "BLOCK_ROWS", 4)
    path = tmp_path / "s.npz"
    store = photos.build(path, list("abcdefgh"))
    count = len(store.faces)
    assert count > 8
    good = store.embeddings(range(count))
    offset = path.read_bytes().index(good[5].tobytes())
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x01")
    store = Store.open(path)
    assert np.array_equal(store.embeddings([0, 3, 8]), good[[0, 3, 8]])
    with pytest.raises(StoreError, match=r"embeddings 4 to 7 .*facesearch repair"):
        store.embeddings([8, 4])
    assert any("embeddings" in problem or "digest" in problem for problem in check_store(store))
    with photos.open(path) as writer, pytest.raises(StoreError, match="embeddings 4 to 7"):
        writer.finish()


def test_deep_check_compares_the_photos(photos, tmp_path):
    import dataclasses
    import hashlib

    folder = tmp_path / "photos"
    folder.mkdir()
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root.at(folder, tmp_path), Root("/away/from/here", "away")])
        for name in ("same", "changed", "missing", "pipe", "nofile"):
            (folder / name).write_text(name)
            result = photos.result(name, faces=1)
            digest = hashlib.sha256(name.encode()).digest()
            assert result.content_hash == digest
            writer.put((0, photos.entry(name)), result)
        unread = photos.result("unread", reason="unreadable")
        writer.put((0, photos.entry("unread")), dataclasses.replace(unread))
        photos.fill(writer, ["x", "y"], root=1)
        writer.finish()
    (folder / "changed").write_text("otherwise")
    (folder / "missing").unlink()
    (folder / "pipe").unlink()
    os.mkfifo(folder / "pipe")
    (folder / "nofile").unlink()
    (folder / "nofile").mkdir()
    store = Store.open(tmp_path / "s.npz")
    assert check_store(store) == []
    assert check_store(store, deep=True) == [
        f"{folder}/changed: changed since it was indexed",
        f"{folder}/missing: missing",
        f"{folder}/nofile: cannot be read (Is a directory)",
        f"{folder}/pipe: no longer a file",
        "/away/from/here: root away, 2 photos not checked",
    ]
    folder.rename(tmp_path / "moved")
    elsewhere = check_store(store, deep=True, resolve=lambda root: tmp_path / "moved")
    assert f"{tmp_path}/moved/changed: changed since it was indexed" in elsewhere


RUN = {"done": 1, "total": 2, "pid": 3, "host": ""}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(version=10**4000),
        lambda data: data["options"].update(x=float("nan")),
        lambda data: data.update(progress={**RUN, "born": 10**400}),
        lambda data: data["roots"][0].update(path="/a\0b"),
        lambda data: data["roots"][0].update(relative="a\0b"),
        lambda data: data["roots"][0].update(path="/\ud800"),
        lambda data: data["roots"][0].update(path="ftp://host/x"),
        lambda data: data["roots"][0].update(id=10**4000),
        lambda data: data["recipe"].update(name=["facenet"]),
        lambda data: data["recipe"]["detector"].update(min_face="20"),
        lambda data: data["recipe"]["detector"].update(min_face=0),
        lambda data: data["recipe"]["detector"].update(scale_factor=1.0),
        lambda data: data["recipe"]["detector"].update(thresholds=[0.5]),
        lambda data: data["recipe"]["extractor"].update(input_size=10**9),
        lambda data: data["recipe"]["extractor"].update(unit="no"),
        lambda data: data["recipe"]["crop"].update(**{"a\nb" * 1000: 1}),
        lambda data: data["recipe"].update(further_crops=[data["recipe"]["crop"]] * 1000),
    ],
)
def test_a_stranger_s_description_is_refused_in_one_short_line(small, tmp_path, change):
    path = redescribed(small, tmp_path / "bad.npz", change)
    with pytest.raises(StoreError, match=r"bad\.npz") as caught:
        Store.open(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


def test_an_array_without_bytes_claims_no_absurd_length(small, tmp_path):
    opened = Archive.open(small)
    for name in ("meta", "faces.embedding"):
        shape = (10**18, 0, 10**18)
        empty = Member(name, opened.dtype(name), shape, ())
        write(
            tmp_path / "bad.npz",
            [empty if other == name else same(opened, other) for other in opened.names],
        )
        with pytest.raises(StoreError, match="not as large as it says"):
            Store.open(tmp_path / "bad.npz")


def test_faces_forgotten_by_the_thousand_million_take_no_memory(small, tmp_path):
    digest = Store.open(small).contents.hash_of(0).hex()

    def change(data: dict) -> None:
        face = {"recipe": "x", "count": 10**12, "numbers": [1]}
        data["entered"] = {"forgotten": {"faces": {digest: face}}}

    path = redescribed(small, tmp_path / "bad.npz", change)
    store = Store.open(path)
    assert [store.faces.number(face) for face in range(2)] == [
        Store.open(small).faces.number(face) for face in range(2)
    ]


def test_check_finds_a_flipped_byte_in_the_commits_before(photos, tmp_path, monkeypatch):
    path = tmp_path / "s.npz"
    photos.build(path, list("abcd"))
    monkeypatch.setattr("facesearch.store.layout.NUMBERED_HEADS", True)
    monkeypatch.setattr("facesearch.store.layout.Layout.settle", lambda layout: None)
    with photos.open(path) as writer:
        photos.fill(writer, ["e"])
        writer.finish()
    assert check_path(path) == []
    generator = random.Random(3)
    files = [file for file in sorted(tmp_path.rglob("*.npz")) if file.is_file()]
    assert len(files) > 2
    for file in files:
        raw = file.read_bytes()
        file.unlink()  # its parts may be second names of it
        for _ in range(20):
            file.write_bytes(flipped(raw, generator.randrange(len(raw)), generator.randrange(8)))
            assert check_path(path), file
        file.write_bytes(raw)
    assert check_path(path) == []

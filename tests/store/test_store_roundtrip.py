"""What goes into a store comes out of it, through the tables and through plain numpy."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from facesearch.errors import RecipeMismatchError, StoreError, StoreMissingError
from facesearch.recipes import DetectorOptions, ExtractorOptions, Recipe
from facesearch.records import Box, Face, Failure, PhotoFacts, PhotoResult
from facesearch.store import Root, Store, StoreWriter, check_store


def test_everything_of_a_photo_comes_back(photos, tmp_path):
    path = tmp_path / "faces.npz"
    result = photos.result("a", faces=2)
    with photos.open(path) as writer:
        writer.set_roots([Root("/photos", "../photos")])
        writer.set_options({"exclude": ["*.tmp", "\udcff"], "max_pixels": 5})
        content = writer.put((0, photos.entry("x/a.jpg", "a")), result)
        assert content == 0
        writer.finish()
    store = Store.open(path)
    assert store.version == 1
    assert store.recipe == photos.recipe
    assert store.options == {"exclude": ["*.tmp", "\udcff"], "max_pixels": 5}
    assert store.roots == (Root("/photos", "../photos"),)
    assert store.progress is None
    assert store.indexed_at.endswith("Z")
    assert len(store.files) == len(store.contents) == 1
    assert list(store.files.paths()) == ["x/a.jpg"]
    assert store.files.size[0] == photos.entry("", "a").size
    assert store.files.mtime_ns[0] == photos.entry("", "a").mtime_ns
    assert store.contents.hash[0].tobytes() == result.content_hash
    assert store.contents.pixel_hash[0].tobytes() == result.facts.pixel_hash
    assert (store.contents.width[0], store.contents.height[0]) == (640, 480)
    assert store.contents.scale[0] == 0.5
    assert store.contents.frames[0] == 2
    assert store.contents.taken(0) == "2020-01-02T03:04:05"
    assert store.contents.camera(0) == "Zoë a"
    assert store.contents.format(0) == "JPEG"
    assert store.contents.failure(0) is None
    assert (store.contents.face_start(0), store.contents.face_stop(0)) == (0, 2)
    for face in range(2):
        box = result.faces[face].box
        assert store.faces.box[face].tolist() == [box.x, box.y, box.width, box.height]
        assert store.faces.landmarks[face].tolist() == [
            list(p) for p in result.faces[face].landmarks
        ]
        assert store.faces.score[face] == np.float32(result.faces[face].score)
        assert store.faces.sharpness[face] == np.float32(result.faces[face].sharpness)
        assert store.faces.number(face) == face + 1
    assert store.faces.content.tolist() == [0, 0]
    assert np.array_equal(store.embeddings([1, 0]), result.embeddings[::-1])
    assert np.array_equal(np.concatenate(store.rows), result.embeddings)
    assert store.row_offsets.tolist() == [0, 2]
    assert check_store(store) == []


def test_failures_are_kept_with_their_reason(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        broken = photos.result("b", reason="truncated")
        writer.put((0, photos.entry("b")), broken)
        writer.put((0, photos.entry("c")), photos.result("c", reason="unreadable"))
        assert writer.content_id(broken.content_hash) is None
        assert writer.content_id(bytes(32)) is None
        writer.finish()
        store = writer.store
        assert writer.content_id(broken.content_hash) is None
        assert writer.content_id(bytes(32)) is None
    assert store.contents.failed.tolist() == [True, True]
    assert store.contents.failure(0) == ("truncated", "b: went wrong – 😐")
    assert store.contents.failure(1)[0] == "unreadable"
    assert not store.contents.hash[1].any()
    assert check_store(store) == []


@pytest.mark.parametrize("reason", ["model-error", "too-large"])
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_a_failure_gives_way_to_the_same_photo_read_well(photos, tmp_path, reason, names):
    good = photos.result("a", faces=1)
    failed = PhotoResult(good.content_hash, None, (), good.embeddings[:0], failure(reason))
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        writer.put((0, photos.entry(names[0])), failed)
        assert writer.content_id(good.content_hash) is None
        writer.finish()
        assert writer.content_id(good.content_hash) is None
        writer.put((0, photos.entry(names[1])), good)
        writer.finish()
        store = writer.store
    assert len(store.contents) == 1
    assert store.files.content.tolist() == [0, 0]
    assert store.contents.failure(0) is None


def test_copies_that_fail_keep_a_message_each(photos, tmp_path):
    broken = photos.result("a", reason="truncated")
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        for name in "ab":
            failed = Failure(name, "truncated", f"{name}: ends early")
            writer.put((0, photos.entry(name)), dataclasses.replace(broken, failure=failed))
        writer.finish()
        store = writer.store
    assert [store.contents.failure(row)[1] for row in store.files.content] == [
        "a: ends early",
        "b: ends early",
    ]


def failure(reason: str) -> Failure:
    return Failure("a", reason, "a: no luck")


def test_names_that_are_not_utf8_survive(photos, tmp_path):
    names = ["caf\udce9.jpg", "line\nbreak", "tab\t\x1b[31m", "日本", "a", ""]
    root = Root("/bad\udcff/日本", "../bad\udcff")
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([root])
        photos.fill(writer, names[:5])
        writer.put((0, photos.entry("")), photos.result("lone file"))
        writer.finish()
    store = Store.open(tmp_path / "s.npz")
    assert sorted(store.files.paths()) == sorted(names)
    encoded = [store.files.path_bytes(row) for row in range(6)]
    assert encoded == sorted(encoded)
    assert store.roots == (root,)
    assert check_store(store) == []


def test_texts_that_are_not_unicode_are_escaped(photos, tmp_path):
    facts = PhotoFacts(b"h" * 32, b"p" * 16, 1, 1, 1.0, camera="A\udcffB", taken="", format="PNG")
    result = PhotoResult(b"h" * 32, facts, (), np.zeros((0, 8), np.float32))
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        writer.put((0, photos.entry("a")), result)
        writer.finish()
        assert writer.store.contents.camera(0) == "A\\udcffB"
        assert check_store(writer.store) == []


def test_a_box_without_landmarks(photos, tmp_path):
    face = Face(Box(1, 2, 3, 4), (), 1.0)
    row = np.eye(8, dtype=np.float32)[:1]
    facts = PhotoFacts(b"h" * 32, b"p" * 16, 1, 1, 1.0)
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        writer.put((0, photos.entry("a")), PhotoResult(b"h" * 32, facts, (face,), row))
        writer.finish()
        assert np.isnan(writer.store.faces.landmarks).all()
        assert check_store(writer.store) == []


def test_the_same_content_is_kept_once_with_every_path(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos"), Root("/more", "more")])
        first = writer.put((0, photos.entry("z")), photos.result("same", faces=1))
        assert writer.put((1, photos.entry("a")), photos.result("same", faces=1)) == first
        writer.commit((2, 3))
        assert writer.put((0, photos.entry("k")), photos.result("same", faces=1)) == first
        writer.link(0, photos.entry("m"), first)
        writer.finish()
        store = writer.store
    assert len(store.contents) == len(store.faces) == 1
    found = [
        (int(store.files.root[row]), store.files.path(row)) for row in store.files.of_content(0)
    ]
    assert found == [(0, "k"), (0, "m"), (0, "z"), (1, "a")]


def test_plain_numpy_reads_it(photos, tmp_path):
    store = photos.build(tmp_path / "faces.npz", ["a", "b", "c", "d"])
    with np.load(tmp_path / "faces.npz", allow_pickle=False) as archive:
        meta = json.loads(archive["meta"].tobytes())
        assert meta["format"] == "facesearch-store"
        assert meta["version"] == 1
        assert meta["recipe_digest"] == photos.recipe.recipe_digest
        assert meta["space_digest"] == photos.recipe.space_digest
        assert np.array_equal(archive["faces.embedding"], store.rows[0])
        offsets, blob = archive["files.path_offsets"], archive["files.path_blob"]
        names = [blob[offsets[i] : offsets[i + 1]].tobytes() for i in range(4)]
        assert names == [b"a", b"b", b"c", b"d"]


def test_an_empty_store_is_a_store(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        assert len(writer.store.files) == len(writer.store.faces) == 0
        writer.finish()
    store = Store.open(tmp_path / "s.npz")
    assert len(store.files) == len(store.contents) == len(store.faces) == 0
    assert store.embeddings([]).shape == (0, 8)
    assert check_store(store) == []
    assert list(store.files.paths()) == []


def test_removed_files_and_what_only_they_had_are_gone_after_finish(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, ["a", "b", "c"])
    with photos.open(path) as writer:
        writer.remove(0, "b")
        writer.commit(None)
        store = Store.open(path)
        assert list(store.files.paths()) == ["a", "c"]
        assert store.contents.live.tolist() == [True, False, True]
        assert len(store.contents) == 3
        writer.finish()
    store = Store.open(path)
    assert list(store.files.paths()) == ["a", "c"]
    assert len(store.contents) == 2
    assert store.contents.live.all()


def test_a_run_that_goes_on_says_so(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, ["a"])
        writer.commit((1, 7))
        progress = Store.open(tmp_path / "s.npz").progress
        assert (progress.done, progress.total, progress.running) == (1, 7, True)
        writer.finish()
        assert writer.store.progress is None


def test_a_run_whose_process_is_gone_is_interrupted(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        writer.commit((1, 7))
    for name, value in (("pid", 2**22 + 1), ("born", 5.0), ("host", "elsewhere")):
        mark = Store.open(tmp_path / "s.npz").head.run
        assert mark.progress().running
        assert not dataclasses.replace(mark, **{name: value}).progress().running


def test_another_recipe_is_refused_with_both_values(photos, tmp_path):
    photos.build(tmp_path / "s.npz", ["a"])
    other = Recipe(detector=DetectorOptions(min_face=40), extractor=ExtractorOptions(dim=8))
    with pytest.raises(RecipeMismatchError, match="min-face 20, not 40"):
        StoreWriter.open(tmp_path / "s.npz", other)
    # The lock was given back.
    photos.open(tmp_path / "s.npz").close()


def test_no_store(photos, tmp_path):
    with pytest.raises(StoreMissingError, match=r"no\.npz: no store there; .*facesearch index"):
        Store.open(tmp_path / "no.npz")
    with pytest.raises(StoreError, match="folder does not exist"):
        photos.open(tmp_path / "none" / "s.npz")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda photos: photos.embeddings[:1],
        lambda photos: photos.embeddings[:, :4],
        lambda photos: photos.embeddings * np.float32("nan"),
    ],
)
def test_results_that_do_not_fit_are_refused(photos, tmp_path, spoil: Callable):
    result = photos.result("a", faces=2)
    result = dataclasses.replace(result, embeddings=spoil(result))
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        with pytest.raises(ValueError, match="embedding"):
            writer.put((0, photos.entry("a")), result)
        with pytest.raises(ValueError, match="no root"):
            writer.put((1, photos.entry("a")), photos.result("a"))
        with pytest.raises(ValueError, match="no content"):
            writer.link(0, photos.entry("a"), 5)


def test_embeddings_of_unknown_faces_are_refused(photos, tmp_path):
    store = photos.build(tmp_path / "s.npz", ["a", "b"])
    with pytest.raises(IndexError):
        store.embeddings([len(store.faces)])
    with pytest.raises(IndexError):
        store.embeddings([-1])


def test_rows_are_mapped_and_read_only(photos, tmp_path):
    store = photos.build(tmp_path / "s.npz", list("abcdef"))
    rows = store.rows[0]
    assert not rows.flags.owndata
    assert not rows.flags.writeable
    assert rows.ctypes.data % 64 == 0


def test_roots_are_known_again(photos, tmp_path):
    path = tmp_path / "s.npz"
    with photos.open(path) as writer:
        writer.set_roots([Root("/a", "a"), Root("/b", "b")])
        photos.fill(writer, ["x"], root=0)
        photos.fill(writer, ["y"], root=1)
        writer.finish()
    with photos.open(path) as writer:
        writer.set_roots([Root("/a", "a"), Root("/moved", "moved")])
        writer.finish()
        assert [root.path for root in writer.store.roots] == ["/a", "/moved"]
        assert writer.store.files.root.tolist() == [0, 1]
        writer.set_roots([*writer.store.roots, Root("/c", "c")])
        photos.fill(writer, ["z"], root=2)
        writer.set_roots([root for root in writer.roots if root.path != "/a"])
        photos.fill(writer, ["late"], root=1)
        writer.finish()
        store = writer.store
    assert [root.path for root in store.roots] == ["/moved", "/c"]
    assert list(zip(store.files.root.tolist(), store.files.paths(), strict=True)) == [
        (0, "y"),
        (1, "late"),
        (1, "z"),
    ]


def test_roots_in_another_order_keep_their_files(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/a", "a"), Root("/b", "b")])
        photos.fill(writer, ["x"], root=0)
        photos.fill(writer, ["y"], root=1)
        writer.commit(None)
        writer.set_roots([Root("/b", "b"), Root("/a", "a")])
        writer.commit(None)
        store = Store.open(tmp_path / "s.npz")
        assert list(zip(store.files.root, store.files.paths(), strict=True)) == [(0, "y"), (1, "x")]
        writer.finish()
        assert check_store(writer.store) == []
        assert list(writer.store.files.paths()) == ["y", "x"]


def test_where_a_root_is(tmp_path):
    here, away = tmp_path / "here", tmp_path / "away"
    here.mkdir()
    root = Root.at(here, tmp_path)
    assert root == Root(str(here), "here")
    assert root.resolve(tmp_path) == here
    (tmp_path / "disk").mkdir()
    here.rename(tmp_path / "disk" / "here")
    assert root.resolve(tmp_path / "disk") == tmp_path / "disk" / "here"
    assert root.resolve(away) == here


def test_the_content_digest_is_about_content(photos, tmp_path):
    keys = list("abcdefgh")
    one = photos.build(tmp_path / "one.npz", keys)
    two = photos.build(tmp_path / "two.npz", keys[::-1], batch=1)
    assert one.content_digest() == two.content_digest()
    with photos.open(tmp_path / "three.npz") as writer:
        writer.set_roots([Root("/elsewhere", "e")])
        for key in keys:
            writer.put((0, photos.entry(key, "other size")), photos.result(key))
        writer.commit(None)
        assert writer.store.content_digest() == one.content_digest()
        writer.put((0, photos.entry("a", "x")), photos.result("changed"))
        writer.commit(None)
        assert writer.store.content_digest() != one.content_digest()


def test_a_link_to_the_store_is_followed(photos, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "s.npz").symlink_to(tmp_path / "disk" / "real.npz")
    photos.build(tmp_path / "s.npz", ["a"])
    photos.build(tmp_path / "s.npz", ["a", "b"])
    assert (tmp_path / "s.npz").is_symlink()
    assert len(Store.open(tmp_path / "disk" / "real.npz").files) == 2
    assert Store.open(tmp_path / "s.npz").folder == tmp_path / "disk"


def test_files_are_for_their_owner_alone(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, ["a"])
        writer.commit(None)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes.pop("s.npz.parts") == 0o700
    assert modes.pop("s.npz.lock.owner") & 0o022 == 0
    assert set(modes.values()) == {0o600}

"""What was forgotten is nowhere any more, and does not come back; nothing else changes."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import StoreBusyError, StoreError, UsageError
from facesearch.forgetting import ForgetOptions, Targets, allow, forget, traces_left
from facesearch.gallery import Search
from facesearch.gallery.npz import NpzGallery
from facesearch.labelling import label
from facesearch.merging import merge
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.records import Failure, PhotoEntry, PhotoResult
from facesearch.runtimes import RuntimeOptions
from facesearch.search import CODERS
from facesearch.splitting import split_evenly
from facesearch.store import Store, StoreWriter, check_store, rebuild_path
from facesearch.store.assembly import must_not_be
from facesearch.store.forgetting import rewrite
from facesearch.store.forgotten import FacesLeftOut, Forgotten
from facesearch.weights import evaluations_of
from forgetting_calls import forget_now, rows_with
from mapped_files import Windows
from photo_library import Library, paths_of


@pytest.fixture
def library(people_library: Library) -> Library:
    return people_library


def photo_with(store: Store, faces: int) -> int:
    """The row of a file whose photo has so many faces."""
    return rows_with(store, faces)[0]


def path_at(store: Store, row: int) -> str:
    return paths_of(store)[row]


def go(library: Library, *paths: object, **options):
    """Forgets without being asked."""
    return forget_now(library.path, *paths, **options)


def secrets_of(store: Store, row: int) -> list[bytes]:
    """What of a file must be nowhere: its path, times, hashes, boxes and embeddings."""
    content = int(store.files.content[row])
    ids = range(store.contents.face_start(content), store.contents.face_stop(content))
    return [
        os.fsencode(store.files.path(row)),
        store.contents.hash_of(content),
        store.contents.pixel_hash[content].tobytes(),
        int(store.files.mtime_ns[row]).to_bytes(8, "little"),
        *(store.faces.box[face].tobytes() for face in ids),
        *(store.embeddings([face]).tobytes() for face in ids),
    ]


def holding(library: Library, secret: bytes) -> list[str]:
    """The files beside the store, and in the cache, that have these bytes."""
    kept = [library.home, library.home.parent / "cache"]
    files = [path for place in kept for path in place.rglob("*") if path.is_file()]
    own = [path for path in files if library.photos not in path.parents and path.name != "log"]
    return [path.name for path in own if secret in path.read_bytes()]


def test_a_photo_leaves_no_byte_and_nothing_else_changes(library: Library) -> None:
    store = library.store
    row = photo_with(store, 2)
    gone, secrets = path_at(store, row), secrets_of(store, row)
    for secret in secrets:
        assert holding(library, secret) == ["faces.npz"]
    summary = go(library, gone)
    assert summary is not None
    assert (summary.files, summary.embeddings) == (1, 2)
    assert summary.photos[0].paths == (gone,)
    for secret in secrets:
        assert holding(library, secret) == []
    assert traces_left(library.path) == []
    Path(gone).unlink()
    assert library.problems() == []
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


@pytest.mark.parametrize("options", [{}, {"rebuild": True}, {"verify_content": True}])
def test_it_does_not_come_back_and_is_not_even_embedded(library: Library, options) -> None:
    store = library.store
    gone = path_at(store, photo_with(store, 2))
    go(library, gone)
    copy = shutil.copy2(gone, library.photos / "copy.jpg")
    renamed = Path(gone).rename(library.photos / "renamed.jpg")
    summary = library.refresh(**options)
    assert summary.forgotten == 2
    assert summary.usable == summary.seen - 2 == 23
    assert {str(renamed), str(copy)}.isdisjoint(paths_of(library.store))
    assert {library.name(renamed), library.name(copy)}.isdisjoint(library.embedded())
    assert traces_left(library.path) == []
    again = library.refresh()
    assert (again.forgotten, again.new, again.removed) == (2, 0, 0)


def test_a_photo_that_becomes_a_forgotten_one_leaves_too(library: Library) -> None:
    store = library.store
    gone, other = (path_at(store, photo_with(store, count)) for count in (2, 1))
    go(library, gone)
    shutil.copy(gone, other)
    summary = library.refresh()
    assert summary.forgotten == 2
    assert other not in paths_of(library.store)
    assert traces_left(library.path) == []


def test_without_memory_nothing_is_kept_and_it_comes_back(library: Library) -> None:
    before = library.store.content_digest()
    gone = path_at(library.store, photo_with(library.store, 1))
    secrets = secrets_of(library.store, photo_with(library.store, 1))
    go(library, gone, remember=False)
    assert library.store.head.entered == {}
    for secret in [*secrets, secrets[1].hex()[:16].encode()]:
        assert holding(library, secret) == []
    summary = library.refresh()
    assert (summary.new, summary.forgotten) == (1, 0)
    assert library.store.content_digest() == before


def test_all_copies_of_a_photo_go_and_a_folder_takes_all_below(library: Library) -> None:
    library.add("copies/one.jpg", "people/001.jpg x")
    library.add("copies/two.jpg", "people/001.jpg x")
    library.index()
    summary = go(library, library.photos / "copies" / "one.jpg")
    assert summary is not None
    assert summary.files == len([*library.photos.glob("copies/*")]) + (
        library.photos / "people" / "001.jpg"
    ).read_bytes().endswith(b"people/001.jpg x")
    summary = go(library, library.photos / "people")
    assert summary is not None
    assert paths_of(library.store) == []
    assert library.problems() == []
    assert library.refresh().forgotten == 26


def test_one_face_goes_and_the_others_keep_their_ids(library: Library) -> None:
    store = library.store
    row = photo_with(store, 2)
    path, content = path_at(store, row), int(store.files.content[row])
    first, second = store.contents.face_start(content), store.contents.face_stop(content) - 1
    secrets = [store.faces.box[first].tobytes(), store.embeddings([first]).tobytes()]
    kept = store.embeddings([second])
    search = Search(None, by="face")
    ids = {near.id for near in NpzGallery(store).search(kept, ["q"], search)}
    summary = go(library, path, face=1)
    assert summary is not None
    (face,) = summary.faces
    assert (face.number, face.faces, summary.photos) == (1, 1, ())
    for secret in secrets:
        assert holding(library, secret) == []
    left = {near.id for near in NpzGallery(library.store).search(kept, ["q"], search)}
    assert left == ids - {face.id}
    assert traces_left(library.path) == []
    with pytest.raises(UsageError, match="has no face 1 in the store; its faces: 2"):
        go(library, path, face=1)
    assert library.refresh().unchanged == 24
    assert library.refresh(rebuild=True).forgotten == 0
    rebuilt = {near.id for near in NpzGallery(library.store).search(kept, ["q"], search)}
    assert rebuilt == left
    assert library.problems() == []
    summary = go(library, ids=[f"{face.id[:16]}-2"])
    assert summary is not None
    assert library.refresh(rebuild=True).faces == len(left) - 1
    assert library.store.forgotten.faces[store.contents.hash_of(content)].numbers == (1, 2)


def test_a_photo_whose_faces_are_found_otherwise_stays_out_whole(library: Library) -> None:
    store = library.store
    row = photo_with(store, 2)
    path = path_at(store, row)
    go(library, path, face=2)
    summary = library.refresh(redetect=True, min_face=17)
    assert summary.forgotten == 1
    assert path not in paths_of(library.store)
    assert traces_left(library.path) == []


def test_by_id_of_a_photo_and_of_a_face(library: Library) -> None:
    store = library.store
    row = photo_with(store, 2)
    name = store.contents.hash_of(int(store.files.content[row])).hex()[:16]
    seen = go(library, ids=[f"{name}-2", name], dry_run=True)
    assert seen is not None
    assert (len(seen.photos), len(seen.faces), seen.embeddings) == (1, 0, 2)
    assert library.store.content_digest() == store.content_digest()
    for wrong, told in (("12", "is no id"), ("f" * 16, "no such photo")):
        with pytest.raises(UsageError, match=told):
            go(library, ids=[wrong])
    with pytest.raises(UsageError, match="no face 3"):
        go(library, ids=[f"{name}-3"])


def test_nothing_goes_when_the_answer_is_no_or_the_target_is_unknown(library: Library) -> None:
    before = library.path.read_bytes()
    path = path_at(library.store, 0)
    assert forget(library.path, Targets((path,)), ForgetOptions(), lambda _: False) is None
    with pytest.raises(UsageError, match="the store has no photo there"):
        go(library, library.photos / "nobody.jpg")
    with pytest.raises(UsageError, match="name what to forget"):
        go(library)
    with pytest.raises(UsageError, match="--face is a face of one photo"):
        go(library, path, path_at(library.store, 1), face=1)
    with pytest.raises(UsageError, match=r"24 photos.* --face is a face of one"):
        go(library, library.photos, face=1)
    assert library.path.read_bytes() == before
    with StoreWriter.open(library.path, library.store.recipe), pytest.raises(StoreBusyError):
        go(library, path)


def test_allowed_again(library: Library) -> None:
    before = library.store.content_digest()
    path = path_at(library.store, photo_with(library.store, 2))
    go(library, path)
    other = path_at(library.store, 0)
    assert allow(library.path, [path, other]) == 1
    assert library.store.head.entered == {}
    assert library.refresh().new == 1
    assert library.store.content_digest() == before


def test_single_faces_that_are_allowed_again_come_back_as_they_were(library: Library) -> None:
    before = library.store.content_digest()
    row = photo_with(library.store, 2)
    path, content = path_at(library.store, row), int(library.store.files.content[row])
    probe = library.store.embeddings([library.store.contents.face_stop(content) - 1])
    ids = ids_near(library, probe)
    go(library, path, face=1)
    library.embedded()
    assert allow(library.path, [path]) == 1
    assert library.store.head.entered == {}
    assert ids_near(library, probe) < ids, "no face is numbered otherwise meanwhile"
    assert library.problems() == []
    assert library.refresh().new == 1
    assert library.embedded() == [library.name(path)]
    assert library.store.content_digest() == before
    assert ids_near(library, probe) == ids
    assert allow(library.path, [path]) == 0


def ids_near(library: Library, probe: np.ndarray) -> set[str]:
    found = NpzGallery(library.store).search(probe, ["q"], Search(None, by="face"))
    return {near.id for near in found}


def test_a_photo_that_is_a_root_is_read_again_when_a_face_is_allowed(library: Library) -> None:
    alone = library.add("alone.jpg", "people/001.jpg xy", root=library.home / "elsewhere")
    library.index(alone)
    before = library.store.content_digest()
    assert len(library.store.roots) == 2
    go(library, alone, face=1)
    assert allow(library.path, [alone]) == 1
    assert library.refresh().new == 1
    assert library.store.content_digest() == before


def test_to_allow_a_face_is_done_in_one_step(library: Library, monkeypatch) -> None:
    path = path_at(library.store, photo_with(library.store, 2))
    go(library, path, face=1)
    before, held = library.store.content_digest(), library.store.head.entered
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopping(os.replace, [0]))
        patch.setattr(Path, "replace", stopping(Path.replace, [0]))
        with pytest.raises(Stopped):
            allow(library.path, [path])
    assert library.store.content_digest() == before
    assert library.store.head.entered == held
    assert allow(library.path, [path]) == 1
    assert library.refresh().new == 1


def test_labels_of_what_goes_go_too(library: Library, tmp_path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("people/000.jpg,Ann\npeople/001.jpg,Ben\nnot/there.jpg,Cleo\n")
    label(library.path, labels)
    go(library, library.photos / "people" / "000.jpg")
    assert set(library.store.head.entered["labels"].values()) == {"Ben", "Cleo"}
    assert holding(library, b"Ann") == []


def test_a_root_that_is_the_photo_goes_with_it(library: Library) -> None:
    alone = library.add("alone.jpg", root=library.home / "elsewhere")
    library.index(alone)
    assert len(library.store.roots) == 2
    go(library, alone)
    assert len(library.store.roots) == 1
    assert [name for name in holding(library, b"alone.jpg") if name != "alone.jpg"] == []
    assert library.problems() == []


def test_merging_and_splitting_bring_nothing_back(library: Library, tmp_path) -> None:
    store = library.store
    gone, partly = (path_at(store, photo_with(store, 2)), None)
    partly = path_at(store, rows_with(store, 2)[1])
    old = library.home / "old.npz"
    shutil.copy(library.path, old)
    go(library, gone)
    go(library, partly, face=1)
    for number, order in enumerate(([library.path, old], [old, library.path])):
        merged = library.home / f"merged{number}.npz"
        merge(order, merged)
        assert Store.open(merged).content_digest() == library.store.content_digest()
        assert traces_left(merged) == []
        assert check_store(Store.open(merged)) == []
    split_evenly(library.path, 3, library.home / "part.npz")
    parts = sorted(library.home.glob("part-*.npz"))
    assert len(parts) == 3
    merge([*parts, old], library.home / "whole.npz")
    assert Store.open(library.home / "whole.npz").content_digest() == library.store.content_digest()


def test_while_a_run_has_not_ended_and_beside_a_rebuild(library: Library) -> None:
    store = library.store
    row = photo_with(store, 2)
    path, secrets = path_at(store, row), secrets_of(store, row)
    spec = ProcessSpec(store.recipe, 1 << 30, RuntimeOptions())
    for fresh in (False, True):
        with StoreWriter.open(library.path, store.recipe, fresh=fresh) as writer:
            if fresh:
                for at in range(len(store.files)):
                    entry = PhotoEntry(store.files.path(at), 1, int(store.files.mtime_ns[at]))
                    task = PhotoTask(0, path_at(store, at))
                    (result,) = library.networks(spec).process([task])
                    writer.put((0, entry), result)
            writer.commit((1, 24))
    assert rebuild_path(library.path).exists()
    assert len(holding(library, secrets[1])) > 1
    go(library, path)
    assert not rebuild_path(library.path).exists()
    for secret in secrets:
        assert holding(library, secret) == []
    assert library.store.progress is not None
    library.refresh()
    Path(path).unlink()
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_what_was_computed_from_the_store_goes(library: Library, monkeypatch) -> None:
    always = dataclasses.replace(CODERS["faiss"], fits=lambda rows, dim: True)
    monkeypatch.setitem(CODERS, "faiss", always)
    store = library.store
    path = path_at(store, photo_with(store, 2))
    row = store.embeddings([0])
    NpzGallery(store, "faiss").search(row, ["q"], Search(3))
    NpzGallery(store).search(row, ["q"], Search(3, expand=True))
    assert len(list((library.home / "faces.npz.derived").iterdir())) == 2
    go(library, path)
    assert library.store.head.derived == {}
    assert not (library.home / "faces.npz.derived").exists()
    NpzGallery(library.store, "faiss").search(row, ["q"], Search(3))
    NpzGallery(library.store).search(row, ["q"], Search(3, expand=True))
    assert traces_left(library.path) == []


def test_traces_are_found_wherever_they_are(library: Library, tmp_path) -> None:
    store = library.store
    row = photo_with(store, 2)
    path, content = path_at(store, row), store.contents.hash_of(int(store.files.content[row]))
    older = library.path.read_bytes()
    go(library, path)
    entered = library.store.head.entered
    parts = library.home / "faces.npz.parts"
    parts.mkdir()
    (parts / "0123.npz").write_bytes(older)
    assert [line.split(":")[0] for line in traces_left(library.path)] == [str(parts / "0123.npz")]
    shutil.rmtree(parts)
    kept = tmp_path / "cache" / "eval" / "lfw" / "results" / "some.json"
    kept.parent.mkdir(parents=True)
    for text in (b"x" * 77 + content, b"y" * (1 << 20) + content.hex().encode()):
        kept.write_bytes(text)
        assert traces_left(library.path) == [f"{kept}: has the hash of a photo that was forgotten"]
    kept.unlink()
    # A store that says it has forgotten what it has.
    library.path.write_bytes(older)
    from facesearch.store.entered import change_entered

    change_entered(library.path, lambda held: entered, False)
    assert any("1 photo forgotten and still there" in line for line in traces_left(library.path))
    assert allow(library.path, [path]) == 1
    assert traces_left(library.path) == []


def test_evaluations_stores_and_figures_go_too(library: Library, tmp_path) -> None:
    path = path_at(library.store, photo_with(library.store, 2))
    secrets = secrets_of(library.store, photo_with(library.store, 2))
    kept = tmp_path / "cache" / "eval" / "0123"
    (kept / "results").mkdir(parents=True)
    (kept / "results" / "x.json").write_text("figures")
    shutil.copy(library.path, kept / "facenet-0123.npz")
    summary = go(library, path)
    assert summary is not None
    assert summary.caches == (str(kept / "results"), str(kept / "facenet-0123.npz"))
    assert not (kept / "results").exists()
    for secret in secrets:
        assert holding(library, secret) == []
    assert len(Store.open(kept / "facenet-0123.npz").files) == 23


class Stopped(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.full)])
def test_killed_at_any_step_it_is_done_or_not_and_the_same_command_ends_it(
    library: Library, monkeypatch, stride
) -> None:
    store = library.store
    row = photo_with(store, 2)
    path, secrets = path_at(store, row), secrets_of(store, row)
    NpzGallery(store, "faiss").search(store.embeddings([0]), ["q"], Search(3))
    with StoreWriter.open(library.path, store.recipe) as writer:
        writer.commit((1, 24))  # in parts, which have to be removed
    saved = library.home.parent / "saved"
    shutil.copytree(library.home, saved)
    before = library.store.content_digest()
    steps, done = 0, False
    digests = set()
    while not done:
        shutil.rmtree(library.home)
        shutil.copytree(saved, library.home)
        with monkeypatch.context() as patch:
            left = [steps]
            for name in ("replace", "fsync", "link", "unlink", "mkdir", "rmdir"):
                patch.setattr(os, name, stopping(getattr(os, name), left))
            try:
                go(library, path)
                done = True
            except Stopped:
                pass
        assert check_store(library.store) == [], steps
        digests.add(library.store.content_digest())
        if library.store.content_digest() == before:
            go(library, path)
        else:
            with pytest.raises(UsageError):
                go(library, path)  # which clears what was left nevertheless
        for secret in secrets:
            assert holding(library, secret) == [], steps
        assert traces_left(library.path) == []
        steps += stride
    assert steps > 6
    assert len(digests) == 2


def stopping(function, left):
    def call(*args, **kwargs):
        if left[0] <= 0:
            raise Stopped
        left[0] -= 1
        return function(*args, **kwargs)

    return call


def test_memory_that_makes_no_sense_is_refused(library: Library) -> None:
    from facesearch.store.entered import change_entered

    go(library, path_at(library.store, 0))
    for nonsense in (
        {"photos": {"zz": 1}},
        {"photos": []},
        {"faces": {"00" * 32: {"recipe": "x", "count": 1, "numbers": [2]}}},
        {"faces": {"00" * 31: {"recipe": "x", "count": 1, "numbers": [1]}}},
        7,
    ):
        change_entered(library.path, lambda held, what=nonsense: {"forgotten": what}, False)
        with pytest.raises(StoreError, match="what was forgotten is not to be read"):
            library.refresh()


def test_two_memories_become_one() -> None:
    one, two = b"1" * 32, b"2" * 32
    faces = FacesLeftOut("recipe", 3, (1,))
    first = Forgotten({one: 10}, {two: faces})
    assert first.plus(Forgotten({}, {two: faces.plus([3])})).faces[two].numbers == (1, 3)
    assert first.plus(Forgotten({}, {two: dataclasses.replace(faces, count=4)})) == Forgotten(
        {one: 10, two: 0}
    )
    assert first.plus(Forgotten({two: 5})) == Forgotten({one: 10, two: 5})
    assert Forgotten.of(first.into({"labels": {}})) == first
    assert first.without([one, two]).into({"forgotten": 1}) == {}


def test_one_broken_photo_under_two_names_goes_whole(library: Library) -> None:
    one = library.add("broken/one.jpg", "broken 1")
    library.add("broken/two.jpg", "broken 1")
    library.index()
    summary = go(library, one)
    assert summary is not None
    assert sorted(Path(path).name for photo in summary.photos for path in photo.paths) == [
        "one.jpg",
        "two.jpg",
    ]
    assert traces_left(library.path) == []


def test_no_id_means_all_that_could_not_be_read(library: Library) -> None:
    store = library.store
    with StoreWriter.open(library.path, store.recipe) as writer:
        for name in ("away/one.jpg", "away/two.jpg"):
            failure = Failure(name, "unreadable", "cannot be read")
            none = np.zeros((0, store.dim), np.float32)
            writer.put((0, PhotoEntry(name, 5, 5)), PhotoResult(b"", None, (), none, failure))
        writer.finish()
    seen = go(library, library.photos / "away" / "one.jpg", dry_run=True)
    assert seen is not None
    assert seen.photos[0].id == ""
    with pytest.raises(UsageError, match="no such photo"):
        go(library, ids=["0" * 16])
    seen = go(library, library.photos / "away" / "one.jpg")
    assert seen is not None
    assert seen.unread == 1
    assert library.store.forgotten.photos == {}
    assert len(library.store.files) == 25


def test_an_unfinished_rebuild_stays_until_something_goes(library: Library) -> None:
    store = library.store
    with StoreWriter.open(library.path, store.recipe, fresh=True) as writer:
        writer.commit((1, 24))
    path = path_at(store, 0)
    assert forget(library.path, Targets((path,)), ForgetOptions(), lambda _: False) is None
    with pytest.raises(UsageError):
        go(library, "nobody.jpg")
    assert rebuild_path(library.path).exists()
    assert traces_left(library.path) == [], "it holds nothing that was forgotten"
    go(library, path)
    assert not rebuild_path(library.path).exists()


def test_a_rebuild_that_goes_on_knows_what_was_entered_since(library: Library, tmp_path) -> None:
    with StoreWriter.open(library.path, library.store.recipe, fresh=True) as writer:
        writer.commit((1, 24))
    labels = tmp_path / "labels.csv"
    labels.write_text("people/001.jpg,Ben\n")
    label(library.path, labels)
    library.refresh(rebuild=True)
    assert set(library.store.head.entered["labels"].values()) == {"Ben"}


def test_a_rebuild_with_what_was_forgotten_is_a_trace(library: Library) -> None:
    store = library.store
    shutil.copy(library.path, rebuild_path(library.path))
    saved = rebuild_path(library.path).read_bytes()
    go(library, path_at(store, photo_with(store, 2)))
    assert traces_left(library.path) == []
    rebuild_path(library.path).write_bytes(saved)
    lines = traces_left(library.path)
    assert any(line.startswith(f"{rebuild_path(library.path)}: 1 photo") for line in lines)


@pytest.mark.parametrize("name", ["faces.npz.tmp", "faces.npz.heads/000000007.npz.tmp"])
def test_copies_that_were_cut_off_are_found_and_removed(library: Library, name) -> None:
    older = library.path.read_bytes()
    go(library, path_at(library.store, 0))
    cut_off = library.home / name
    cut_off.parent.mkdir(exist_ok=True)
    cut_off.write_bytes(older)
    assert any(str(cut_off) in line for line in traces_left(library.path))
    library.refresh()
    assert not cut_off.exists()
    assert traces_left(library.path) == []


def test_a_store_behind_a_link_is_rebuilt_and_forgets(library: Library) -> None:
    link = library.home.parent / "elsewhere" / "link.npz"
    link.parent.mkdir()
    link.symlink_to(library.path)
    library.run((), link, rebuild=True)
    with StoreWriter.open(link, library.store.recipe, fresh=True) as writer:
        writer.commit((1, 24))
    path = path_at(library.store, 0)
    assert rebuild_path(library.path).exists()
    go(library, path)
    assert not rebuild_path(library.path).exists()
    assert [each.name for each in link.parent.iterdir()] == ["link.npz"]
    assert link.is_symlink()


def test_figures_of_other_photos_stay(library: Library, tmp_path) -> None:
    path = path_at(library.store, 0)
    theirs, ours = (evaluations_of(folder) / "results" for folder in (tmp_path, library.photos))
    for folder in (theirs.parent.with_name("other") / "results", theirs, ours):
        folder.mkdir(parents=True)
        (folder / "x.json").write_text("figures")
    summary = go(library, path)
    assert summary is not None
    assert sorted(summary.caches) == sorted([str(ours), str(theirs)])
    assert (theirs.parent.with_name("other") / "results" / "x.json").exists()


def test_caches_go_first_so_that_the_same_command_ends_it(library: Library, monkeypatch) -> None:
    path = path_at(library.store, 0)
    kept = library.home.parent / "cache" / "eval" / "0123" / "facenet-0123.npz"
    kept.parent.mkdir(parents=True)
    shutil.copy(library.path, kept)
    with monkeypatch.context() as patch:
        patch.setattr("facesearch.forgetting.rewrite", stopping(rewrite, [1]))
        with pytest.raises(Stopped):
            go(library, path)
    go(library, path)
    assert len(Store.open(kept).files) == 23
    assert traces_left(library.path) == []


def test_a_cache_that_is_no_store_any_more_goes(library: Library) -> None:
    kept = library.home.parent / "cache" / "eval" / "0123" / "facenet-0123.npz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(library.path.read_bytes()[:-5000])
    summary = go(library, path_at(library.store, 0))
    assert summary is not None
    assert summary.caches == (str(kept),)
    assert not kept.exists()


def test_on_windows_nothing_is_left_that_nobody_has_open(library: Library, monkeypatch) -> None:
    Windows(monkeypatch)
    store = library.store
    row = photo_with(store, 2)
    path, secrets = path_at(store, row), secrets_of(store, row)
    del store
    go(library, path)
    for secret in secrets:
        assert holding(library, secret) == []
    assert traces_left(library.path) == []


def test_many_that_were_forgotten_are_looked_for_at_once(library: Library) -> None:
    contents = library.store.contents
    hashes = [contents.hash_of(row) for row in (3, 1)]
    others = {number.to_bytes(32, "little"): 1 for number in range(1, 50)}
    left = must_not_be(contents, Forgotten({**others, **dict.fromkeys(hashes, 1)}))
    assert left.contents.tolist() == [1, 3]
    assert must_not_be(contents, Forgotten()).contents.tolist() == []

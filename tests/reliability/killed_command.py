"""A command to be killed, slow enough in all its stages to be hit there.

``killed_command.py KIND HOME`` says "go" when it begins and "done" at its end; see ``KINDS``.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np

from facesearch import encrypting, indexing
from facesearch.errors import UsageError
from facesearch.forgetting import ForgetOptions, Targets, forget
from facesearch.gallery import Search, codes
from facesearch.gallery.npz import NpzGallery
from facesearch.gallery.opening import problems_of
from facesearch.gallery.transfers import TransferOptions
from facesearch.labelling import label
from facesearch.merging import merge
from facesearch.rooting import move_root
from facesearch.splitting import SplitOptions, split_under
from facesearch.store import Store, check_path
from facesearch.store.passphrases import Given, Keys, unlocking
from photo_library import Library, say

_SECONDS = 0.004
PHOTOS = 40
FORGOTTEN = "other"


def index(library: Library) -> None:
    """The first run, or one over photos that changed, moved and went."""
    library.index(jobs=1)


def rebuild(library: Library) -> None:
    """All photos anew, beside the store."""
    library.index(jobs=1, rebuild=True)


def merge_two(library: Library) -> None:
    """A store takes in another."""
    merge([library.path, library.home / "second.npz"], library.path)


def forget_some(library: Library) -> None:
    """A folder and everything that was computed from it."""
    folder = str(library.photos / FORGOTTEN)
    forget(library.path, Targets((folder,)), ForgetOptions(), lambda summary: True)


def push(library: Library) -> None:
    """A store into a search engine's file."""
    from facesearch.addresses import EngineAddress, parse_store
    from facesearch.transferring import push as push_all

    address = parse_store(f"milvus+file:{library.home / 'gallery.db'}#faces")
    assert isinstance(address, EngineAddress)
    push_all(library.path, address, TransferOptions(prune=True))


def label_all(library: Library) -> None:
    """Who is on the photos."""
    label(library.path, library.home / "labels.csv")


def split_off(library: Library) -> None:
    """A folder goes into a store of its own."""
    folder = str(library.photos / FORGOTTEN)
    split_under(library.path, [folder], library.home / "part.npz", SplitOptions(remove=True))


def compute(library: Library) -> None:
    """A search that keeps codes, and one that keeps which faces are near each other."""
    store = Store.open(library.path)
    row = np.array(store.embeddings(np.arange(1)))
    small = {
        name: dataclasses.replace(coder, fits=lambda count, dim: count > 0)
        for name, coder in codes.CODERS.items()
    }
    with mock.patch.object(codes, "CODERS", small):
        for backend, expand in (("faiss-rabitq", False), ("sklearn", True)):
            search = Search(k=3, by="face", expand=expand)
            NpzGallery(Store.open(library.path), backend).search(row, ["q"], search)


def move_photos(library: Library) -> None:
    """The photos lie in another folder now."""
    move_root(library.path, library.photos, library.home / "elsewhere")


def encrypt(library: Library) -> None:
    """A store in parts, with what was computed from it, goes under a passphrase."""
    encrypting.encrypt(library.path)


def change(library: Library) -> None:
    """An encrypted store in parts goes under another passphrase."""
    encrypting.change_passphrase(library.path)


def index_encrypted(library: Library) -> None:
    """A first run that is encrypted."""
    library.index(jobs=1, encrypt=True)


KINDS = {
    "index": index,
    "again": index,
    "rebuild": rebuild,
    "merge": merge_two,
    "forget": forget_some,
    "push": push,
    "label": label_all,
    "split": split_off,
    "compute": compute,
    "roots": move_photos,
    "encrypt": encrypt,
    "change": change,
    "encrypted": index_encrypted,
}
WHAT = {
    "index": "a first `index`",
    "again": "`index` over changed, moved and removed photos",
    "rebuild": "`index --rebuild`",
    "merge": "`merge` into one of the stores",
    "forget": "`forget` of a folder",
    "push": "`push` into a gallery",
    "label": "`label`",
    "split": "`split --remove` of a folder",
    "compute": "`query` that keeps codes and neighbours",
    "roots": "`roots move`",
    "encrypt": "`encrypt`",
    "change": "`encrypt --change`",
    "encrypted": "a first `index --encrypt`",
}
QUICK = ("label", "split", "compute", "roots", "encrypt", "change", "encrypted")
"""What takes a moment is killed fewer times."""
ENDED = ("forget", "split", "roots", "encrypt")
"""What says, run again, that there is nothing to do."""


class Either(Given):
    """One passphrase, and another for a change; which of them opens a store is tried."""

    def of_store(self, path: Path, key_id: bytes, attempt: int) -> str:
        return super().of_store(path, key_id, 0) if not attempt else OTHER

    def for_new(self, path: Path, other: bool) -> str:
        return OTHER if other else self.passphrase


OTHER = "battery staple"
PASSPHRASE = Either("correct horse")


def prepare(kind: str, home: Path) -> Library:
    """What a command begins with."""
    library = Library(home)
    library.add_many(PHOTOS)
    library.add_many(10, f"{FORGOTTEN}/")
    if kind in ("index", "encrypted"):
        return library
    library.index()
    if kind == "again":
        for number in range(0, 12, 3):
            library.add(f"{number:03}.jpg", f"changed {number}")
            (library.photos / f"{number + 1:03}.jpg").unlink()
        (library.photos / FORGOTTEN).rename(library.photos / "moved")
        library.add_many(5, "new/")
    if kind == "merge":
        second = home / "second"
        library.add_many(20, "second ", root=second)
        library.index(second, store=home / "second.npz")
    if kind == "label":
        lines = [f"{number:03}.jpg,Person {number}" for number in range(PHOTOS)]
        (home / "labels.csv").write_text("\n".join(["path,name", *lines]), encoding="utf-8")
    if kind == "roots":
        library.photos.rename(home / "elsewhere")
    if kind in ("forget", "encrypt", "change"):
        with indexing_writer(library) as writer:
            writer.commit((1, PHOTOS))  # in parts, which have to go
    if kind == "change":
        with unlocking(Keys(PASSPHRASE)):
            encrypting.encrypt(library.path)
    return library


def indexing_writer(library: Library):  # type: ignore[no-untyped-def]
    from facesearch.store import StoreWriter

    return StoreWriter.open(library.path, Store.open(library.path).recipe)


def digest(kind: str, library: Library) -> str:
    """What the command has made; "" where it is nothing yet."""
    if kind == "push":
        return "" if problems_of(engine(library), deep=False) else "whole"
    if not library.path.exists():
        return ""
    store = Store.open(library.path)
    if kind not in QUICK:
        return store.content_digest()
    other = library.home / "part.npz"
    part = Store.open(other).content_digest() if other.exists() else ""
    held = (store.head.entered, sorted(store.head.derived), [root.path for root in store.roots])
    held += (store.key is not None,)
    return f"{store.content_digest()} {part} {held}"


def engine(library: Library):
    from facesearch.addresses import parse_store

    return parse_store(f"milvus+file:{library.home / 'gallery.db'}#faces")


def run_again(kind: str, library: Library) -> None:
    part = library.home / "part.npz"
    if part.exists():
        assert check_path(part) == []
        if "other/000.jpg" in library.names():  # it is complete, or not: the old store has all
            part.unlink()
            shutil.rmtree(part.with_name("part.npz.parts"), ignore_errors=True)
    try:
        KINDS[kind](library)
    except UsageError as error:  # it is done already
        assert kind in ENDED, error


def slow_down() -> None:
    """Every way to the disk takes a while."""
    indexing.COMMIT_SECONDS = 0.02
    for name in ("fsync", "replace", "unlink", "link"):
        setattr(os, name, _slow(getattr(os, name)))


def _slow(function):  # type: ignore[no-untyped-def]
    def slow(*arguments, **options):  # type: ignore[no-untyped-def]
        time.sleep(_SECONDS)
        return function(*arguments, **options)

    return slow


def main() -> None:
    kind, home = sys.argv[1], Path(sys.argv[2])
    library = Library(home, processes=kind == "rebuild")
    library.seconds = _SECONDS / 2
    slow_down()
    say("go")
    with unlocking(Keys(PASSPHRASE)):
        KINDS[kind](library)
    say("done")


if __name__ == "__main__":
    main()

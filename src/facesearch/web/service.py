"""One store and what is asked of it; every method may take a while and is called in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from cachetools import LRUCache

from facesearch import calibration, verifying
from facesearch.api import OpenGallery
from facesearch.calibration import Calibration
from facesearch.gallery.facts import failures_of
from facesearch.photos import PhotoBytes, PhotoLimits, read_photo
from facesearch.report.facts import box_facts, coverage_facts, rounded
from facesearch.report.verdict import render_verdict
from facesearch.web import searching, shown
from facesearch.web.asked import SearchForm, VerifyForm
from facesearch.web.bodies import Body
from facesearch.web.known import Known, KnownPhotos, Limited
from facesearch.web.options import ServeOptions
from facesearch.web.problems import bad_request, of_photo
from facesearch.web.snapshot import Snapshot
from facesearch.web.zipping import zipped

_SHOWN_PIXELS = 200_000_000  # what was indexed may be larger than what is uploaded
_GRID = 4001  # distances at which a cut may lie, from 0 to 2


class Service:
    """Answers from the last complete store."""

    def __init__(self, gallery: OpenGallery, options: ServeOptions) -> None:
        self._gallery = gallery
        self._limits = options.limits
        self._known = KnownPhotos(options.limits.kept_bytes)
        self._pages = searching.Pages()
        self._decoding = threading.BoundedSemaphore(2)
        self._lock = threading.Lock()
        self._now = Snapshot(gallery.opened())
        self._crops: LRUCache[str, bytes] = LRUCache(options.limits.thumbnail_bytes, getsizeof=len)

    def now(self) -> Snapshot:
        """The last complete store."""
        opened = self._gallery.opened()
        with self._lock:
            if opened is not self._now.opened:
                self._now = Snapshot(opened)
            return self._now

    def warm_up(self) -> None:
        """Loads the networks and fits the search, before the first photo comes."""
        self.now().opened.gallery.warm_up()
        blank = np.full((64, 64, 3), 255, np.uint8)
        self._gallery.embed(blank)

    def store_facts(self) -> dict[str, Any]:
        """What the store holds."""
        now = self.now()
        store, coverage = now.store, now.coverage()
        facts = coverage_facts(coverage)
        known = calibration.find_calibration(store.recipe.space_digest)
        return {
            "name": store.path.name,
            "path": str(store.path),
            **{key: facts[key] for key in ("photos", "faces", "without_face", "failed")},
            "indexed_at": facts["indexed_at"],
            "indexing": facts["progress"],
            "subject": facts["subject"],
            "recipe": store.recipe.name,
            "model": store.recipe.extractor.model,
            "dim": store.recipe.extractor.dim,
            "roots": [
                {
                    "path": root.path,
                    "state": "there" if root.there else "away",
                    "photos": root.photos,
                }
                for root in now.roots()
            ],
            "calibrated": known is not None,
            "cuts": None if known is None else cuts_of(known, coverage.faces),
        }

    def failures(self, offset: int, limit: int) -> dict[str, Any]:
        """A page of the photos that failed."""
        store = self.now().store
        failed = store.contents.failed[np.asarray(store.files.content)]
        items = islice(failures_of(store), offset, offset + limit)
        return {
            "items": [
                {"path": each.path, "reason": each.reason, "message": each.message}
                for each in items
            ],
            "total": int(np.count_nonzero(failed)),
        }

    def faces(self, data: bytes) -> dict[str, Any]:
        """The faces of a photo, which is kept for searches."""
        known = self._look(self.now(), data)
        return self._faces_of(known, self._known.keep(known))

    def asked_facts(self, token: str) -> dict[str, Any]:
        """The same of a photo that was looked at."""
        return self._faces_of(self._known.get(token), token)

    def _faces_of(self, known: Known, token: str | None) -> dict[str, Any]:
        facts = known.photo.facts
        return {
            "photo": token,
            "width": facts.width,
            "height": facts.height,
            "prominent": searching.prominent(known),
            "faces": [
                {
                    "number": number,
                    "box": box_facts(face.box),
                    "score": rounded(face.score, 4),
                    "landmarks": [[rounded(x, 2), rounded(y, 2)] for x, y in face.landmarks],
                }
                for number, face in enumerate(known.faces, start=1)
                if face.box is not None
            ],
        }

    def asked_photo(self, token: str, side: int) -> bytes:
        """A photo that was looked at, as a JPEG: browsers cannot show every kind."""
        return shown.jpeg_of(self._known.get(token).photo, side)

    def search(self, form: SearchForm, body: Body) -> dict[str, Any]:
        """A page of neighbours."""
        given = [form.token, form.embedding, form.id, body.photos.get("photo")]
        if sum(each is not None for each in given) != 1:
            raise bad_request("give one of photo, token, embedding and id")
        now = self.now()
        token = form.token
        if form.embedding is not None or form.id is not None:
            if form.face is not None or form.box is not None:
                raise bad_request("face and box belong to a photo")
            if form.id is not None:
                probe = searching.by_id(now, form.id)
            else:
                probe = searching.by_embedding(now, form.embedding or [])
        elif token is not None:
            known = searching.require_same(now, self._known.get(token))
            probe = searching.by_photo(now, known, form)
        else:
            known = self._look(now, body.photo())
            probe = searching.by_photo(now, known, form)
            token = self._known.keep(known)
        return {**searching.page_of(now, self._pages, probe, form), "photo": token}

    def verify(self, form: VerifyForm, body: Body) -> bytes:
        """Whether two photos show one person, as ``verify --json`` says it."""
        opened = self.now().opened
        recipe = opened.gallery.recipe
        if recipe.subject == "photo":
            raise bad_request("this store compares whole photos; verify needs faces")
        options = verifying.VerifyOptions(
            form.fmr, form.max_distance, faces=(form.face_a, form.face_b)
        )
        pair = [(name, body.photo(name)) for name in verifying.SIDES]
        with self._decoding:
            limited = Limited(opened.embedder, self._limits.photo_pixels)
            verdict = verifying.verify(limited, recipe, pair[0], pair[1], options)
        if verdict.error is not None:
            # What it advises to do is said for the command.
            raise of_photo(verdict.error.code, verdict.error.message.partition("; say where")[0])
        return render_verdict(verdict, json=True)

    def photo_facts(self, photo_id: str) -> dict[str, Any]:
        """What is known of a photo."""
        return shown.facts_of(shown.find_photo(self.now(), photo_id))

    def original(self, photo_id: str) -> PhotoBytes:
        """A photo's file, as it was indexed."""
        photo = shown.find_photo(self.now(), photo_id)
        return shown.read_original(photo, self._limits.disk_seconds)

    def view(self, photo_id: str, side: int) -> bytes:
        """A photo as a JPEG."""
        file = self.original(photo_id)
        with self._decoding:
            return shown.view(file, side, _SHOWN_PIXELS)

    def crop_tag(self, photo_id: str, number: int, side: int) -> str:
        """The name of a crop as it would be made now."""
        photo = shown.find_photo(self.now(), photo_id)
        return shown.etag_of(photo.hash, shown.find_face(photo, number)[1], side)

    def is_encrypted(self) -> bool:
        """Whether the store lies under a passphrase."""
        return self._now.store.key is not None

    def crop(self, photo_id: str, number: int, side: int) -> bytes:
        """A face of a photo as a JPEG."""
        photo = shown.find_photo(self.now(), photo_id)
        _, box = shown.find_face(photo, number)
        tag = shown.etag_of(photo.hash, box, side)
        with self._lock:
            held = self._crops.get(tag)
        if held is not None:
            return held
        facts = photo.now.store.contents.facts(photo.content)
        file = shown.read_original(photo, self._limits.disk_seconds)
        cut = shown.Cut(box, side, max(facts.width, facts.height))
        with self._decoding:
            made = shown.crop(file, cut, _SHOWN_PIXELS)
        with self._lock:
            self._crops[tag] = made
        return made

    def archive(self, photo_ids: Sequence[str]) -> Iterator[bytes]:
        """The photos as a .zip file, piece by piece.

        Raises:
            HttpError: one of them is not in the store; before anything is sent.
        """
        now = self.now()
        photos = [shown.find_photo(now, each) for each in dict.fromkeys(photo_ids)]
        return zipped(photos, self._limits.disk_seconds)

    def add(self, key: str, data: bytes) -> dict[str, Any]:
        """Puts a photo into the store."""
        limits = self._gallery.opened().embedder.limits
        pixels = min(self._limits.photo_pixels, limits.max_pixels)
        with self._decoding:  # before it is written anywhere
            read_photo(data, PhotoLimits(limits.max_side, pixels), key)
        added = self._gallery.add(data, key)
        return {"key": added.key, "photo": added.id, "path": added.path, "faces": added.faces}

    def remove(self, key: str) -> bool:
        """Takes a photo out of the store again."""
        return self._gallery.remove(key)

    def _look(self, now: Snapshot, data: bytes) -> Known:
        limited = Limited(now.opened.embedder, self._limits.photo_pixels)
        with self._decoding:
            return searching.look_at(limited, data)


def cuts_of(known: Calibration, faces: int) -> dict[str, float | None]:
    """The largest distances at which a neighbour is likely, and possible, the same person."""
    grid = np.linspace(0, 2, _GRID)
    chances = known.probability(grid).tolist()
    expected = known.expected_false_matches(grid, faces).tolist()
    bands = [known.band(*each) for each in zip(chances, expected, strict=True)]
    found: dict[str, float | None] = {}
    for name, good in (("likely", ("likely",)), ("possible", ("likely", "possible"))):
        inside = [
            distance for distance, band in zip(grid.tolist(), bands, strict=True) if band in good
        ]
        found[name] = rounded(inside[-1], 4) if inside else None
    return found

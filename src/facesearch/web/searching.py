"""Searches: from a photo, a token, an embedding or a face of the store to a page of neighbours."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from cachetools import LRUCache

from facesearch import querying
from facesearch.querying import Probe, QueryOptions
from facesearch.records import Box, Query, QueryFace, QueryReport, QueryResult
from facesearch.report.facts import report_facts
from facesearch.web.asked import SearchForm
from facesearch.web.known import Known, Limited
from facesearch.web.problems import HttpError, bad_request, of_photo
from facesearch.web.shown import find_face, find_photo
from facesearch.web.snapshot import Snapshot

_KEPT_NEIGHBORS = 40_000
_AHEAD = 4  # further pages are fetched so many times as far: who asked for two asks for a third
_NO_FACE = "no face found; say with box where it is, or take a photo that shows it larger"


class Pages:
    """Answers fetched so far, by what was asked of which snapshot."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: Snapshot | None = None
        self._held: LRUCache[object, _Fetched] = LRUCache(
            _KEPT_NEIGHBORS, getsizeof=lambda each: len(each.result.neighbors) + 1
        )

    def get(self, of: Snapshot, key: object, need: int) -> QueryResult | None:
        """An answer that has so many neighbours, or all there are."""
        with self._lock:
            if self._of is not of:
                self._held.clear()
                self._of = of
            held = self._held.get(key)
        if held is None or (not held.complete and len(held.result.neighbors) < need):
            return None
        return held.result

    def keep(self, of: Snapshot, key: object, result: QueryResult, asked: int) -> None:
        """Keeps what was fetched when ``asked`` neighbours were asked for."""
        count = len(result.neighbors)
        with self._lock:
            if self._of is of and count < _KEPT_NEIGHBORS:
                self._held[key] = _Fetched(result, complete=count < asked)


@dataclass(frozen=True, slots=True)
class _Fetched:
    result: QueryResult
    complete: bool


def look_at(embedder: Limited, data: bytes) -> Known:
    """A photo decoded, with its faces.

    Raises:
        PhotoError: it cannot be read, or has too many pixels.
        ModelError: a network failed.
    """
    photo = querying.open_photo(data, embedder.limits, "")
    return Known(photo, tuple(embedder.detect(photo)), embedder)


def prominent(known: Known) -> int | None:
    """The number of the face that is searched when none is named."""
    query = querying.numbered("", known.photo, known.faces, None)
    if not query.faces:
        return None
    return querying.most_prominent(query.faces, query.width, query.height) + 1


def by_photo(now: Snapshot, known: Known, form: SearchForm) -> Probe:
    """A face of a photo, to search for.

    Raises:
        HttpError: there is no such face.
    """
    box = None if form.box is None else _box(form.box)
    if box is not None and form.face is not None:
        raise bad_request("box and face exclude each other: a box is the face")
    whole = now.opened.gallery.recipe.subject == "photo"
    if whole and (box is not None or form.face is not None):
        raise bad_request("this store compares whole photos; leave out face and box")
    face = form.face
    if face is None and box is None and not whole:
        face = prominent(known)
        if face is None:
            raise of_photo("no-face", _NO_FACE)
    found = querying.look(known, "", known.photo, QueryOptions(face=face, box=box))
    if isinstance(found, Probe):
        return found
    assert found.error is not None
    raise of_photo(found.error.code, found.error.message)


def by_embedding(now: Snapshot, numbers: list[float]) -> Probe:
    """Somebody's own row, to search for.

    Raises:
        HttpError: it does not fit the store.
    """
    made = now.opened.gallery.recipe.extractor
    row = np.asarray(numbers, np.float64)
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(row))
    if row.shape != (made.dim,) or not 0 < length < np.inf:
        raise bad_request(f"embedding: {made.dim} finite numbers, not all zero")
    unit = (row / length if made.unit else row).astype(np.float32)
    return Probe(b"", Query("", None, ()), (0,), unit[None], ())


def by_id(now: Snapshot, face_id: str) -> Probe:
    """A face of the gallery, to search for.

    Raises:
        HttpError: the store has none of this id.
    """
    photo_id, _, number = face_id.partition("-")
    photo = find_photo(now, photo_id)
    face, _ = find_face(photo, int(number))
    facts = now.store.contents.facts(photo.content)
    faces = tuple(
        QueryFace(number, box, score) for _, number, box, score in photo.faces() if box is not None
    )
    path = photo.places()[0].path
    asked = Query(path, None, faces, facts.width, facts.height)
    chosen = [n for n, each in enumerate(faces) if each.number == int(number)] or [0]
    return Probe(photo.hash, asked, tuple(chosen), now.store.embeddings([face]), ())


def page_of(now: Snapshot, pages: Pages, probe: Probe, form: SearchForm) -> dict[str, Any]:
    """One page of the neighbours, in the shape of ``query --json``."""
    key = (probe.embeddings.tobytes(), form.max_distance, form.by)
    need = form.offset + form.k + 1  # one more tells whether there is a next page
    fetched = pages.get(now, key, need)
    if fetched is None:
        fetch = need if not form.offset else _AHEAD * need
        fetched = _searched(now, probe, form, fetch)
        pages.keep(now, key, fetched, fetch)
        complete = len(fetched.neighbors) < fetch
    else:
        complete = len(fetched.neighbors) < need
    shown = fetched.neighbors[form.offset : form.offset + form.k]
    more = len(fetched.neighbors) > form.offset + form.k
    asked = replace(probe.query, face=probe.numbers[0], examples=())
    result = replace(fetched, query=asked, neighbors=shown)
    report = QueryReport(now.opened.gallery.summary(), now.coverage(), (result,))
    facts = report_facts(report)
    (answer,) = facts.pop("results")
    for neighbor in answer["neighbors"]:
        neighbor["photo"] = neighbor["id"].partition("-")[0]
    return {
        **facts,
        **answer,
        "offset": form.offset,
        "total": _total(now, fetched, form, complete),
        "next": form.offset + form.k if more else None,
    }


def _searched(now: Snapshot, probe: Probe, form: SearchForm, fetch: int) -> QueryResult:
    gallery = now.opened.gallery
    options = QueryOptions(k=fetch, by=form.by, max_distance=form.max_distance)
    options = querying.settle(gallery, options)
    querying.warm_up(gallery, options)
    (result,) = querying.answers(gallery, replace(probe, chosen=probe.chosen[:1]), options)
    return result


def _total(now: Snapshot, fetched: QueryResult, form: SearchForm, complete: bool) -> int | None:
    """How many neighbours there are; None where only a full search would tell."""
    if complete:
        return len(fetched.neighbors)
    if form.max_distance is not None:
        return None
    if form.by == "face":
        return fetched.searched
    return now.photos_with_faces()


def _box(sides: list[float]) -> Box:
    x, y, width, height = sides
    if width < 1 or height < 1:
        raise bad_request("box: x, y, width, height in pixels of the upright photo")
    return Box(x, y, width, height)


def require_same(now: Snapshot, known: Known) -> Known:
    """The photo, if its faces can be compared with the store as it is now.

    Raises:
        HttpError: the store was made anew in another way since.
    """
    if known.embedder.embedder is now.opened.embedder:
        return known
    raise HttpError(404, "photo-gone", "the store was made anew since; send the photo again")

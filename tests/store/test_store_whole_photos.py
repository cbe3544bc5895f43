"""Stores whose items are whole photos, or whose rows are not of unit length."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from facesearch.recipes import CropOptions, DetectorOptions, ExtractorOptions, Recipe
from facesearch.records import Box, Face, PhotoEntry, PhotoFacts, PhotoResult
from facesearch.store import Root, Store, StoreWriter, check_store

DIM = 8
BOX = Box(1.0, 2.0, 30.0, 40.0)


def made(whole: bool, unit: bool) -> Recipe:
    extractor = ExtractorOptions(dim=DIM, unit=unit)
    if not whole:
        return Recipe(extractor=extractor)
    nothing = DetectorOptions("none", 0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    return Recipe("whole", nothing, CropOptions("whole", 0.0, "cubic"), extractor)


def build(path: Path, recipe: Recipe, box: Box | None, lengths: list[float]) -> Store:
    """A store with one item a photo, whose row is so long."""
    with StoreWriter.open(path, recipe) as writer:
        writer.set_roots([Root("/photos", "photos")])
        for number, length in enumerate(lengths):
            digest = bytes([number + 1]) * 32
            facts = PhotoFacts(digest, digest[:16], 100, 80, 1.0)
            row = np.full((1, DIM), length / np.sqrt(DIM), np.float32)
            result = PhotoResult(digest, facts, (Face(box, (), 1.0),), row)
            writer.put((0, PhotoEntry(f"{number}.jpg", 1, 1)), result)
        writer.commit((len(lengths), len(lengths)))
        writer.finish()
        return writer.store


def test_a_whole_photo_is_one_item_without_a_box(tmp_path):
    store = build(tmp_path / "s.npz", made(whole=True, unit=False), None, [5.0, 0.0, 3e6])
    assert np.isnan(store.faces.box).all()
    assert np.isnan(store.faces.landmarks).all()
    assert store.faces.score.tolist() == [1.0, 1.0, 1.0]
    assert [store.faces.number(face) for face in range(3)] == [1, 1, 1]
    lengths = np.linalg.norm(store.embeddings([0, 1, 2]), axis=1)
    assert lengths.tolist() == pytest.approx([5.0, 0.0, 3e6])
    assert check_store(store) == []
    again = build(tmp_path / "t.npz", made(whole=True, unit=False), None, [5.0, 0.0, 3e6])
    assert again.content_digest() == store.content_digest()


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("boxed", [True, False])
@pytest.mark.parametrize("long", [True, False])
def test_check_wants_what_the_recipe_says(tmp_path, whole, unit, boxed, long):
    box = BOX if boxed else None
    store = build(tmp_path / "s.npz", made(whole, unit), box, [1.0, 2.5 if long else 1.0])
    problems = check_store(store)
    expected = []
    if unit and long:
        expected.append("1 embeddings are not of unit length, the first is 1")
    if whole and boxed:
        expected.append("faces.box is there, though each photo is one item")
    if not whole and not boxed:
        expected.append("faces.box is not finite")
    assert [problem.partition(": ")[2] for problem in problems] == expected


def test_rows_of_any_length_must_be_finite(tmp_path):
    recipe = made(whole=True, unit=False)
    with pytest.raises(ValueError, match="not finite"):
        build(tmp_path / "s.npz", recipe, None, [1.0, np.inf])


def test_rows_longer_than_what_is_checked_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("facesearch.store.check._VALUES_AT_ONCE", 3 * DIM)
    recipe = dataclasses.replace(made(whole=True, unit=True))
    store = build(tmp_path / "s.npz", recipe, None, [1.0] * 7 + [2.0])
    (problem,) = check_store(store)
    assert problem.endswith("1 embeddings are not of unit length, the first is 7")

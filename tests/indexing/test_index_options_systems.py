"""Which recipe a system, a model or a store stands for; no photo is read."""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path
from typing import Any

import pytest

from facesearch import weights
from facesearch.errors import RecipeMismatchError, UsageError, WeightsError
from facesearch.index_options import IndexOptions, choose_jobs, choose_recipe, recipe_of
from facesearch.recipes import Recipe
from facesearch.systems import SYSTEMS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def vgg(home: Path) -> str:
    """The SHA-256 of what lies in VGG16's place."""
    import h5py

    with h5py.File(home / "given.h5", "w") as file:
        file["numbers"] = [1.0]
    weights.keep("vgg16", home / "given.h5", {})
    return weights.sha256_of("vgg16")


def held(recipe: Recipe) -> Any:
    return types.SimpleNamespace(recipe=recipe, path="faces.npz")


@pytest.mark.parametrize("system", ["facenet", "facenet-best", "mtcnn-facenet"])
def test_systems_of_faces_have_all_hashes(home: Path, system: str) -> None:
    recipe = recipe_of(system)
    assert recipe.extractor.weights == weights.sha256_of("facenet-128")
    assert len(recipe.detector.weights) == 3
    bare = dataclasses.replace(recipe.extractor, weights="")
    assert dataclasses.replace(SYSTEMS[system].recipe.extractor) == bare


def test_the_default_recipe_is_that_of_the_default_system(home: Path) -> None:
    assert choose_recipe(None, IndexOptions()) == recipe_of("facenet")


def test_systems_of_whole_photos_have_the_hash_that_is_here(vgg: str) -> None:
    recipes = {recipe_of(name) for name in ("vgg16-l2", "vgg16-neighbors", "vgg16-pca")}
    (recipe,) = recipes
    assert (recipe.subject, recipe.extractor.weights) == ("photo", vgg)
    assert recipe.detector.weights == ()
    assert choose_recipe(None, IndexOptions(system="vgg16-pca")) == recipe


def test_without_weights_a_system_has_no_recipe(home: Path) -> None:
    photo_systems = [name for name in SYSTEMS if SYSTEMS[name].recipe.subject == "photo"]
    assert len(photo_systems) == 7
    for name in photo_systems:
        with pytest.raises(WeightsError, match=r"run: facesearch (models pull|train) "):
            recipe_of(name)
        with pytest.raises(WeightsError):
            choose_recipe(None, IndexOptions(system=name))


def test_a_store_keeps_its_recipe_and_refuses_another(vgg: str) -> None:
    store = held(recipe_of("vgg16-l2"))
    assert choose_recipe(store, IndexOptions()) == store.recipe
    assert choose_recipe(store, IndexOptions(system="vgg16-pca")) == store.recipe
    for options in (IndexOptions(system="facenet"), IndexOptions(model="facenet-128")):
        with pytest.raises(RecipeMismatchError, match="name none, not mtcnn"):
            choose_recipe(store, options)
        again = dataclasses.replace(options, redetect=True)
        assert choose_recipe(store, again) == recipe_of("facenet")


def test_other_weights_under_the_same_name_are_told(vgg: str) -> None:
    made = recipe_of("vgg16-l2")
    store = held(
        dataclasses.replace(made, extractor=dataclasses.replace(made.extractor, weights="f" * 64))
    )
    with pytest.raises(RecipeMismatchError, match=f"weights {'f' * 64}, not {vgg}"):
        choose_recipe(store, IndexOptions(system="vgg16-l2"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (IndexOptions(system="facenet", model="facenet-128"), "exclude each other"),
        (IndexOptions(system="vgg16-l2", min_face=20), "takes whole photos"),
        (IndexOptions(system="vgg16-l2", min_score=0.5), "takes whole photos"),
        (IndexOptions(system="eigenfaces"), "no system is named 'eigenfaces'"),
        (IndexOptions(model="vgg16"), "use --system vgg16-"),
        (IndexOptions(model="arcface"), "choose one of facenet-128, facenet-512$"),
    ],
)
def test_what_cannot_be_meant_is_refused(vgg: str, options: IndexOptions, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        choose_recipe(None, options)


def test_larger_networks_get_fewer_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.index_options.cores", lambda: 8)
    memory = types.SimpleNamespace(available=6_000_000_000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    assert choose_jobs(IndexOptions(), 1000) == 8
    assert choose_jobs(IndexOptions(runtime="tensorflow"), 1000) == 5
    assert choose_jobs(IndexOptions(), 1000, "vgg16") == 2
    assert choose_jobs(IndexOptions(jobs=7), 1000, "vgg16") == 7

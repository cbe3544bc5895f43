"""Photos searched at full size: the recipe that follows, and what a store of another one says."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facesearch.errors import RecipeMismatchError, UsageError
from facesearch.index_options import IndexOptions, choose_recipe, default_recipe, query_spec
from facesearch.indexing import IndexHooks
from facesearch.processing import ProcessSpec
from facesearch.recipes import Recipe
from facesearch.runtimes import RuntimeOptions
from facesearch.systems import SYSTEMS
from photo_library import Library, PoolInHere

CPU = RuntimeOptions(device="cpu")
USUAL = default_recipe("facenet-128")
HIGH = USUAL.in_detail()
WHOLE = SYSTEMS["vgg16-l2"].recipe


def held(recipe: Recipe) -> Any:
    return types.SimpleNamespace(recipe=recipe, path="faces.npz", options={})


def test_in_detail_photos_have_no_limit_and_faces_no_share() -> None:
    assert (HIGH.max_side, HIGH.detector.min_face_share) == (None, 0.0)
    assert HIGH.detector.min_face == 20
    usual = dataclasses.replace(HIGH.detector, min_face_share=USUAL.detector.min_face_share)
    assert dataclasses.replace(HIGH, max_side=USUAL.max_side, detector=usual) == USUAL
    assert HIGH.in_detail() == HIGH


def test_in_detail_there_are_other_rows_that_may_be_compared() -> None:
    assert HIGH.recipe_digest != USUAL.recipe_digest
    assert HIGH.space_digest == USUAL.space_digest
    assert Recipe.from_dict(HIGH.as_dict()) == HIGH


def test_the_usual_detail_is_that_of_a_new_store() -> None:
    assert HIGH.in_detail(False) == USUAL.in_detail(False) == USUAL
    other = dataclasses.replace(
        HIGH, detector=dataclasses.replace(HIGH.detector.with_min_score(0.5), min_face=40)
    )
    back = other.in_detail(False)
    assert (back.max_side, back.detector.min_face_share) == (2048, 0.02)
    assert (back.detector.min_face, back.detector.min_score) == (40, 0.5)


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (IndexOptions(), USUAL),
        (IndexOptions(detail="normal"), USUAL),
        (IndexOptions(detail="high"), HIGH),
        (IndexOptions(model="facenet-512", detail="high"),
         default_recipe("facenet-512").in_detail()),
        (IndexOptions(detail="high", min_face=35),
         dataclasses.replace(HIGH, detector=dataclasses.replace(HIGH.detector, min_face=35))),
        (IndexOptions(detail="high", min_score=0.4),
         dataclasses.replace(HIGH, detector=HIGH.detector.with_min_score(0.4))),
    ],
)  # fmt: skip
def test_a_new_store(options: IndexOptions, chosen: Recipe) -> None:
    assert choose_recipe(None, options) == chosen


def test_a_store_of_another_detail_says_both() -> None:
    with pytest.raises(RecipeMismatchError) as caught:
        choose_recipe(held(USUAL), IndexOptions(detail="high"))
    assert str(caught.value) == (
        "faces.npz: made with max-side 2048, not unlimited; leave the option out, or detect every "
        "photo again with --redetect"
    )
    with pytest.raises(RecipeMismatchError, match=r"max-side unlimited, not 2048; .*--redetect"):
        choose_recipe(held(HIGH), IndexOptions(detail="normal"))


@pytest.mark.parametrize(("made", "asked"), [(USUAL, "high"), (HIGH, "normal")])
def test_a_store_keeps_its_detail_unless_it_is_redetected(made: Recipe, asked: str) -> None:
    same = "normal" if asked == "high" else "high"
    assert choose_recipe(held(made), IndexOptions()) == made
    assert choose_recipe(held(made), IndexOptions(detail=same)) == made
    again = choose_recipe(held(made), IndexOptions(detail=asked, redetect=True))
    assert again == (HIGH if asked == "high" else USUAL)


@pytest.mark.parametrize("detail", ["high", "normal"])
def test_detail_says_how_large_and_is_for_faces(detail: str) -> None:
    both = IndexOptions(detail=detail, max_side=4000)
    for ask in (
        lambda: choose_recipe(None, both),
        lambda: choose_recipe(held(HIGH), both),
        lambda: query_spec(held(USUAL), CPU, both),
    ):
        with pytest.raises(UsageError, match=r"--detail and --max-side exclude each other"):
            ask()
    for ask in (
        lambda: choose_recipe(held(WHOLE), IndexOptions(detail=detail)),
        lambda: query_spec(held(WHOLE), CPU, IndexOptions(detail=detail)),
    ):
        with pytest.raises(UsageError, match=r"--detail are for faces, and .* whole photos"):
            ask()


@pytest.mark.parametrize("detail", ["higher", "", "HIGH"])
def test_a_detail_that_there_is_not_is_refused(detail: str) -> None:
    with pytest.raises(UsageError):
        choose_recipe(None, IndexOptions(detail=detail))


def test_a_query_may_be_searched_in_detail_whatever_the_store_was_made_with() -> None:
    assert query_spec(held(USUAL), CPU).recipe == USUAL
    looked = query_spec(held(USUAL), CPU, IndexOptions(detail="high"))
    assert (looked.recipe, looked.runtime) == (HIGH, CPU)
    assert (looked.limits.max_side, looked.limits.max_pixels) == (None, 200_000_000)
    assert query_spec(held(HIGH), CPU, IndexOptions(detail="normal")).recipe == USUAL
    lower = query_spec(held(HIGH), CPU, IndexOptions(min_score=0.3)).recipe
    assert (lower.max_side, lower.detector.min_score) == (None, 0.3)


def test_a_store_is_made_and_redetected_in_detail(library: Library) -> None:
    library.add_many(4)
    library.index(detail="high")
    assert library.store.recipe == HIGH
    assert library.refresh().unchanged == 4
    with pytest.raises(RecipeMismatchError, match="max-side unlimited, not 2048"):
        library.refresh(detail="normal")
    assert library.refresh(detail="normal", redetect=True).new == 4
    assert library.store.recipe == USUAL


@pytest.fixture
def run_index(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, list[ProcessSpec]]]:
    """Runs ``facesearch index`` over the library; its exit code and what its workers are told."""
    from facesearch.cli.main import run

    specs: list[ProcessSpec] = []

    def factory(spec: ProcessSpec) -> Any:
        specs.append(spec)
        return library.networks(spec)

    monkeypatch.chdir(library.home)
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FACESEARCH_STORE", raising=False)
    monkeypatch.setattr("facesearch.indexing.WorkerPool", PoolInHere)
    monkeypatch.setattr(
        "facesearch.indexing.IndexHooks",
        lambda *given: IndexHooks(*given, factory=factory),
    )

    def go(*options: str) -> tuple[int, list[ProcessSpec]]:
        specs.clear()
        return run(["index", "photos", *options]), specs

    return go


def test_the_commands_options_reach_the_workers(
    library: Library, run_index: Callable[..., tuple[int, list[ProcessSpec]]]
) -> None:
    library.add_many(3)
    options = ["--detail", "high", "--runtime", "onnx", "--precision", "int8", "--device", "cpu"]
    code, (spec,) = run_index(*options)
    assert code == 0
    assert spec.recipe == HIGH
    asked = (spec.runtime.runtime, spec.runtime.device, spec.runtime.precision)
    assert asked == ("onnx", "cpu", "int8")
    code, (spec,) = run_index("--detail", "normal", "--redetect", "--runtime", "tensorflow")
    assert code == 0
    assert spec.recipe == USUAL
    asked = (spec.runtime.runtime, spec.runtime.device, spec.runtime.precision)
    assert asked == ("tensorflow", "auto", "auto")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--detail", "higher"], "'normal', 'high'"),
        (["--runtime", "torch"], "'auto', 'onnx', 'tensorflow'"),
        (["--precision", "int4"], "'auto', 'int8', 'float32'"),
        (["--detail", "high", "--max-side", "3000"], "exclude each other"),
        (["--runtime", "tensorflow", "--precision", "int8"], "leave out --precision int8"),
    ],
)
def test_what_the_command_refuses(
    library: Library,
    run_index: Callable[..., tuple[int, list[ProcessSpec]]],
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    library.add_many(3)
    assert run_index(*options) == (2, [])
    assert words in capfd.readouterr().err
    assert not library.path.exists()

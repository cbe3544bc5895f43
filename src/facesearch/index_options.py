"""What an index run is asked to do, and the recipe, process count and plan that follow from it."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

import psutil

from facesearch import weights
from facesearch.errors import RecipeMismatchError, UsageError
from facesearch.planning import PlanOptions
from facesearch.processing import ProcessSpec
from facesearch.recipes import EXTRACTORS, Recipe
from facesearch.runtimes import RuntimeOptions
from facesearch.store import Store

DEFAULT_MODEL = "facenet-128"
DEFAULT_MAX_PIXELS = 200_000_000
_WORKER_BYTES = 1_200_000_000  # what one worker may need, to bound their number by memory
_WORTH_A_WORKER = 8  # photos for which starting one more process pays


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to index; ``None`` means: as the store has it, or the default for a new one.

    ``model`` is a name of the weights manifest. ``min_face`` is in pixels of the original photo,
    ``min_score`` 0..1, ``max_side`` the longer side at which photos are decoded, in pixels.
    ``max_pixels`` bounds what is decoded at all. ``exclude`` are glob patterns, remembered by the
    store until ``forget_excludes``. ``jobs`` are worker processes. ``device`` is "auto", "cpu" or
    "gpu". ``wait`` waits for another writer, ``offline`` never downloads, ``item_timeout`` is in
    seconds for one photo.
    """

    model: str | None = None
    min_face: int | None = None
    min_score: float | None = None
    max_side: int | None = None
    max_pixels: int | None = None
    exclude: tuple[str, ...] = ()
    forget_excludes: bool = False
    jobs: int | None = None
    device: str = "auto"
    prune: bool = False
    rebuild: bool = False
    redetect: bool = False
    verify_content: bool = False
    wait: bool = False
    offline: bool = False
    item_timeout: float = 120.0


def choose_recipe(held: Store | None, options: IndexOptions) -> Recipe:
    """The store's recipe, or the default one, with what the options ask for.

    Raises:
        RecipeMismatchError: they ask for something else than the store was made with, and
            ``redetect`` is not set.
    """
    recipe = held.recipe if held is not None else default_recipe(options.model or DEFAULT_MODEL)
    if options.model is not None:
        extractor = default_recipe(options.model).extractor
        recipe = dataclasses.replace(recipe, extractor=extractor)
    detector = recipe.detector
    if options.min_face is not None:
        detector = dataclasses.replace(detector, min_face=options.min_face, min_face_share=0.0)
    if options.min_score is not None:
        detector = detector.with_min_score(options.min_score)
    max_side = recipe.max_side if options.max_side is None else options.max_side
    recipe = dataclasses.replace(recipe, detector=detector, max_side=max_side)
    if held is not None and recipe != held.recipe and not options.redetect:
        raise RecipeMismatchError(
            f"{held.path}: made with {held.recipe.differences(recipe)}; leave the option out, or "
            "detect every photo again with --redetect"
        )
    return recipe


def default_recipe(model: str) -> Recipe:
    """The tool's own recipe around one of the FaceNet models, with its weights' hashes.

    Raises:
        UsageError: there is no such model.
    """
    if model not in EXTRACTORS:
        raise UsageError(f"there is no model {model!r}; choose one of {', '.join(EXTRACTORS)}")
    recipe = Recipe()
    hashes = tuple(weights.sha256_of(f"mtcnn-{net}") for net in ("pnet", "rnet", "onet"))
    return dataclasses.replace(
        recipe,
        detector=dataclasses.replace(recipe.detector, weights=hashes),
        extractor=dataclasses.replace(EXTRACTORS[model], weights=weights.sha256_of(model)),
    )


def with_remembered(held: Store | None, options: IndexOptions) -> IndexOptions:
    """The options with what the store remembers of earlier runs: patterns and ``max_pixels``."""
    memory = {} if held is None else held.options
    exclude = () if options.forget_excludes else tuple(memory.get("exclude", ()))
    pixels = options.max_pixels
    if pixels is None:
        pixels = int(memory.get("max_pixels", DEFAULT_MAX_PIXELS))
    merged = tuple(dict.fromkeys((*exclude, *options.exclude)))
    return dataclasses.replace(options, exclude=merged, max_pixels=pixels)


def remembered(options: IndexOptions) -> dict[str, Any]:
    """What the store keeps of the options for the next run, as plain data."""
    return {"exclude": list(options.exclude), "max_pixels": options.max_pixels}


def plan_options(held: Store | None, options: IndexOptions) -> PlanOptions:
    """How to compare folders and store; photos once too large are tried at another limit."""
    before = None if held is None else held.options.get("max_pixels")
    return PlanOptions(
        exclude=options.exclude,
        verify_content=options.verify_content,
        retry=frozenset({"too-large"}) if options.max_pixels != before else frozenset(),
    )


def query_spec(held: Store, device: str) -> ProcessSpec:
    """How to embed query photos as the store's rows were made, here on all cores.

    A query photo may be as large as those that were indexed.
    """
    pixels = with_remembered(held, IndexOptions()).max_pixels or DEFAULT_MAX_PIXELS
    return ProcessSpec(held.recipe, pixels, RuntimeOptions(device=device, threads=cores()))


def choose_jobs(options: IndexOptions, photos: int) -> int:
    """How many worker processes: what was asked for, else one a core as memory and work allow."""
    if options.jobs is not None:
        return options.jobs
    if options.device == "gpu":
        return 1
    memory = psutil.virtual_memory().available // _WORKER_BYTES
    return max(1, min(cores(), memory, -(-photos // _WORTH_A_WORKER)))


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

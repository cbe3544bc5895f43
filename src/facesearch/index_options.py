"""What an index run is asked to do, and the recipe, process count and plan that follow from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from facesearch import weights
from facesearch.cores import cores
from facesearch.errors import RecipeMismatchError, UsageError
from facesearch.processing import ProcessSpec
from facesearch.recipes import DETAILS, EXTRACTORS, Recipe
from facesearch.records import REASONS
from facesearch.runtimes import RuntimeOptions
from facesearch.store import Store
from facesearch.systems import SYSTEMS, find_system

if TYPE_CHECKING:
    from facesearch.planning import PlanOptions

DEFAULT_MODEL = "facenet-128"
DEFAULT_MAX_PIXELS = 200_000_000
_WORKER_BYTES = 1_200_000_000  # what one worker may need, to bound their number by memory
_LARGER_WORKERS = {"vgg16": 2_900_000_000, "efficientnet-v2l": 1_700_000_000}
_WORKERS = {**_LARGER_WORKERS, "facenet-128": 700_000_000, "facenet-512": 700_000_000}
_WORTH_A_WORKER = 8  # photos for which starting one more process pays


class Made(Protocol):
    """A store, or another gallery, as far as it says how its rows were made."""

    @property
    def recipe(self) -> Recipe:
        """How."""

    @property
    def options(self) -> dict[str, Any]:
        """What ``index`` was told and remembers."""


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to index; ``None`` means: as the store has it, or the default for a new one.

    ``system`` is a name of ``systems.SYSTEMS``, ``model`` one of the weights manifest; one excludes
    the other. ``min_face`` is in pixels of the original photo,
    ``min_score`` 0..1, ``max_side`` the longer side at which photos are decoded, in pixels.
    ``detail`` is "normal" or "high", which searches photos at their full size.
    ``max_pixels`` bounds what is decoded at all. ``only`` are the relative paths to look at, the
    rest of the folder and of the store stays as it is. ``exclude`` are glob patterns, remembered by
    the store until ``forget_excludes``. ``jobs`` are worker processes. ``cluster`` is the address
    of one that reads the photos, see ``clusters``; None: this machine. ``device``, ``runtime`` and
    ``precision`` are those of ``RuntimeOptions``. ``retry`` reads again what failed in earlier
    runs, unchanged as it is. ``wait`` waits for another writer. ``encrypt`` puts a store that
    is plain, or new, under a passphrase; an encrypted one stays so anyhow. ``offline`` never
    downloads, ``item_timeout`` is in seconds for one photo.
    """

    model: str | None = None
    system: str | None = None
    min_face: int | None = None
    min_score: float | None = None
    max_side: int | None = None
    detail: str | None = None
    max_pixels: int | None = None
    exclude: tuple[str, ...] = ()
    only: frozenset[str] | None = None
    forget_excludes: bool = False
    jobs: int | None = None
    cluster: str | None = None
    device: str = "auto"
    runtime: str = "auto"
    precision: str = "auto"
    prune: bool = False
    rebuild: bool = False
    redetect: bool = False
    retry: bool = False
    verify_content: bool = False
    wait: bool = False
    encrypt: bool = False
    offline: bool = False
    item_timeout: float = 120.0

    @property
    def runtime_options(self) -> RuntimeOptions:
        """What runs the networks in each worker."""
        return RuntimeOptions(self.runtime, self.device, precision=self.precision)


def choose_recipe(held: Store | None, options: IndexOptions) -> Recipe:
    """The store's recipe, or the default one, with what the options ask for.

    Raises:
        UsageError: the options contradict each other, or name what there is not.
        WeightsError: weights whose hash nobody states beforehand are not here.
        RecipeMismatchError: they ask for something else than the store was made with, and
            ``redetect`` is not set.
    """
    recipe = _as_detected(_asked_for(held, options), options)
    if held is not None and recipe != held.recipe and not options.redetect:
        raise RecipeMismatchError(
            f"{held.path}: made with {held.recipe.differences(recipe)}; leave the option out, or "
            "detect every photo again with --redetect"
        )
    return recipe


def _as_detected(recipe: Recipe, options: IndexOptions) -> Recipe:
    """The recipe with the detection options that were given."""
    for_faces = (options.min_face, options.min_score, options.detail)
    if recipe.subject == "photo" and for_faces != (None, None, None):
        raise UsageError(
            f"--min-face, --min-score and --detail are for faces, and {recipe.name} takes whole "
            "photos; leave them out"
        )
    if options.detail not in (None, *DETAILS):
        known = ", ".join(DETAILS)
        raise UsageError(f"there is no detail {options.detail!r}; choose one of {known}")
    if options.detail is not None and options.max_side is not None:
        raise UsageError("--detail and --max-side exclude each other: detail says how large")
    if options.detail is not None:
        recipe = recipe.in_detail(options.detail == "high")
    detector = recipe.detector
    if options.min_face is not None:
        detector = dataclasses.replace(detector, min_face=options.min_face, min_face_share=0.0)
    if options.min_score is not None:
        detector = detector.with_min_score(options.min_score)
    max_side = recipe.max_side if options.max_side is None else options.max_side
    return dataclasses.replace(recipe, detector=detector, max_side=max_side)


def default_recipe(model: str) -> Recipe:
    """The tool's own recipe around one of the FaceNet models, with its weights' hashes.

    Raises:
        UsageError: there is no such model, or it takes whole photos.
    """
    whole = {
        system.recipe.extractor.model: system.name
        for system in SYSTEMS.values()
        if system.recipe.subject == "photo"
    }
    if model in whole:
        raise UsageError(f"{model} takes whole photos; use --system {whole[model]}")
    if model not in EXTRACTORS:
        known = ", ".join(name for name in EXTRACTORS if name not in whole)
        raise UsageError(f"there is no model {model!r}; choose one of {known}")
    return _with_hashes(dataclasses.replace(Recipe(), extractor=EXTRACTORS[model]))


def recipe_of(system: str) -> Recipe:
    """The recipe of a named system, with its weights' hashes.

    Raises:
        UsageError: there is no such system.
        WeightsError: the hash of its weights is known only once they are here, and they are not;
            names the command that brings them.
    """
    return _with_hashes(find_system(system).recipe)


def _asked_for(held: Store | None, options: IndexOptions) -> Recipe:
    """The recipe of the system or around the model that is named, else the store's."""
    if options.system is not None and options.model is not None:
        raise UsageError("--system and --model exclude each other: a system has its model")
    if options.system is not None:
        return recipe_of(options.system)
    if options.model is None:
        return default_recipe(DEFAULT_MODEL) if held is None else held.recipe
    named = default_recipe(options.model)
    if held is None or held.recipe.subject != named.subject:
        return named
    return dataclasses.replace(held.recipe, extractor=named.extractor)


def _with_hashes(recipe: Recipe) -> Recipe:
    detector, extractor = recipe.detector, recipe.extractor
    if detector.name == "mtcnn":
        hashes = tuple(weights.sha256_of(f"mtcnn-{net}") for net in ("pnet", "rnet", "onet"))
        detector = dataclasses.replace(detector, weights=hashes)
    known = weights.sha256_of(extractor.model)
    extractor = dataclasses.replace(extractor, weights=known)
    return dataclasses.replace(recipe, detector=detector, extractor=extractor)


def with_remembered(held: Made | None, options: IndexOptions) -> IndexOptions:
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
    """How to compare folders and store; photos once too large are tried at another limit, and all
    that failed where that is asked for.
    """
    from facesearch.planning import PlanOptions

    retry = frozenset(REASONS) if options.retry else frozenset()
    before = None if held is None else held.options.get("max_pixels")
    return PlanOptions(
        exclude=options.exclude,
        only=options.only,
        verify_content=options.verify_content,
        retry=retry | ({"too-large"} if options.max_pixels != before else set()),
        patience=options.item_timeout,
    )


def query_spec(
    held: Made, runtime: RuntimeOptions, looked: IndexOptions | None = None
) -> ProcessSpec:
    """How to embed query photos as the store's rows were made.

    A query photo may be as large as those that were indexed. ``looked``: its options of detection
    apply to the query photos, whatever the store was made with.

    Raises:
        UsageError: options of detection for a store of whole photos.
    """
    recipe = _as_detected(held.recipe, looked or IndexOptions())
    pixels = with_remembered(held, IndexOptions()).max_pixels or DEFAULT_MAX_PIXELS
    return ProcessSpec(recipe, pixels, runtime)


def looking_spec(options: IndexOptions) -> ProcessSpec:
    """How to look for faces where there is no store: by the recipe asked for, all cores on a photo.

    Raises:
        UsageError: as ``choose_recipe``, or the system takes whole photos.
        WeightsError: as ``choose_recipe``.
    """
    if options.system and find_system(options.system).recipe.subject == "photo":
        raise UsageError(
            f"{options.system} takes whole photos and looks for no face; leave --system out, or "
            "name facenet, facenet-best or mtcnn-facenet"
        )
    runtime = RuntimeOptions(options.runtime, options.device, cores(), options.precision)
    pixels = DEFAULT_MAX_PIXELS if options.max_pixels is None else options.max_pixels
    return ProcessSpec(choose_recipe(None, options), pixels, runtime)


def choose_jobs(options: IndexOptions, photos: int, model: str = DEFAULT_MODEL) -> int:
    """How many worker processes: what was asked for, else one a core as memory and work allow.

    ``model`` is the recipe's, for larger networks need more memory.
    """
    if options.jobs is not None:
        return options.jobs
    if options.device == "gpu":
        return 1
    import psutil

    memory = psutil.virtual_memory().available // worker_bytes(model, options.runtime)
    return max(1, min(cores(), memory, -(-photos // _WORTH_A_WORKER)))


def worker_bytes(model: str, runtime: str = "auto") -> int:
    """Memory that one worker with this model may need, a photo of 50 million pixels in it."""
    known = _LARGER_WORKERS if runtime == "tensorflow" else _WORKERS
    return known.get(model, _WORKER_BYTES)

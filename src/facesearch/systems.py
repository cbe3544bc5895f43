"""The published systems and our own: a recipe, which is in the store, and a search setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from facesearch.errors import UsageError
from facesearch.recipes import EXTRACTORS, CropOptions, DetectorOptions, Recipe

DEFAULT = "facenet"
ALL = "all"
PCA_COMPONENTS = 400


@dataclass(frozen=True, slots=True)
class SearchSetting:
    """How a system looks for neighbours.

    ``backend`` is a name of ``search.BACKENDS``, ``k`` the neighbours it returned as published,
    ``components`` those of a principal component analysis (backend "pca" alone).
    """

    backend: str = "sklearn"
    k: int = 25
    components: int = 0


@dataclass(frozen=True, slots=True)
class System:
    """One way to search faces. ``title`` says it in a line, ``source`` where it was published.

    ``recipe`` lacks the weights' hashes; systems whose recipes are equal share a store.
    ``photos_per_second`` is what two cores index, to tell the time of a run beforehand.
    """

    name: str
    title: str
    source: str
    recipe: Recipe
    search: SearchSetting
    photos_per_second: float


def find_system(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in SYSTEMS:
        known = ", ".join([*SYSTEMS, ALL])
        raise UsageError(f"no system is named {name!r}; there are {known}")
    return SYSTEMS[name]


def choose_systems(names: Sequence[str]) -> list[System]:
    """The systems named, each once, in the order named; "all" stands for every one.

    Raises:
        UsageError: there is no such system.
    """
    spread = [each for name in names for each in (SYSTEMS if name == ALL else (name,))]
    return [find_system(name) for name in dict.fromkeys(spread)]


def system_with(recipe: Recipe) -> System:
    """The system whose stores have this recipe, else one named after it that searches plainly.

    Args:
        recipe: of a store, with its weights' hashes.
    """
    for system in SYSTEMS.values():
        if _without_weights(system.recipe) == _without_weights(recipe):
            return system
    name = f"{recipe.name}, as in the store"
    return System(name, "the store's own recipe", _OWN, recipe, SearchSetting(), 36.0)


def _without_weights(recipe: Recipe) -> Recipe:
    return replace(
        recipe,
        name="",
        detector=replace(recipe.detector, weights=()),
        extractor=replace(recipe.extractor, weights=""),
    )


def _whole_photo(model: str, resampling: str) -> Recipe:
    """The whole photo is one item, stretched to the network's input."""
    detector = DetectorOptions("none", 0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    return Recipe(model, detector, CropOptions("whole", 0.0, resampling), EXTRACTORS[model])


def _facenet() -> Recipe:
    return Recipe()


def _facenet_best() -> Recipe:
    """Two crops of each face, each averaged with its mirror image: four embeddings a face, the
    combination that ``benchmarks/choosing.py`` found best.
    """
    return replace(
        _facenet(),
        name="facenet-best",
        crop=CropOptions("aligned", 0.03),
        extractor=replace(EXTRACTORS["facenet-128"], flip=True),
        further_crops=(CropOptions("margin", 0.1),),
    )


def _mtcnn_facenet() -> Recipe:
    """The tight box, stretched; every face from 20 pixels up."""
    return Recipe(
        "mtcnn-facenet",
        DetectorOptions(min_face_share=0.0),
        CropOptions("margin", 0.0, "cubic"),
        EXTRACTORS["facenet-128"],
    )


_FIRST, _SECOND, _OWN = "first course report", "second course report", "facesearch"
_NEIGHBORS_20 = SearchSetting(k=20)

SYSTEMS = {
    system.name: system
    for system in (
        System(
            "facenet",
            "MTCNN, five-point alignment, FaceNet 128-d",
            _OWN,
            _facenet(),
            SearchSetting(),
            36.0,
        ),
        System(
            "facenet-best",
            "the same, four embeddings a face: aligned and as it is, each mirrored too",
            _OWN,
            _facenet_best(),
            SearchSetting(),
            11.7,
        ),
        System(
            "mtcnn-facenet",
            "MTCNN, tight box, FaceNet 128-d, NearestNeighbors",
            _FIRST,
            _mtcnn_facenet(),
            SearchSetting(),
            36.0,
        ),
        System(
            "vgg16-l2",
            "VGG16 fc1 of the whole photo, brute Euclidean distance",
            _FIRST,
            _whole_photo("vgg16", "cubic"),
            SearchSetting("brute"),
            3.0,
        ),
        System(
            "vgg16-neighbors",
            "the same embeddings, NearestNeighbors",
            _FIRST,
            _whole_photo("vgg16", "cubic"),
            SearchSetting(),
            3.0,
        ),
        System(
            "vgg16-pca",
            "the same embeddings, principal components, cosine distance",
            _FIRST,
            _whole_photo("vgg16", "cubic"),
            SearchSetting("pca", components=PCA_COMPONENTS),
            3.0,
        ),
        System(
            "small-cnn",
            "three convolutions trained on LFW, flattened, NearestNeighbors",
            _SECOND,
            _whole_photo("small-cnn", "cubic"),
            _NEIGHBORS_20,
            30.0,
        ),
        System(
            "small-cnn-without-pois",
            "the same, trained without the people it is tested on",
            _SECOND,
            _whole_photo("small-cnn-without-pois", "cubic"),
            _NEIGHBORS_20,
            30.0,
        ),
        System(
            "inception-resnet-v2",
            "InceptionResNetV2 (ImageNet), flattened, NearestNeighbors",
            _SECOND,
            _whole_photo("inception-resnet-v2", "cubic"),
            _NEIGHBORS_20,
            5.0,
        ),
        System(
            "efficientnet-v2l",
            "EfficientNetV2L (ImageNet), flattened, NearestNeighbors",
            _SECOND,
            _whole_photo("efficientnet-v2l", "cubic"),
            _NEIGHBORS_20,
            2.0,
        ),
    )
}
"""Every system by name; a further one is one entry here."""

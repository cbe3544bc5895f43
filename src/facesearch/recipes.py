"""The named systems as plain data, and the two digests that say what may be compared.

``recipe_digest`` covers everything that decides which rows exist; ``space_digest`` what makes rows
comparable. A recipe builds nothing and imports no network.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from facesearch.errors import RecipeMismatchError


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """How faces are found. ``name`` is "mtcnn", or "none" where the whole photo is one item.

    ``min_face`` is the smallest face in original pixels; a face must also reach ``min_face_share``
    of the photo's shorter side. ``thresholds`` are those of P-, R- and O-Net; ``min_score`` is the
    lowest final score kept. ``weights`` are the SHA-256 of the three weight files.
    Source: Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded
    Convolutional Networks".
    """

    name: str = "mtcnn"
    min_face: int = 20
    min_face_share: float = 0.02
    min_score: float = 0.8
    scale_factor: float = 0.709
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8)
    weights: tuple[str, ...] = ()

    def with_min_score(self, score: float) -> DetectorOptions:
        """The same, keeping faces from ``score`` up."""
        return replace(self, min_score=score, thresholds=(*self.thresholds[:2], score))


@dataclass(frozen=True, slots=True)
class CropOptions:
    """How a face is cut out and brought to the extractor's input size.

    ``name`` is "aligned" (turned and scaled so that the five landmarks lie where they do in an
    upright face; a box without landmarks is cut as "margin"), "margin" (the box, stretched to a
    square), "square" (the square around the box) or "whole" (the whole photo, stretched to a
    square). ``margin`` is what is left around the box, as a
    share of its longer side, on each side. ``resampling`` is "area" (areas when shrinking, linear
    when growing), "cubic" (the same with cubic) or "linear". ``benchmarks/crops.py`` compares the
    default with others.
    """

    name: str = "aligned"
    margin: float = 0.05
    resampling: str = "area"


@dataclass(frozen=True, slots=True)
class ExtractorOptions:
    """How a crop becomes an embedding. ``model`` is a name of the weights manifest, ``weights`` its
    SHA-256. ``standardise`` is how the network brings pixels to one scale, ``flip`` averages with
    the mirrored crop, ``unit`` brings rows to length 1; without it they stay as the network gave
    them, and their distances have no upper limit.
    """

    model: str = "facenet-128"
    weights: str = ""
    dim: int = 128
    input_size: int = 160
    standardise: str = "face"
    flip: bool = False
    unit: bool = True


EXTRACTORS = {
    "facenet-128": ExtractorOptions(),
    "facenet-512": ExtractorOptions(model="facenet-512", dim=512, standardise="fixed"),
    "vgg16": ExtractorOptions("vgg16", "", 4_096, 224, "caffe"),
    "inception-resnet-v2": ExtractorOptions(
        "inception-resnet-v2", "", 55_296, 250, "tf", unit=False
    ),
    "efficientnet-v2l": ExtractorOptions("efficientnet-v2l", "", 81_920, 250, "none", unit=False),
    "small-cnn": ExtractorOptions("small-cnn", "", 107_648, 250, "none", unit=False),
    "small-cnn-without-pois": ExtractorOptions(
        "small-cnn-without-pois", "", 107_648, 250, "none", unit=False
    ),
}
"""The embedding networks as published, by name; weights' hashes are filled in from the manifest."""


DETAILS = ("normal", "high")
"""How closely photos are searched; see ``Recipe.in_detail``."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Photo to rows, complete. ``max_side`` bounds the longer side at which photos are decoded,
    None decodes them whole.

    ``further_crops`` are cut as well, and a face's row is the mean of all its crops' rows.
    """

    name: str = "facenet"
    detector: DetectorOptions = field(default_factory=DetectorOptions)
    crop: CropOptions = field(default_factory=CropOptions)
    extractor: ExtractorOptions = field(default_factory=ExtractorOptions)
    max_side: int | None = 2048
    further_crops: tuple[CropOptions, ...] = ()

    def in_detail(self, high: bool = True) -> Recipe:
        """The same, searching photos at their full size for faces from ``min_face`` pixels up, or
        as photos are searched by default.
        """
        if high == (self.max_side is None):
            return self
        usual = Recipe()
        share, side = (0.0, None) if high else (usual.detector.min_face_share, usual.max_side)
        return replace(self, detector=replace(self.detector, min_face_share=share), max_side=side)

    @property
    def crops(self) -> tuple[CropOptions, ...]:
        """All ways in which a face is cut."""
        return (self.crop, *self.further_crops)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = asdict(self)
        if not self.further_crops:  # most recipes, whose digests are older than this field
            del data["further_crops"]
        else:
            data["further_crops"] = [asdict(crop) for crop in self.further_crops]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """Inverse of ``as_dict``.

        Raises:
            RecipeMismatchError: a field is missing or unknown to this version.
        """
        try:
            detector = dict(data["detector"])
            detector["thresholds"] = tuple(detector["thresholds"])
            detector["weights"] = tuple(detector["weights"])
            recipe = cls(
                name=data["name"],
                detector=DetectorOptions(**detector),
                crop=CropOptions(**data["crop"]),
                extractor=ExtractorOptions(**data["extractor"]),
                max_side=data["max_side"],
                further_crops=tuple(CropOptions(**crop) for crop in data.get("further_crops", ())),
            )
            _require_kinds(recipe)
            return recipe
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeMismatchError(f"the recipe cannot be understood ({error})") from error

    @property
    def subject(self) -> str:
        """What a row stands for: "face" or "photo"."""
        return "photo" if self.detector.name == "none" else "face"

    def differences(self, other: Recipe) -> str:
        """Each field in which the two differ with both values, for people."""
        mine, its = _flat(self.as_dict()), _flat(other.as_dict())
        unequal = [key for key in sorted(mine.keys() | its.keys()) if mine.get(key) != its.get(key)]
        telling = [key for key in unequal if key not in _TOLD_BY_OTHERS]
        differing = telling or [key for key in unequal if key != "name"]
        return ", ".join(
            f"{key.split()[-1].replace('_', '-')} {_told(key, mine)}, not {_told(key, its)}"
            for key in differing
        )

    @property
    def recipe_digest(self) -> str:
        """SHA-256 (hex) over all that decides which rows exist; the name is not part of it."""
        return _digest({key: value for key, value in self.as_dict().items() if key != "name"})

    @property
    def space_digest(self) -> str:
        """SHA-256 (hex) over all that makes rows comparable: crops and extractor."""
        data = self.as_dict()
        return _digest(
            {key: data[key] for key in ("crop", "further_crops", "extractor") if key in data}
        )


def _require_kinds(recipe: Recipe) -> None:
    """Raise where a value is of another kind than it should be."""
    usual = Recipe()
    parts: list[tuple[Any, Any]] = [(recipe.detector, usual.detector)]
    parts += [(recipe.extractor, usual.extractor)]
    parts += [(crop, usual.crop) for crop in recipe.crops]
    for given, like in parts:
        # Not ``asdict``: it copies all that a stranger wrote, and every opening of a store asks.
        for each in fields(like):
            _require_kind(each.name, getattr(given, each.name), getattr(like, each.name))
    _require_kind("name", recipe.name, usual.name)
    if recipe.max_side is not None:
        _require_kind("max_side", recipe.max_side, 0)
    if len(recipe.detector.thresholds) != len(usual.detector.thresholds):
        raise ValueError("three thresholds are needed")
    for threshold in recipe.detector.thresholds:
        _require_kind("thresholds", threshold, 0.0)
    for weights in recipe.detector.weights:
        _require_kind("weights", weights, "")


def _require_kind(name: str, value: object, like: object) -> None:
    kinds = (int, float) if isinstance(like, float) else (type(like),)
    if type(value) not in kinds:
        raise TypeError(f"{name} is {value!r}")


def _told(key: str, values: dict[str, Any]) -> object:
    return "unlimited" if values.get(key, "") is None else values.get(key)


def _digest(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_TOLD_BY_OTHERS = frozenset(
    {
        "name",
        "detector min_face_share",
        "detector thresholds",
        "extractor weights",
        "extractor dim",
        "extractor standardise",
    }
)
"""Fields that follow from another one, which people know."""


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            flat |= {f"{key} {inner}": content for inner, content in value.items()}
        else:
            flat[key] = value
    return flat

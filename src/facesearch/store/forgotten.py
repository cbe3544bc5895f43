"""What must not come back: photos and faces that were forgotten, known by the hash of the photo's
bytes and by nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from facesearch.errors import StoreError
from facesearch.records import PhotoResult

ENTERED = "forgotten"
"""Under which name it is kept among what people entered."""

_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class FacesLeftOut:
    """Those forgotten of the ``count`` faces that a recipe (its digest) finds in a photo, by their
    ``numbers`` from 1, ascending.
    """

    recipe: str
    count: int
    numbers: tuple[int, ...]

    def plus(self, numbers: Sequence[int]) -> FacesLeftOut:
        """With these too."""
        return replace(self, numbers=tuple(sorted({*self.numbers, *numbers})))

    @property
    def left(self) -> int:
        """How many faces stay."""
        return self.count - len(self.numbers)

    @property
    def remaining(self) -> list[int]:
        """The numbers of the faces that stay; first ask for how many."""
        gone = set(self.numbers)
        return [number for number in range(1, self.count + 1) if number not in gone]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """``photos`` left out whole, with their size in bytes; ``faces`` left out of others. Both by
    the SHA-256 of the photo's bytes.
    """

    photos: Mapping[bytes, int] = field(default_factory=dict)
    faces: Mapping[bytes, FacesLeftOut] = field(default_factory=dict)

    @classmethod
    def of(cls, entered: Mapping[str, Any]) -> Forgotten:
        """What is kept among ``entered``.

        Raises:
            StoreError: it makes no sense; to go on without it would bring back what was forgotten.
        """
        held = entered.get(ENTERED, {})
        try:
            return cls(
                {_hash(key): int(size) for key, size in held.get("photos", {}).items()},
                {_hash(key): _faces(value) for key, value in held.get("faces", {}).items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"what was forgotten is not to be read ({error})") from error

    def into(self, entered: Mapping[str, Any]) -> dict[str, Any]:
        """What people entered, with this in place of what was kept before."""
        others = {name: value for name, value in entered.items() if name != ENTERED}
        if not self:
            return others
        photos = {key.hex(): size for key, size in sorted(self.photos.items())}
        faces = {
            key.hex(): {"recipe": out.recipe, "count": out.count, "numbers": list(out.numbers)}
            for key, out in sorted(self.faces.items())
        }
        return others | {ENTERED: {"photos": photos, "faces": faces}}

    @property
    def single_faces(self) -> int:
        """How many faces of photos that are not left out whole."""
        return sum(len(out.numbers) for out in self.faces.values())

    def __bool__(self) -> bool:
        return bool(self.photos or self.faces)

    def plus(self, other: Forgotten) -> Forgotten:
        """Both; a photo left out whole has no faces to leave out. Where the two number a photo's
        faces differently, all of it is left out.
        """
        photos = {**self.photos, **other.photos}
        faces = {**self.faces}
        for key, out in other.faces.items():
            held = faces.setdefault(key, out)
            if (held.recipe, held.count) == (out.recipe, out.count):
                faces[key] = held.plus(out.numbers)
            else:
                photos.setdefault(key, 0)
        return Forgotten(photos, {key: out for key, out in faces.items() if key not in photos})

    def without(self, hashes: Sequence[bytes]) -> Forgotten:
        """The same, but for these photos, which may come back."""
        back = set(hashes)
        return Forgotten(
            {key: size for key, size in self.photos.items() if key not in back},
            {key: out for key, out in self.faces.items() if key not in back},
        )

    def numbers(self, content_hash: bytes, count: int) -> Sequence[int]:
        """The numbers of the ``count`` faces that there are of a photo, in order."""
        out = self.faces.get(content_hash)
        # Counted before they are listed: a stranger's photo may claim any number of faces.
        if out is None or out.left != count:
            return range(1, count + 1)  # none has gone yet
        return out.remaining

    def kept(self, result: PhotoResult, recipe: str) -> PhotoResult | None:
        """What may be kept of what became of a photo; None for nothing.

        A photo of which a face was forgotten stays out whole where the faces found are others than
        they were: which of them it was can then not be told.
        """
        out = self.faces.get(result.content_hash)
        if result.content_hash in self.photos:
            return None
        if out is None or result.failure is not None:
            return result
        if (out.recipe, out.count) != (recipe, len(result.faces)):
            return None
        places = [number - 1 for number in out.remaining]
        faces = tuple(result.faces[place] for place in places)
        return replace(result, faces=faces, embeddings=result.embeddings[places])


def _hash(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != _HASH_BYTES:
        raise ValueError("a hash has 32 bytes")
    return found


def _faces(value: Mapping[str, Any]) -> FacesLeftOut:
    numbers = tuple(sorted({int(number) for number in value["numbers"]}))
    count = int(value["count"])
    if not numbers or not 1 <= numbers[0] <= numbers[-1] <= count:
        raise ValueError("a face has a number that its photo has not")
    return FacesLeftOut(str(value["recipe"]), count, numbers)

"""Which way of cutting out a face serves FaceNet best, measured on Labeled Faces in the Wild.

Probes are the photos of people with exactly ``--photos-each``, one photo at a time; the gallery is
every other photo (or ``--gallery`` of them, besides the probes' people). Each photo stands for its
most central face; a photo without one counts as a miss. Cosine, highest first.

The 55 people with six photos are those that the project reports its accuracy on, so choose a crop
on others (five photos, the default) and look at those with six only to confirm.

    python -m benchmarks.crops --gallery 3000
    python -m benchmarks.crops --gallery 3000 --scores

With ``--scores`` it asks instead how low a detector's score may be: every face counts, each photo
by its nearest.

Detections and embeddings are kept in ``--cache``, so that a further crop costs only its own time.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from facesearch.extractors import Extractor, load_extractor
from facesearch.faces import load_detector
from facesearch.faces.crop import crop_faces
from facesearch.recipes import CropOptions, DetectorOptions, ExtractorOptions
from facesearch.records import Box, Embeddings, Face, Pixels
from facesearch.runtimes import RuntimeOptions

LFW = Path(__file__).resolve().parents[1].parent / "shared" / "lfw"
LOWEST_SCORE = 0.6

Prepare = Callable[[Pixels, Face], tuple[Pixels, Face]]


@dataclass(frozen=True)
class Variant:
    """One way to cut: the library's options, and what is done to photo and face before."""

    label: str
    crop: CropOptions
    prepare: Prepare | None = None
    probes_only: bool = False


@dataclass(frozen=True)
class Scores:
    """Shares of 1: first neighbour right, mean average precision, mates among the first 19."""

    rank_1: float
    mean_average_precision: float
    recall_19: float


def in_pixels(margin: int) -> Prepare:
    """The margin in pixels on every side, whatever the size of the face."""

    def grow(pixels: Pixels, face: Face) -> tuple[Pixels, Face]:
        box = face.box
        grown = Box(box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin)
        return pixels, dataclasses.replace(face, box=grown)

    return grow


def cut_at_face(pad: str) -> Prepare:
    """The photo ends at the face's left and upper edge; then it is padded, unless ``pad`` is ""."""

    def cut(pixels: Pixels, face: Face) -> tuple[Pixels, Face]:
        x, y, by = max(0, round(face.box.x)), max(0, round(face.box.y)), 60 if pad else 0
        rest = pixels[y:, x:]
        if pad == "edge":
            rest = np.pad(rest, ((by, by), (by, by), (0, 0)), mode="edge")
        elif pad == "black":
            rest = np.pad(rest, ((by, by), (by, by), (0, 0)))
        landmarks = tuple((px - x + by, py - y + by) for px, py in face.landmarks)
        box = dataclasses.replace(face.box, x=face.box.x - x + by, y=face.box.y - y + by)
        return rest, dataclasses.replace(face, box=box, landmarks=landmarks)

    return cut


def _margin(margin: float, resampling: str = "area", name: str = "margin") -> CropOptions:
    return CropOptions(name, margin, resampling)


VARIANTS = [
    Variant("tight box", _margin(0.0)),
    Variant("10 px", _margin(0.0), in_pixels(10)),
    Variant("16 px", _margin(0.0), in_pixels(16)),
    *[Variant(f"margin {share}", _margin(share)) for share in (0.05, 0.08, 0.1, 0.15, 0.2)],
    Variant("margin 0.08, cubic", _margin(0.08, "cubic")),
    Variant("square 0.0", _margin(0.0, name="square")),
    *[Variant(f"aligned {m}", _margin(m, name="aligned")) for m in (0.0, 0.03, 0.05, 0.08)],
    Variant("margin 0.08, probe at the border: clipped", _margin(0.08), cut_at_face(""), True),
    Variant("margin 0.08, probe at the border: edge", _margin(0.08), cut_at_face("edge"), True),
    Variant("margin 0.08, probe at the border: black", _margin(0.08), cut_at_face("black"), True),
]
GALLERY_OF_PROBES_ONLY = Variant("margin 0.08", _margin(0.08))


def choose_photos(lfw: Path, each: int, gallery: int | None) -> tuple[list[Path], list[bool]]:
    """Photos in sorted order and which of them are probes."""
    people: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(lfw.glob("*/*.jpg")):
        people[path.parent.name].append(path)
    probes = [photo for photos in people.values() if len(photos) == each
              for photo in photos]  # fmt: skip
    others = sorted(set().union(*people.values()) - set(probes))
    if gallery is not None and gallery < len(others):
        others = random.Random(0).sample(others, gallery)
    chosen, known = sorted([*probes, *others]), set(probes)
    return chosen, [path in known for path in chosen]


def find_faces(photos: Sequence[Path], cache: Path, runtime: RuntimeOptions) -> list[list[Face]]:
    """Every face of each photo, from the cache where it has them."""
    file = cache / "faces.npz"
    if not file.exists():
        options = DetectorOptions().with_min_score(LOWEST_SCORE)
        detector = load_detector(options, runtime)
        found = [detector.detect(read(path), 20.0) for path in tqdm(photos, "faces", leave=False)]
        rows = [[n, *dataclasses.astuple(face.box), face.score, *np.ravel(face.landmarks)]
                for n, faces in enumerate(found) for face in faces]  # fmt: skip
        np.savez(file, rows=np.array(rows))
    faces: list[list[Face]] = [[] for _ in photos]
    for row in np.load(file)["rows"]:
        landmarks = tuple((float(x), float(y)) for x, y in row[6:].reshape(5, 2))
        faces[int(row[0])].append(Face(Box(*map(float, row[1:5])), landmarks, float(row[5])))
    return faces


def read(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def most_central(faces: Sequence[Face], min_score: float) -> Face | None:
    """The face whose centre is nearest to the middle of an LFW photo."""
    good = [face for face in faces if face.score >= min_score]
    return min(good, key=lambda face: np.hypot(*(np.array(face.box.center) - 125)), default=None)


def embed(
    jobs: Sequence[tuple[Path, Face]], variant: Variant, extractor: Extractor, file: Path
) -> Embeddings:
    """One row for each (photo, face), from the cache where it has them."""
    if not file.exists():
        progress = tqdm(total=len(jobs), desc=variant.label, leave=False)
        parts = []
        for batch in batches(jobs, 64):
            crops = [cut(read(path), face, variant, extractor.input_size) for path, face in batch]
            parts.append(extractor.embed(np.concatenate(crops)))
            progress.update(len(batch))
        np.save(file, np.concatenate(parts))
    return np.asarray(np.load(file), np.float32)


def batches(jobs: Sequence[tuple[Path, Face]], size: int) -> Iterator[Sequence[tuple[Path, Face]]]:
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]


def cut(pixels: Pixels, face: Face, variant: Variant, size: int) -> Pixels:
    if variant.prepare is not None:
        pixels, face = variant.prepare(pixels, face)
    return crop_faces(pixels, [face], variant.crop, size)


def cosines(probes: Embeddings, gallery: Embeddings) -> NDArray[np.float64]:
    return probes.astype(np.float64) @ gallery.astype(np.float64).T


def evaluate(
    similarity: NDArray[np.float64],
    own: NDArray[np.intp],
    right: NDArray[np.bool_],
    mates: int,
) -> Scores:
    """Rank the gallery for every probe, without the probe's own photo.

    ``similarity`` and ``right`` (who is a mate) are (probes, gallery); ``own`` is each probe's
    place in the gallery; ``mates`` how many there are, those without a detected face included.
    """
    similarity = similarity.copy()
    lines = np.arange(len(own))
    similarity[lines, own] = -np.inf
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :-1]
    hits = np.take_along_axis(right, order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    average = (precision * hits).sum(axis=1) / mates
    recall = hits[:, :19].sum(axis=1) / mates
    return Scores(float(hits[:, 0].mean()), float(average.mean()), float(recall.mean()))


def compare(args: argparse.Namespace) -> None:
    runtime = RuntimeOptions(device=args.device, threads=args.threads)
    photos, is_probe = choose_photos(args.lfw, args.photos_each, args.gallery)
    faces = find_faces(photos, args.cache, runtime)
    central = [most_central(found, args.min_score) for found in faces]
    missed = sum(face is None for face in central)
    probes_missed = sum(
        face is None for face, probe in zip(central, is_probe, strict=True) if probe
    )
    jobs = [(path, face) for path, face in zip(photos, central, strict=True) if face is not None]
    probe = np.array([p for p, face in zip(is_probe, central, strict=True) if face is not None])
    people = np.array([path.parent.name for path, _ in jobs])
    own = np.flatnonzero(probe)
    right = people[own][:, None] == people[None, :]
    seen = len(own) / (len(own) + probes_missed)
    print(f"{len(photos)} photos, {missed} without a face; {len(own)} probes")
    print(f"{'crop':<44} rank-1     mAP  recall@19")
    extractor = load_extractor(ExtractorOptions(model=args.model, flip=args.flip), runtime)

    def rows_of(variant: Variant, wanted: Sequence[tuple[Path, Face]]) -> Embeddings:
        name = variant.label.replace(" ", "-").replace(":", "").replace(",", "")
        file = args.cache / f"{args.min_score}-{args.model}-{args.flip}-{name}.npy"
        return embed(wanted, variant, extractor, file)

    for variant in VARIANTS:
        if args.only and variant.label not in args.only:
            continue
        if variant.probes_only:
            probes = rows_of(variant, [jobs[row] for row in own])
            gallery = rows_of(GALLERY_OF_PROBES_ONLY, jobs)
        else:
            gallery = rows_of(variant, jobs)
            probes = gallery[own]
        scores = evaluate(cosines(probes, gallery), own, right, args.photos_each - 1)
        figures = [100 * seen * value for value in dataclasses.astuple(scores)]
        print(f"{variant.label:<44} {figures[0]:6.2f}  {figures[1]:6.2f}  {figures[2]:6.2f}",
              flush=True)  # fmt: skip


def compare_scores(args: argparse.Namespace) -> None:
    """What a gallery of every face gains and loses with the lowest score that is kept."""
    runtime = RuntimeOptions(device=args.device, threads=args.threads)
    photos, is_probe = choose_photos(args.lfw, args.photos_each, args.gallery)
    faces = find_faces(photos, args.cache, runtime)
    jobs = [(path, face) for path, its in zip(photos, faces, strict=True) for face in its]
    variant = Variant("every face", CropOptions())
    extractor = load_extractor(ExtractorOptions(model=args.model, flip=args.flip), runtime)
    file = args.cache / f"{args.model}-{args.flip}-every-face.npy"
    rows = embed(jobs, variant, extractor, file)
    photo_of = np.repeat(np.arange(len(photos)), [len(found) for found in faces])
    score_of = np.array([face.score for _, face in jobs])
    people = np.array([path.parent.name for path in photos])
    row_of = {id(face): row for row, (_, face) in enumerate(jobs)}
    print("lowest score    faces  photos without   rank-1     mAP  recall@19")
    for lowest in (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99):
        central = [most_central(found, lowest) for found in faces]
        own = np.flatnonzero([face is not None and probe
                              for face, probe in zip(central, is_probe, strict=True)])  # fmt: skip
        probes = rows[[row_of[id(central[photo])] for photo in own]]
        similarity = np.full((len(own), len(photos)), -2.0)
        kept = score_of >= lowest
        np.maximum.at(similarity.T, photo_of[kept], cosines(rows[kept], probes))
        found = np.array([face is not None for face in central])
        right = (people[own][:, None] == people[None, :]) & found
        scores = evaluate(similarity, own, right, args.photos_each - 1)
        figures = [100 * len(own) / sum(is_probe) * v for v in dataclasses.astuple(scores)]
        without = sum(face is None for face in central)
        print(f"{lowest:<12} {kept.sum():8}  {without:14}   {figures[0]:6.2f}  {figures[1]:6.2f}  "
              f"{figures[2]:6.2f}")  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lfw", type=Path, default=Path(os.environ.get("FACESEARCH_LFW", LFW)))
    parser.add_argument("--photos-each", type=int, default=5, help="photos of a probe's person")
    parser.add_argument("--gallery", type=int, help="photos besides the probes' (default: all)")
    default = Path(tempfile.gettempdir()) / "facesearch-crops"
    parser.add_argument("--cache", type=Path, default=default)
    parser.add_argument("--only", nargs="*", help="labels of the crops to compare")
    parser.add_argument("--min-score", type=float, default=DetectorOptions().min_score)
    parser.add_argument("--model", default="facenet-128")
    parser.add_argument("--scores", action="store_true", help="compare lowest scores instead")
    parser.add_argument("--flip", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.cache = args.cache / f"{args.photos_each}-{args.gallery or 'all'}"
    args.cache.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    arguments = parse()
    (compare_scores if arguments.scores else compare)(arguments)

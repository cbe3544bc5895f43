"""12-megapixel photos in three formats, and one of 24 megapixels with 24 faces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.composing import FORMATS, GROUP, SINGLE, compose, write
from benchmarks.matching import Boxes, boxes_of_peer, boxes_of_store, found_too
from benchmarks.peers import PEERS, available
from benchmarks.peers.running import PeerRunner
from benchmarks.results import Figure, Measured, Ratio, beyond_start, interleaved
from benchmarks.workbench import Workbench

_PHOTOS = 24
_FEWEST = 4
_ASKED = 5
WANTED_RATE = 12.0
WANTED_SHARE = 0.99
WANTED_SECONDS = 0.5


def measure_large(bench: Workbench) -> Measured:
    """The mtcnn package at full size says which faces there are to find."""
    composed = _Composed(bench)
    rates, stores = _rates(bench, composed)
    package = PeerRunner(bench, PEERS["first-report"])
    photos = sorted(composed.folders["jpg"].iterdir())
    truth = boxes_of_peer(package.index(photos)[0], composed.folders["jpg"])
    found = {name: boxes_of_store(*place) for name, place in stores.items()}
    shares = {name: _share(truth, boxes) for name, boxes in found.items()}
    group, facts = _group(bench)
    return Measured(
        (
            *(Figure("12 megapixels without start-up", side, "photos/s", samples, "more")
              for side, samples in rates.items()),
            *(Figure("share of the package's faces found", side, "", (share,), "more")
              for side, share in shares.items()),
            *group,
        ),
        (
            Ratio("12-megapixel JPEGs, photos/s over 12",
                  tuple(rate / WANTED_RATE for rate in rates["jpg"]), at_least=1.0),
            Ratio("share of the package's full-size faces found", (shares["jpg"],),
                  at_least=WANTED_SHARE),
            Ratio("24 megapixels and 24 faces, seconds over 0.5",
                  tuple(s / WANTED_SECONDS for s in group[0].samples), at_most=1.0),
        ),
        {
            "photos": len(photos),
            "faces_of_package": sum(map(len, truth.values())),
            "faces_set_in": sum(map(len, composed.faces.values())),
            "of_those_found_by_package": _share(composed.faces, truth),
            "of_those_found": {name: _share(composed.faces, boxes)
                               for name, boxes in found.items()},
            **facts,
        },
    )  # fmt: skip


class _Composed:
    """Folders with the same photos in each format; ``faces`` are those set in, by file name."""

    def __init__(self, bench: Workbench) -> None:
        count = max(_FEWEST, min(_PHOTOS, len(bench.photos) // 20))
        self.folders = {format_: bench.new(format_) for format_ in FORMATS}
        for folder in self.folders.values():
            folder.mkdir()
        self.faces: dict[str, Boxes] = {}
        for seed in range(count):
            made = compose(SINGLE, bench.photos, seed)
            for format_, folder in self.folders.items():
                write(made.picture, folder / f"{seed:03}.{format_}")
            self.faces[f"{seed:03}.jpg"] = np.array(made.faces, np.float64).reshape(-1, 4)


def _rates(
    bench: Workbench, composed: _Composed
) -> tuple[dict[str, tuple[float, ...]], dict[str, tuple[Path, Path]]]:
    """Photos a second of each side, and the stores made of the JPEGs with their folder."""
    sides: dict[str, tuple[str, tuple[str, ...]]] = {name: (name, ()) for name in FORMATS}
    if "--detail" in bench.help_of("index"):
        sides["jpg, detail high"] = ("jpg", ("--detail", "high"))
    stores: dict[str, tuple[Path, Path]] = {}

    def run(side: str) -> Callable[[], float]:
        format_, options = sides[side]
        folder = composed.folders[format_]
        photos = sorted(folder.iterdir())
        start = bench.new("start")
        start.mkdir()
        for photo in photos[: bench.jobs]:
            (start / photo.name).symlink_to(photo)

        def take() -> float:
            store = bench.new(f"{format_}.npz")
            whole = bench.index(folder, store, *options)[1].seconds
            short = bench.index(start, bench.new("start.npz"), *options)[1].seconds
            if format_ == "jpg":
                stores[side] = store, folder
            return (len(photos) - bench.jobs) / beyond_start(whole, short)

        return take

    return interleaved({side: run(side) for side in sides}, bench.options.repeats), stores


def _group(bench: Workbench) -> tuple[list[Figure], dict[str, Any]]:
    """Seconds from the large file to the embeddings of all its faces, networks loaded."""
    folder = bench.new("group")
    folder.mkdir()
    photo = write(compose(GROUP, bench.photos, 0).picture, folder / "group.jpg")
    listed = bench.new("group.txt")
    listed.write_text("\n".join([str(photo)] * _ASKED), encoding="utf-8")
    name = "24 megapixels, 24 faces"
    runs = [
        bench.side("warm", str(listed), "--store", str(bench.store), "--embed")
        for _ in range(bench.options.repeats)
    ]
    figures = [Figure(name, "facesearch", "s", tuple(run["median_ms"] / 1000 for run in runs))]
    faces: dict[str, float] = {"facesearch": runs[-1]["faces"] / _ASKED}
    for peer_name, peer in available(bench.options.peers).items():
        said = json.loads(PeerRunner(bench, peer).index([photo])[1].output.splitlines()[-1])
        figures.append(Figure(name, peer_name, "s", (said["seconds"],)))
        faces[peer_name] = said["faces"]
    return figures, {"faces_in_the_group": faces}


def _share(wanted: dict[str, Boxes], found: dict[str, Boxes]) -> float:
    hits, count = found_too(wanted, found)
    return hits / count if count else 1.0

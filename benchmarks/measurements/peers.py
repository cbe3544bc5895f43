"""Other tools beside facesearch: the same photos, the same machine, in turn."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import accuracy
from benchmarks.peers import PEERS, Peer, available
from benchmarks.peers.running import PeerRunner
from benchmarks.photos import spread, with_pois
from benchmarks.results import Figure, Measured, Ratio, beyond_start, interleaved, ratios
from benchmarks.workbench import Workbench

OURS = "facesearch"
_TIMED = 300
_ACCURACY = 1_000
_QUERIES = 20


@dataclass(frozen=True, slots=True)
class Built:
    """One indexing run: seconds with start-up, and without for ``timed`` of its photos."""

    photos: int
    timed: int
    whole: float
    without_start: float
    peak_bytes: int

    @property
    def cost(self) -> float:
        """Seconds a photo without start-up."""
        return self.without_start / self.timed


def measure_peers(bench: Workbench) -> Measured:
    """Each side in its best setting that is known here, in one process and on all cores. Peers
    are timed on fewer photos, for their cost a photo does not depend on the number.
    """
    found = available(bench.options.peers)
    runners = {name: PeerRunner(bench, peer) for name, peer in found.items()}
    built, figures = _indexing(bench, runners)
    figures += _queries(bench, runners)
    scores, facts = _accuracy(bench, runners)
    return Measured(
        tuple(figures + scores),
        tuple(_speedups(built, found)),
        {
            "sides": {name: peer.title for name, peer in found.items()},
            "versions": {name: runner.versions() for name, runner in runners.items()},
            "not_here": sorted(set(PEERS) - set(found)),
            "timed_photos": min(_TIMED, len(bench.photos)),
            "processes": bench.jobs,
            "accuracy": facts,
        },
    )


def _indexing(
    bench: Workbench, runners: dict[str, PeerRunner]
) -> tuple[dict[str, tuple[Built, ...]], list[Figure]]:
    """Ours also over all photos, where they are more than the peers are timed on."""
    photos = spread(bench.photos, _TIMED)
    sides = {OURS: partial(_ours, bench, photos)}
    if len(bench.photos) > len(photos):
        sides[f"{OURS}, {len(bench.photos):,} photos"] = partial(_ours, bench, bench.photos)
    for name, runner in runners.items():
        for processes in sorted({1, bench.jobs}):
            sides[_label(name, processes)] = partial(_theirs, runner, photos, processes)
    built = interleaved(sides, bench.options.repeats)
    figures = []
    for side, runs in built.items():
        figures += [
            Figure("indexing", side, "photos/s", tuple(r.photos / r.whole for r in runs), "more"),
            Figure("indexing without start-up", side, "photos/s",
                   tuple(1 / run.cost for run in runs), "more"),
            Figure("peak memory, indexing", side, "MB",
                   tuple(run.peak_bytes / 1e6 for run in runs)),
        ]  # fmt: skip
    return built, figures


def _ours(bench: Workbench, photos: list[Path]) -> Built:
    start = photos[: bench.jobs]
    (_, whole), (_, short) = (
        bench.index(bench.folder_of(some), bench.new("ours.npz")) for some in (photos, start)
    )
    beyond = beyond_start(whole.seconds, short.seconds)
    timed = len(photos) - len(start)
    return Built(len(photos), timed, whole.seconds, beyond, whole.peak_bytes)


def _theirs(runner: PeerRunner, photos: list[Path], processes: int) -> Built:
    """Their scripts say themselves what they took with their networks loaded."""
    done = runner.index(photos, processes)[1]
    said = json.loads(done.output.splitlines()[-1])
    return Built(len(photos), len(photos), done.seconds, said["seconds"], done.peak_bytes)


def _label(name: str, processes: int) -> str:
    return name if processes == 1 else f"{name}, {processes} processes"


def _speedups(built: dict[str, tuple[Built, ...]], found: dict[str, Peer]) -> list[Ratio]:
    """How many times as fast ours is without start-up, over all photos where it was timed on them;
    wanted of a peer as it comes.
    """
    ours = [side for side in built if side.startswith(OURS)][-1]
    made = []
    for side, runs in built.items():
        if not side.startswith(OURS):
            times = ratios([run.cost for run in runs], [run.cost for run in built[ours]])
            wanted = found[side].wanted if side in found else None
            made.append(Ratio(f"indexing, {ours} over {side}", times, at_least=wanted))
    return made


def _queries(bench: Workbench, runners: dict[str, PeerRunner]) -> list[Figure]:
    """Cold and warm, among the faces of as many photos as accuracy is measured on."""
    gallery = with_pois(bench.options.lfw, min(_ACCURACY, len(bench.photos)))
    photos = spread(gallery, _QUERIES)
    listed = bench.new("queries.txt")
    listed.write_text("\n".join(map(str, photos)), encoding="utf-8")
    ours = bench.new("gallery.npz")
    bench.index(bench.folder_of(gallery), ours)
    cold: dict[str, Any] = {
        OURS: lambda: bench.facesearch("query", str(photos[0]), "--store", str(ours)).seconds
    }
    warm: dict[str, Any] = {
        OURS: lambda: bench.side("warm", str(listed), "--store", str(ours), watched=True)
    }
    for name, runner in runners.items():
        runner.gallery(gallery)
        cold[name] = partial(_seconds_of_query, runner, gallery)
        warm[name] = partial(runner.warm, gallery, listed)
    figures = [
        Figure("cold query", side, "s", samples)
        for side, samples in interleaved(cold, bench.options.repeats).items()
    ]
    for side, samples in interleaved(warm, bench.options.repeats).items():
        figures += [
            Figure("warm query, median", side, "ms", tuple(one["median_ms"] for one in samples)),
            Figure("peak memory, queries", side, "MB",
                   tuple(one["peak_bytes"] / 1e6 for one in samples)),
        ]  # fmt: skip
    return figures


def _seconds_of_query(runner: PeerRunner, gallery: list[Path]) -> float:
    return runner.query(gallery, gallery[0]).seconds


def _accuracy(
    bench: Workbench, runners: dict[str, PeerRunner]
) -> tuple[list[Figure], dict[str, Any]]:
    """Rank-1, mAP and recall@19 of searches for the people with six photos."""
    photos = with_pois(bench.options.lfw, min(_ACCURACY, len(bench.photos)))
    folder, store = bench.folder_of(photos), bench.new("accuracy.npz")
    bench.index(folder, store)
    found = {OURS: accuracy.of_store(store, folder)}
    for name, runner in runners.items():
        found[name] = accuracy.of_peer(runner.gallery(photos))
    figures = [
        Figure(name, side, "", (values[name],), "more")
        for side, values in found.items()
        for name in accuracy.FIGURES
    ]
    return figures, {side: _beside(values) for side, values in found.items()}


def _beside(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in accuracy.FIGURES}

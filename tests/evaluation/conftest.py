"""People who are colours, and evaluations of them without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest

from facesearch.evaluation import Dataset, EvalHooks, EvalOptions, evaluate, read_dataset
from facesearch.indexing import IndexHooks
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.records import PhotoResult
from facesearch.results import Evaluation
from facesearch.systems import choose_systems
from photo_library import PoolInHere
from small_store import BLUE, GOLD, GREEN, MIDDLE, RED, ColorEmbedder, draw

COLORS = {"ann": RED, "bob": GREEN, "cat": BLUE, "dan": GOLD}


class ColorWorker(ColorEmbedder):
    """Reads photos as a worker does, and remembers which."""

    def __init__(self, read: list[str]) -> None:
        super().__init__()
        self._read = read

    def process(self, batch: Sequence[PhotoTask]) -> list[PhotoResult]:
        self._read += [task.path for task in batch]
        return [self.result(Path(task.path)) for task in batch]


class ColorPeople:
    """``folder`` has three photos of each person; a person's shades differ less than people."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "people"
        self.home = home
        self.read: list[str] = []
        self.said: list[str] = []
        for name, color in COLORS.items():
            for number in (1, 2, 3):
                shade = tuple(min(255, value + 6 * number) for value in color)
                draw(self.folder / name / f"{name}_{number:04d}.png", {shade: MIDDLE})

    def dataset(self) -> Dataset:
        return read_dataset(self.folder)

    def evaluate(
        self,
        *systems: str,
        store: Path | None = None,
        dataset: Dataset | None = None,
        **options: object,
    ) -> Evaluation:
        asked = EvalOptions(**{"poi_photos": 3, **options})

        def factory(spec: ProcessSpec) -> object:
            return lambda: ColorWorker(self.read)

        hooks = EvalHooks(on_message=self.said.append, index=IndexHooks(factory=factory))
        chosen = choose_systems(systems or ("facenet",))
        return evaluate(dataset or self.dataset(), chosen, store, asked, hooks)


@pytest.fixture
def color_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ColorPeople:
    """Evaluations that index by colour, in this process, with a cache folder of their own."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    found = ColorPeople(tmp_path)
    with (
        mock.patch("facesearch.indexing.WorkerPool", PoolInHere),
        mock.patch("facesearch.evaluation.running.make_ready", _make_ready),
        mock.patch("facesearch.evaluation.costs.query_spec", lambda store, runtime: ColorEmbedder),
    ):
        yield found


def _make_ready(names: list[str], *_: object) -> None:
    """FaceNet's weights are here, whatever this machine has; others are not."""
    from facesearch import weights

    for name in names:
        if name != "facenet-128":
            weights.path_of(name)

"""Which tests run where: real weights, Labeled Faces in the Wild, and tests that take longer."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from photo_library import Library

ROOT = Path(__file__).resolve().parents[1]
NEEDS = ("weights", "lfw")


def pytest_configure(config: pytest.Config) -> None:
    """Leave out the settings of whoever runs the tests, in child processes too."""
    os.environ["FACESEARCH_NO_SETTINGS"] = "1"


@pytest.fixture(scope="session")
def weights() -> Path:
    """The file of the default model's weights, its graphs drawn; tests marked ``weights`` are
    skipped without.
    """
    from facesearch.errors import WeightsError
    from facesearch.runtimes import Fetch
    from facesearch.runtimes.graph_files import draw_missing
    from facesearch.weights.pull import path_of

    try:
        path = path_of("facenet-128")
    except WeightsError as error:
        pytest.skip(str(error))
    draw_missing(["facenet-128", "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"], Fetch(offline=True))
    return path


@pytest.fixture(scope="session")
def samples(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample photos: ``train/PERSON`` (93 photos) and ``val/PERSON`` (25)."""
    from facesearch.datasets import unpack_samples
    from facesearch.weights import samples_path

    if not samples_path().is_file():
        pytest.skip("no sample photos; run: facesearch datasets pull samples")
    return unpack_samples(samples_path(), tmp_path_factory.mktemp("data") / "samples")


@pytest.fixture(scope="session")
def lfw() -> Path:
    """The folder of Labeled Faces in the Wild; tests marked ``lfw`` are skipped without."""
    folder = Path(os.environ.get("FACESEARCH_LFW") or ROOT.parent / "shared" / "lfw")
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; name Labeled Faces in the Wild in FACESEARCH_LFW")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """A folder of fake photos and its store, empty as yet; some rooms have one of their own."""
    from photo_library import Library

    return Library(tmp_path / "home")


@pytest.fixture
def busy_library(tmp_path: Path) -> Library:
    """The same with real worker processes, whose networks are fake."""
    from photo_library import Library

    return Library(tmp_path / "home", processes=True)


@pytest.fixture
def people_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """24 photos that are indexed, and a cache folder of their own."""
    from photo_library import Library

    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "cache"))
    made = Library(tmp_path / "home")
    made.add_many(24, "people/")
    made.index()
    made.embedded()
    return made


@pytest.fixture(autouse=True)
def _what_the_mark_needs(request: pytest.FixtureRequest) -> None:
    for name in NEEDS:
        if request.node.get_closest_marker(name):
            request.getfixturevalue(name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes longer, unless it is asked for."""
    if os.environ.get("FACESEARCH_FULL") or "full" in config.option.markexpr:
        return
    longer = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=longer)
    items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration nothing may be missing: such a skip is a failure."""
    report = yield
    missing = report.skipped and any(item.get_closest_marker(name) for name in NEEDS)
    # What a machine does not allow, such as a namespace, is not missing.
    missing = missing and "not permitted here" not in str(report.longrepr)
    if missing and os.environ.get("CI") == "true":
        report.outcome = "failed"
    return report

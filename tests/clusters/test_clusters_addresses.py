"""What may stand behind ``--cluster``."""

from __future__ import annotations

import importlib.util

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from facesearch.cli.index import index
from facesearch.clusters import ENGINES, ClusterJob, engine_of, open_pool
from facesearch.errors import ClusterError, UsageError

JOB = ClusterJob(factory=print, prepare=print, prepare_here=print)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "engine"),
    [("auto", "auto"), ("local", "local"), ("ray://10.0.0.1:10001", "ray"), ("ray://h", "ray")],
)
def test_addresses(address: str, engine: str) -> None:
    assert engine_of(address) == engine


@pytest.mark.parametrize("address", ["", "ray", "ray://", "auto://x", "spark://h:1", "h:6379"])
def test_no_such_cluster(address: str) -> None:
    with pytest.raises(UsageError, match=r"there is no cluster '.*'; give auto, local or an addr"):
        engine_of(address)


@given(st.text())
def test_any_address_has_an_engine_or_is_refused(address: str) -> None:
    try:
        assert engine_of(address) in ENGINES
    except UsageError as error:
        assert "\n" not in str(error).replace(repr(address), "")


def test_a_wrong_address_is_refused_before_anything_is_read(tmp_path) -> None:
    store = tmp_path / "faces.npz"
    asked = ["--store", str(store), "--cluster", "spark://host", str(tmp_path)]
    outcome = CliRunner().invoke(index, asked)
    assert isinstance(outcome.exception, UsageError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["ray", "pyarrow"])
def test_the_extra_is_missing(monkeypatch, missing: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == missing else find(name)
    )
    with pytest.raises(ClusterError) as caught:
        open_pool("local", JOB)
    assert str(caught.value) == (f'--cluster needs {missing}; run: pip install "ray[data]"')

"""Weights whose hash only the card beside them knows."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from facesearch import weights
from facesearch.cli.models import models
from facesearch.errors import UsageError, WeightsError
from facesearch.weights import manifest

NAME = "vgg16"
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A small h5 file."""

    def made(name: str = "given.h5", content: float = 1.0, seed: int | None = None) -> Path:
        import h5py

        with h5py.File(tmp_path / name, "w") as file:
            file["numbers"] = [content] * 100
            if seed is not None:
                file.attrs["facesearch_untrained_seed"] = seed
        return tmp_path / name

    return made


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(models, [str(argument) for argument in arguments])


def listed(name: str) -> dict[str, Any]:
    rows = json.loads(run("list", "--json").stdout)["models"]
    return next(row for row in rows if row["name"] == name)


def test_a_kept_file_is_whole_and_says_where_it_is_from(cache: Path, make: Make) -> None:
    source = make()

    path = weights.keep("small-cnn", source, {"origin": "trained", "people": 250, "epochs": 10})

    found = weights.kept("small-cnn")
    assert found == weights.KeptFile(
        "small-cnn", path, sha(source), source.stat().st_size, "trained", None,
        {"people": 250, "epochs": 10},
    )  # fmt: skip
    assert path.read_bytes() == source.read_bytes()
    assert weights.sha256_of("small-cnn") == sha(source)
    assert weights.path_of("small-cnn") == weights.ensure("small-cnn") == path
    assert weights.kept_file("small-cnn", sha(source)) == path
    assert {each.name for each in path.parent.iterdir()} == {"small-cnn.h5", "small-cnn.json"}


def test_random_weights_are_known_by_the_files_own_mark(cache: Path, make: Make) -> None:
    weights.keep(NAME, make(seed=7), {})
    found = weights.kept(NAME)
    assert found is not None
    assert found.untrained_seed == 7
    assert listed(NAME)["untrained_seed"] == 7
    assert "random numbers, not trained" in run("list").stdout
    told: list[str] = []
    weights.ensure(NAME, report=told.append)
    assert "random numbers (seed 7)" in told[0]
    weights.keep(NAME, make(), {})
    assert weights.kept(NAME).untrained_seed is None  # type: ignore[union-attr]
    weights.ensure(NAME, report=told.append)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (NAME, "facesearch models pull vgg16"),
        ("small-cnn", "facesearch train small-cnn FOLDER"),
        ("small-cnn-without-pois", "facesearch train small-cnn FOLDER --without-pois"),
    ],
)
def test_what_is_missing_names_the_command_that_brings_it(
    cache: Path, name: str, command: str
) -> None:
    asked = (weights.path_of, weights.ensure, weights.sha256_of, weights.kept_file)
    for ask in asked:
        with pytest.raises(WeightsError) as caught:
            ask(name)
        assert str(caught.value).endswith(f"run: {command}"), ask
        assert f"{name} are missing" in str(caught.value)
    assert weights.kept(name) is None
    assert weights.remedy(name) == command
    result = run("verify", name)
    assert command in str(result.exception)
    assert (listed(name)["sha256"], listed(name)["size"]) == (None, None)


@pytest.mark.parametrize("harm", ["byte", "cut", "no-card", "foreign-card", "half-card"])
def test_whatever_disagrees_is_damaged(cache: Path, make: Make, harm: str) -> None:
    path = weights.keep(NAME, make(), {})
    card = path.with_suffix(".json")
    data = bytearray(path.read_bytes())
    if harm == "byte":
        data[-1] ^= 1
        path.write_bytes(data)
    elif harm == "cut":
        path.write_bytes(data[:-1])
    elif harm == "no-card":
        card.unlink()
    elif harm == "foreign-card":
        card.write_text(card.read_text().replace(sha(path), "0" * 64))
    else:
        card.write_text(card.read_text()[:40])

    assert weights.verify(NAME).state == "damaged"
    for ask in (weights.ensure, weights.kept_file):
        with pytest.raises(WeightsError, match=r"damaged.*facesearch models pull vgg16"):
            ask(NAME)


def test_another_file_is_not_taken_for_the_one_asked_for(cache: Path, make: Make) -> None:
    weights.keep("small-cnn", make(), {})
    with pytest.raises(WeightsError, match=r"wanted is aaaaaaaaaaaa.*facesearch train small-cnn"):
        weights.kept_file("small-cnn", "a" * 64)


KILLED = """
import os, sys
from pathlib import Path
from facesearch.weights import cache, keep
steps = int(sys.argv[2])
def step(inner):
    def counted(*arguments, **options):
        global steps
        if steps == 0:
            os._exit(9)
        steps -= 1
        return inner(*arguments, **options)
    return counted
Path.replace, Path.unlink = step(Path.replace), step(Path.unlink)
os.fsync = step(os.fsync)
keep("small-cnn", Path(sys.argv[1]), {})
os._exit(5)
"""


def test_a_kill_at_any_step_leaves_a_true_pair_or_none(
    cache: Path, make: Make, tmp_path: Path
) -> None:
    """File and card of the same size before and after, so that only the hash could tell."""
    old, new = make("old.h5", 1.0), make("new.h5", 2.0)
    ends = []
    for steps in range(20):
        shutil.rmtree(cache, ignore_errors=True)
        weights.keep("small-cnn", old, {})
        command = [sys.executable, "-c", KILLED, new, str(steps)]
        done = subprocess.run(command, env=os.environ, check=False)
        found, path = weights.kept("small-cnn"), cache / "models" / "small-cnn.h5"
        if found is not None:
            assert found.sha256 == sha(path)
        ends.append(None if found is None else found.sha256)
        if done.returncode == 5:
            break
    assert done.returncode == 5
    assert ends[0] == sha(old)
    assert ends[-1] == sha(new)
    assert None in ends


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_weights_file_is_refused(cache: Path, tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "wrong.h5"
    source.write_bytes(content)
    with pytest.raises(WeightsError, match=r"wrong\.h5: is no HDF5 file"):
        weights.keep(NAME, source, {})
    with pytest.raises(WeightsError, match="cannot read"):
        weights.keep(NAME, tmp_path / "none.h5", {})
    assert weights.kept(NAME) is None


def test_only_models_without_a_hash_of_their_own_are_kept(cache: Path, make: Make) -> None:
    with pytest.raises(UsageError, match="in the manifest"):
        weights.keep("facenet-128", make(), {})
    assert weights.kept("facenet-128") is None


def test_pull_takes_a_file_with_the_hash_that_is_trusted(cache: Path, make: Make) -> None:
    source = make()
    result = run("pull", NAME, "--from", source, "--sha256", sha(source).upper())
    assert result.exit_code == 0, result.exception
    row = listed(NAME)
    assert (row["state"], row["sha256"], row["origin"]) == ("present", sha(source), "file")
    other = make("other.h5", 3.0)
    error = run("pull", NAME, "--from", other, "--sha256", sha(source)).exception
    assert isinstance(error, WeightsError)
    assert sha(other) in str(error)
    assert weights.sha256_of(NAME) == sha(source)  # the good one stays


def test_pull_without_a_hash_takes_keras_own_file_alone(
    cache: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make()
    error = run("pull", NAME, "--from", source).exception
    assert isinstance(error, WeightsError)
    assert f"--from {source} --sha256 {sha(source)}" in str(error)
    assert weights.kept(NAME) is None
    md5 = hashlib.md5(source.read_bytes()).hexdigest()
    text = manifest._manifest_text().replace("64373286793e3c8b2b4e3219cbf3544b", md5)
    monkeypatch.setattr(manifest, "_manifest_text", lambda: text)
    assert run("pull", "--from", source).exit_code == 0  # and is known by it
    assert weights.sha256_of(NAME) == sha(source)


def test_trained_weights_can_be_carried_elsewhere(cache: Path, make: Make) -> None:
    source = make()
    assert isinstance(run("pull", "small-cnn", "--from", source).exception, WeightsError)
    assert run("pull", "small-cnn", "--from", source, "--sha256", sha(source)).exit_code == 0
    assert weights.verify("small-cnn").state == "present"


@pytest.mark.parametrize(
    "arguments",
    [
        (NAME, "--sha256", "a" * 64),
        ("--from", "FILE", "--sha256", "a" * 64),
        (NAME, "--from", "FILE", "--sha256", "abc"),
        ("facenet-128", "--from", "FILE", "--sha256", "a" * 64),
    ],
)
def test_a_hash_goes_with_a_file_and_a_model(
    cache: Path, make: Make, arguments: tuple[str, ...]
) -> None:
    source = str(make())
    error = run("pull", *(source if each == "FILE" else each for each in arguments)).exception
    assert isinstance(error, UsageError)


def test_pull_lets_keras_download_once(
    cache: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str) -> Path:
        asked.append(name)
        return make("keras.h5", 4.0)

    monkeypatch.setattr("facesearch.runtimes.keras_applications.download", download)
    weights.keep(NAME, make(seed=1), {})  # random numbers do not count as here
    for _ in range(2):
        assert run("pull", NAME).exit_code == 0
    assert asked == [NAME]
    found = weights.kept(NAME)
    assert found is not None
    assert (found.origin, found.untrained_seed) == ("keras", None)


def test_pull_of_trained_weights_says_how_to_train_them(cache: Path) -> None:
    error = run("pull", "small-cnn").exception
    assert isinstance(error, WeightsError)
    assert str(error).endswith("run: facesearch train small-cnn FOLDER")


def test_the_manifest_states_keras_own_hashes_and_file_names() -> None:
    folder = manifest.package_folder("keras") / "src" / "applications"
    source = "".join(
        (folder / f"{name}.py").read_text(encoding="utf-8")
        for name in ("vgg16", "inception_resnet_v2", "efficientnet_v2")
    ).replace('"\n                "', "")
    for name in ("vgg16", "inception-resnet-v2", "efficientnet-v2l"):
        model = weights.find(name)
        assert f'"{model.md5}"' in source
        assert model.member.removeprefix("efficientnetv2-l") in source


def test_a_card_of_another_time_is_not_believed(cache: Path, make: Make) -> None:
    path = weights.keep(NAME, make(), {})
    path.with_suffix(".json").write_text("[]")
    assert weights.kept(NAME) is None

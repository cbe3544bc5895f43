"""Weights whose hash nobody states beforehand: a card beside the file says which bytes they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facesearch.errors import UsageError, WeightsError
from facesearch.weights.cache import (
    clear_partials,
    copy_hashed,
    disk_errors,
    locked,
    model_file,
    reading,
    sha256_file,
    writing,
)
from facesearch.weights.download import BarFactory, NoBar
from facesearch.weights.manifest import KEPT, WeightFile, find

UNTRAINED = "facesearch_untrained_seed"
"""The attribute of an h5 file that says that its numbers are random, and from which seed."""

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of weights and what its card says.

    ``sha256`` is in hex, ``size`` in bytes. ``origin`` is "keras", "trained" or "file".
    ``untrained_seed`` is the seed of random weights, which are good for trying things out and for
    no result; None for real ones. ``facts`` are whatever else was told when it was kept.
    """

    name: str
    path: Path
    sha256: str
    size: int
    origin: str
    untrained_seed: int | None
    facts: dict[str, Any]


def keep(
    name: str,
    source: Path,
    facts: Mapping[str, Any],
    progress: BarFactory = NoBar,
    *,
    sha256: str | None = None,
    report: Callable[[str], object] = lambda _line: None,
) -> Path:
    """Copy the weights in ``source`` into the cache folder, with a card beside them.

    The old card goes before the old file is replaced, and the new one comes last: after a kill a
    file has its own card or none, and without one it is not believed.

    Args:
        name: a model of kind "keras" or "trained".
        source: an h5 file; it stays.
        facts: JSON values for the card; "origin" among them is the file's origin.
        progress: what shows the copying.
        sha256: refuse a file with any other hash (hex).
        report: told where another process holds the folder.

    Raises:
        UsageError: there is no such model, or its hash is in the manifest.
        WeightsError: the file is not HDF5, not the expected one, or the disk refuses.
    """
    model = _keepable(name)
    seed = _untrained_seed(source)
    target = model_file(name)
    with locked(report):
        clear_partials()
        with (
            reading(source) as stream,
            writing(target) as out,
            progress(name, source.stat().st_size) as bar,
        ):
            digest = copy_hashed(stream, out, bar.update)
            if sha256 is not None and digest != sha256.lower():
                raise WeightsError(
                    f"{source}: has SHA-256 {digest}, expected {sha256}; fetch the file again"
                )
            size = out.tell()
            with disk_errors(target):
                _card(name).unlink(missing_ok=True)
        rest = {key: value for key, value in facts.items() if key != "origin"}
        card = {
            "schema": _SCHEMA,
            "name": name,
            "sha256": digest,
            "size": size,
            "origin": facts.get("origin", model.kind),
            "untrained_seed": seed,
            "facts": rest,
        }
        with writing(_card(name)) as out:
            out.write((json.dumps(card, indent=2) + "\n").encode())
    return target


def kept(name: str) -> KeptFile | None:
    """What is kept for ``name``: None without a file, without a readable card, or where the
    manifest states the hash. The file's bytes are not read.

    Raises:
        UsageError: no model has that name.
    """
    if find(name).kind not in KEPT or not model_file(name).is_file():
        return None
    try:
        card = json.loads(_card(name).read_text(encoding="utf-8"))
        seed = card["untrained_seed"]
        return KeptFile(
            name,
            model_file(name),
            str(card["sha256"]),
            int(card["size"]),
            str(card["origin"]),
            None if seed is None else int(seed),
            dict(card["facts"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a file without a card that can be read is not believed


def sha256_of(name: str) -> str:
    """The SHA-256 (hex) of ``name`` as the manifest or the file's card states it.

    Raises:
        UsageError: no model has that name.
        WeightsError: its hash is known only once it is here, and it is not.
    """
    model = find(name)
    if model.kind not in KEPT:
        return model.sha256
    found = kept(name)
    if found is None:
        raise _not_here(model)
    return found.sha256


def kept_file(name: str, sha256: str = "") -> Path:
    """The file of ``name`` once its bytes are those of its card, and of ``sha256`` if given.

    Raises:
        UsageError: no model has that name, or its hash is in the manifest.
        WeightsError: it is missing, damaged, or not the one asked for; names the command.
    """
    model = _keepable(name)
    found = kept(name)
    if found is None or not is_whole(found):
        raise _not_here(model)
    if sha256 and found.sha256 != sha256:
        raise WeightsError(
            f"{found.path}: has SHA-256 {found.sha256[:12]}..., wanted is {sha256[:12]}...; "
            f"bring that file with: {bring_command(model)}, or index the photos again"
        )
    return found.path


def is_whole(found: KeptFile) -> bool:
    """Whether the file's bytes are those that its card names.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        return sha256_file(found.path) == found.sha256
    except OSError as error:
        raise WeightsError(
            f"cannot read {found.path}: {error.strerror}; check its permissions"
        ) from error


def bring(
    name: str,
    source: Path,
    sha256: str | None = None,
    progress: BarFactory = NoBar,
    report: Callable[[str], object] = lambda _line: None,
) -> Path:
    """Keep a file that a person fetched: with the SHA-256 they trust, or with Keras's own MD5.

    Raises:
        UsageError: there is no such model, or its hash is in the manifest.
        WeightsError: the file is another one, or nothing says that it is the right one.
    """
    model = _keepable(name)
    if sha256 is None:
        sha256 = _stated_by_keras(model, source)
    return keep(name, source, {"origin": "file"}, progress, sha256=sha256, report=report)


def bring_command(model: WeightFile) -> str:
    """The command that brings a model of kind "keras" or "trained"."""
    return model.source if model.kind == "trained" else f"facesearch models pull {model.name}"


def hashes(source: Path) -> tuple[str, str]:
    """SHA-256 and MD5 (hex) of a file's bytes.

    Raises:
        WeightsError: it cannot be read.
    """
    both = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with reading(source) as stream:
        while chunk := stream.read(1 << 20):
            for digest in both:
                digest.update(chunk)
    return both[0].hexdigest(), both[1].hexdigest()


def _stated_by_keras(model: WeightFile, source: Path) -> str:
    """The file's SHA-256, if its MD5 is the one that Keras states."""
    sha256, md5 = hashes(source)
    if model.md5 is not None and md5 == model.md5:
        return sha256
    known = f"is not Keras's {model.member}" if model.kind == "keras" else "is not known"
    raise WeightsError(
        f"{source}: {known} (its SHA-256 is {sha256}); if it is the file that you trust, run: "
        f"facesearch models pull {model.name} --from {source} --sha256 {sha256}"
    )


def _untrained_seed(source: Path) -> int | None:
    """What the file's own attribute says, so that random weights are marked wherever they go."""
    import h5py

    with reading(source) as stream:
        try:
            with h5py.File(stream, "r") as file:
                seed = file.attrs.get(UNTRAINED)
                return None if seed is None else int(seed)
        except (OSError, ValueError, TypeError) as error:
            raise WeightsError(
                f"{source}: is no HDF5 file of weights; give the .h5 file itself"
            ) from error


def _not_here(model: WeightFile) -> WeightsError:
    path = model_file(model.name)
    state = "damaged" if path.exists() else "missing"
    return WeightsError(f"the weights {model.name} are {state} ({path}); "
                        f"run: {bring_command(model)}")  # fmt: skip


def _keepable(name: str) -> WeightFile:
    model = find(name)
    if model.kind not in KEPT:
        raise UsageError(f"the SHA-256 of {name} is in the manifest; pull it without one")
    return model


def _card(name: str) -> Path:
    return model_file(name).with_suffix(".json")

"""Bringing weights here, and saying whether those that are here are the right ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from facesearch.errors import WeightsError
from facesearch.weights.cache import (
    clear_partials,
    copy_hashed,
    home,
    locked,
    model_file,
    partial_file,
    reading,
    sha256_file,
    writing,
)
from facesearch.weights.download import BarFactory, DownloadError, NoBar, from_index, from_url
from facesearch.weights.kept import bring, bring_command, hashes, kept, sha256_of
from facesearch.weights.manifest import (
    KEPT,
    Archive,
    WeightFile,
    find,
    load_archives,
    load_manifest,
    package_folder,
)

GZIP_MAGIC = b"\x1f\x8b"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)

Report = Callable[[str], object]
"""Takes one line for a person."""


def _silent(_line: str) -> None: ...


@dataclass(frozen=True, slots=True)
class WeightState:
    """Where a file of weights is or would be, and whether it is to be believed."""

    name: str
    path: Path
    state: Literal["present", "missing", "damaged"]


def status(name: str) -> WeightState:
    """Judge one file by its size alone: cheap, and enough to tell a download cut short.

    Raises:
        UsageError: no model has that name.
    """
    model = find(name)
    path = _place(model)
    try:
        size = path.stat().st_size
    except OSError:
        return WeightState(name, path, "missing")
    if model.kind in KEPT:
        found = kept(name)
        right = found is not None and size == found.size
    else:
        right = size == model.size if model.size is not None else size > 0
    return WeightState(name, path, "present" if right else "damaged")


def verify(name: str) -> WeightState:
    """Judge one file by the SHA-256 of its bytes.

    Raises:
        UsageError: no model has that name.
        WeightsError: the file is there and cannot be read.
    """
    quick = status(name)
    if quick.state != "present":
        return quick
    try:
        right = sha256_file(quick.path) == sha256_of(name)
    except OSError as error:
        raise WeightsError(
            f"cannot read {quick.path}: {error.strerror}; check its permissions"
        ) from error
    return WeightState(name, quick.path, "present" if right else "damaged")


def path_of(name: str) -> Path:
    """The file of ``name``, judged by size.

    Raises:
        UsageError: no model has that name.
        WeightsError: it is missing or damaged; names the command that brings it.
    """
    return _believed(status(name))


def ensure(
    name: str,
    *,
    offline: bool = False,
    report: Report = _silent,
    progress: BarFactory = NoBar,
) -> Path:
    """The file of ``name``, its SHA-256 checked; downloaded first where it is not here.

    ``report`` is told when a download begins, and of random numbers in place of weights. With
    ``offline`` the network is never touched, nor for weights of kind "keras" or "trained", which
    come when asked for and not by the way.

    Raises:
        UsageError: no model has that name.
        WeightsError: it is not here and cannot be had; names the command that brings it.
    """
    found = verify(name)
    if find(name).kind in KEPT:
        return _told(_believed(found), name, report)
    if found.state == "present" or offline or find(name).kind == "wheel":
        return _believed(found)
    report(f"{name} is {found.state} ({found.path}); downloading it once")
    return pull(name, report=report, progress=progress)


def pull(
    name: str,
    *,
    source: Path | None = None,
    report: Report = _silent,
    progress: BarFactory = NoBar,
) -> Path:
    """Bring ``name`` into the cache folder, from ``source`` or else from the network.

    ``source`` is the archive or the bare file of weights, told apart by content. Where the right
    file is here already nothing is read. The sample photos of an archive are kept as well, so that
    it need not be downloaded again for them. Weights of kind "keras" or "trained" come from
    ``source`` alone; what downloads the former is ``runtimes.keras_applications``.

    Raises:
        UsageError: no model has that name.
        WeightsError: it cannot be had, or is not the right file, or cannot be written.
    """
    model = find(name)
    if model.kind in KEPT and source is not None:
        return bring(name, source, progress=progress, report=report)
    if model.kind in ("wheel", *KEPT):
        return _believed(verify(name))
    with locked(report):
        clear_partials()
        if verify(name).state == "present":
            return _place(model)
        if source is not None and _is_gzip(source):
            _unpack(_checked_archive(source, model), source, progress)
        elif source is not None:
            _copy(model, source, progress)
        elif model.kind == "sdist":
            _download_archive(load_archives()[model.source], progress)
        else:
            _download_release(model, progress)
    return _believed(verify(name))


def pull_samples(
    *, source: Path | None = None, report: Report = _silent, progress: BarFactory = NoBar
) -> Path:
    """The sample photos as a small zip file (``train/PERSON/*.jpg``, ``val/PERSON/*.jpg``).

    They come out of facenet-128's archive, which is downloaded only if they were not kept when it
    was; facenet-128 is then kept too.

    Raises:
        WeightsError: as ``pull``.
    """
    archive = next(iter(load_archives().values()))
    target = samples_path()
    with locked(report):
        clear_partials()
        if target.is_file():
            return target
        if source is None:
            _download_archive(archive, progress)
        else:
            _check_bytes(source, archive.sha256, archive.size, archive.file)
            _unpack(archive, source, progress)
    return target


def samples_path() -> Path:
    """Where the sample photos are kept as they came; the file need not be there."""
    return home() / "datasets" / "samples.zip"


def recognise(source: Path) -> str:
    """The name of the model that ``source`` brings, by the hash of its bytes.

    Raises:
        WeightsError: it is none of the files that the manifest knows, or cannot be read.
    """
    digest, md5 = hashes(source)
    archives = {archive.sha256: archive.file for archive in load_archives().values()}
    for model in load_manifest().values():
        stated = digest == model.sha256 or md5 == model.md5
        if stated or model.source == archives.get(digest):
            return model.name
    known = ", ".join([*archives.values(), "facenet_keras.h5", find("facenet-512").member])
    raise WeightsError(
        f"{source} ({_size(source):,} bytes, SHA-256 {digest[:12]}...) is none of {known}; "
        "if it is meant to be one of them, download it again"
    )


def remedy(name: str) -> str:
    """The command that brings the right file of ``name``.

    Raises:
        UsageError: no model has that name.
    """
    model = find(name)
    if model.kind == "wheel":
        return "pip install --force-reinstall --no-deps mtcnn==1.0.0"
    return bring_command(model)


def _place(model: WeightFile) -> Path:
    if model.kind == "wheel":
        return package_folder(model.source) / model.member
    return model_file(model.name)


def _believed(found: WeightState) -> Path:
    if found.state == "present":
        return found.path
    raise WeightsError(
        f"the weights {found.name} are {found.state} ({found.path}); run: {remedy(found.name)}"
    )


def _told(path: Path, name: str, report: Report) -> Path:
    held = kept(name)
    if held and held.untrained_seed is not None:
        report(f"{name} holds random numbers (seed {held.untrained_seed}), made for trying things "
               "out: its distances mean nothing")  # fmt: skip
    return path


def _download_archive(archive: Archive, progress: BarFactory) -> None:
    with partial_file(home() / "models" / archive.file) as partial:
        try:
            from_index(archive.project, archive.file, partial, progress)
        except DownloadError as error:
            raise WeightsError(
                f"cannot download {archive.file} ({error}); fetch that file of the project "
                f"{archive.project} on another machine and run: "
                f"facesearch models pull facenet-128 --from {archive.file}"
            ) from error
        _check_bytes(partial, archive.sha256, archive.size, archive.file)
        _unpack(archive, partial, progress)


def _download_release(model: WeightFile, progress: BarFactory) -> None:
    url = model.url or ""
    with partial_file(_place(model)) as partial:
        try:
            from_url(url, partial, progress)
        except DownloadError as error:
            raise WeightsError(
                f"cannot download {model.member} ({error}); fetch {url} on another machine and "
                f"run: facesearch models pull {model.name} --from FILE"
            ) from error
        if _hash(partial) != model.sha256:
            raise WeightsError(
                f"what {url} gave is not {model.member}; fetch it on another machine and "
                f"run: facesearch models pull {model.name} --from FILE"
            )
        _copy(model, partial, NoBar)


def _copy(model: WeightFile, source: Path, progress: BarFactory) -> None:
    """A bare file of weights into its place, hashed on the way."""
    with (
        reading(source) as stream,
        writing(_place(model)) as out,
        progress(model.name, _size(source)) as bar,
    ):
        if copy_hashed(stream, out, bar.update) != model.sha256:
            _refuse(model, source)


def _refuse(model: WeightFile, source: Path) -> None:
    other = recognise(source)
    raise WeightsError(
        f"{source} holds {other}, not {model.name}; "
        f"run: facesearch models pull {other} --from {source}"
    )


def _checked_archive(source: Path, model: WeightFile) -> Archive:
    archive = load_archives().get(model.source)
    if archive is None:
        raise WeightsError(
            f"{source} is an archive and {model.name} is a bare file: "
            f"give {model.member} with --from"
        )
    _check_bytes(source, archive.sha256, archive.size, archive.file)
    return archive


def _unpack(archive: Archive, path: Path, progress: BarFactory) -> None:
    """The models and the sample photos of a checked archive into their places, in one reading."""
    import zipfile

    from facesearch.weights.sdist import members

    wanted = {
        model.member: model
        for model in load_manifest().values()
        if model.source == archive.file and verify(model.name).state != "present"
    }
    with ExitStack() as stack:
        kept = stack.enter_context(writing(samples_path()))
        samples = stack.enter_context(zipfile.ZipFile(kept, "w"))
        for name, stream in members(path):
            if name.startswith(archive.samples + "/") and name.endswith(".jpg"):
                short = name.removeprefix(archive.samples + "/")
                samples.writestr(zipfile.ZipInfo(short, ZIP_TIME), stream.read())
            elif name in wanted:
                _place_member(wanted.pop(name), stream, path, progress)
        if wanted:
            raise WeightsError(f"{path}: holds no {', '.join(wanted)}; download it again")


def _place_member(model: WeightFile, stream: BinaryIO, path: Path, progress: BarFactory) -> None:
    with writing(_place(model)) as out, progress(model.name, model.size) as bar:
        digest = copy_hashed(stream, out, bar.update)
        if digest != model.sha256:
            raise WeightsError(
                f"{path}: its {model.member} has SHA-256 {digest[:12]}..., "
                f"expected {model.sha256[:12]}...; download it again"
            )


def _check_bytes(path: Path, sha256: str, size: int, what: str) -> None:
    digest = _hash(path)
    if digest != sha256:
        raise WeightsError(
            f"{path} is not {what}: {_size(path):,} bytes with SHA-256 {digest[:12]}..., "
            f"expected {size:,} with {sha256[:12]}...; download it again"
        )


def _hash(path: Path) -> str:
    with reading(path):
        return sha256_file(path)


def _size(path: Path) -> int:
    return path.stat().st_size


def _is_gzip(source: Path) -> bool:
    with reading(source) as stream:
        return stream.read(2) == GZIP_MAGIC

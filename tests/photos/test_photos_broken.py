"""Broken bytes of every format: a photo or a PhotoError, never anything else."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import TiffImagePlugin

from every_format import samples
from facesearch.errors import PhotoError
from facesearch.photos import PhotoLimits, hash_file, read_bytes, read_header, read_photo
from facesearch.records import REASONS
from odd_photos import encoded, lopsided_picture

LIMITS = PhotoLimits(max_pixels=2_000_000)


NAMES = sorted(samples())


def outcome(data: bytes) -> str:
    """ "ok" or the reason; anything but a ``PhotoError`` goes through and fails the test."""
    try:
        photo = read_photo(data, LIMITS)
    except PhotoError as error:
        assert error.reason in REASONS
        assert str(error).isprintable()
        return error.reason
    assert photo.pixels.ndim == 3
    assert min(photo.facts.width, photo.facts.height, photo.facts.frames) >= 1
    return "ok"


def test_a_container_that_tells_another_size_than_its_picture_has() -> None:
    data = encoded(lopsided_picture((61, 47)), "HEIF")
    at = data.index(b"clap") + 4  # what is to be seen of the 64 x 64 pixels that are coded
    assert data[at : at + 4] == (61).to_bytes(4, "big")
    photo = read_photo(data[:at] + (127).to_bytes(4, "big") + data[at + 4 :], LIMITS)
    height, width, _ = photo.pixels.shape
    assert (photo.facts.width, photo.facts.height, photo.facts.scale) == (width, height, 1.0)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, derandomize=True, deadline=None)
@given(data=st.data())
def test_mutated_bytes(name: str, data: st.DataObject) -> None:
    original = samples()[name]
    broken = bytearray(original)
    where = st.integers(0, len(original) - 1)
    # Headers decide most; half of the damage goes there.
    near = st.integers(0, min(400, len(original) - 1))
    for at in data.draw(st.lists(where | near, min_size=1, max_size=12)):
        broken[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    cut = data.draw(st.just(len(broken)) | st.integers(1, len(broken)))
    outcome(bytes(broken[:cut]))


@pytest.mark.parametrize("name", NAMES)
def test_cut_at_many_lengths(name: str) -> None:
    """A file without its end is truncated, never damaged; an animation's first frame may do."""
    original = samples()[name]
    lengths = [*range(0, 100), *range(100, len(original), max(1, len(original) // 100))]
    found = {length: outcome(original[:length]) for length in lengths}
    assert found[0] == "empty"
    assert set(found.values()) <= {"empty", "not-a-photo", "truncated", "ok"}, found
    readable = {length for length, reason in found.items() if reason == "ok"}
    first_frame = 0.25 if name in {"APNG", "GIF", "TIFF"} else 0.9
    assert all(length > first_frame * len(original) for length in readable)


@given(st.binary(max_size=300))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_junk_after_each_magic_number(junk: bytes) -> None:
    for name in NAMES:
        assert outcome(samples()[name][:12] + junk) != "ok"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_printed(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    original = samples()[name]
    for at in range(0, len(original), max(1, len(original) // 60)):
        outcome(original[:at] + bytes(x ^ 0xFF for x in original[at : at + 3]) + original[at + 3 :])
    assert capfd.readouterr() == ("", "")


def test_nothing_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    tiff = bytearray(samples()["TIFF"])
    samples_per_pixel = tiff.index(bytes([0x15, 0x01, 3, 0, 1, 0, 0, 0]))
    tiff[samples_per_pixel + 9] = 0x80
    with pytest.raises(SyntaxError):
        TiffImagePlugin.TiffImageFile(io.BytesIO(tiff))
    assert "More samples" in caplog.text
    caplog.clear()
    assert outcome(bytes(tiff)) == "damaged"
    assert caplog.text == ""


@pytest.mark.parametrize("read", [read_photo, hash_file, read_header])
def test_only_regular_files_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    paths = [tmp_path / "pipe.jpg", tmp_path / "folder.jpg", Path(os.devnull)]
    with socket.socket(socket.AF_UNIX) as unix:
        monkeypatch.chdir(tmp_path)  # the path of a socket is at most 100 bytes long
        unix.bind("s.jpg")
        for path, kind in zip(
            [*paths, Path("s.jpg")], ["fifo", "folder", "device", "socket"], strict=True
        ):
            with pytest.raises(PhotoError, match=f"it is a {kind}") as caught:
                read(path)  # type: ignore[operator]
            assert caught.value.reason == "not-a-photo"
            assert str(caught.value).startswith(str(path))


def test_a_fifo_that_takes_the_files_place_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    really_open = os.open

    def exchange(target: Path, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return really_open(target, flags)

    monkeypatch.setattr(os, "open", exchange)
    with pytest.raises(PhotoError, match="it is a fifo"):
        read_photo(path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "unreadable"),
        (FileNotFoundError(2, "No such file"), "vanished"),
        (NotADirectoryError(20, "Not a directory"), "vanished"),
        (OSError(5, "Input/output error"), "io-error"),
        (OSError(116, "Stale file handle"), "io-error"),
    ],
)
def test_errors_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(lopsided_picture(), "JPEG"))

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(os, "open", fail)
    for read in (read_photo, hash_file, read_header):
        with pytest.raises(PhotoError) as caught:
            read(path)
        assert caught.value.reason == reason
        assert str(caught.value).startswith(f"{path}: ")


def test_a_disk_that_fails_while_reading(tmp_path: Path) -> None:
    class Failing:
        name = "stick.jpg"

        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(PhotoError, match=r"^stick.jpg: .*Input/output error \(io-error\)"):
        read_photo(Failing())  # type: ignore[arg-type]


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for path, reason in {
        tmp_path / "none.jpg": "vanished",
        tmp_path / "none" / "a.jpg": "vanished",
        tmp_path / "loop.jpg": "io-error",
        tmp_path / ("x" * 300): "io-error",
        "a\0b.jpg": "vanished",
    }.items():
        with pytest.raises(PhotoError) as caught:
            read_photo(path)
        assert caught.value.reason == reason
        assert str(caught.value).isprintable()


def test_files_beyond_the_limit_are_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesearch.photos.files.MAX_FILE_BYTES", 100)
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(101))
    with path.open("rb") as file:
        for source in (path, bytes(101), file):
            with pytest.raises(PhotoError) as caught:
                read_bytes(source)
            assert caught.value.reason == "too-large"

"""Every real format, and what a photo looks like once it is read."""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesearch.errors import PhotoError, UsageError
from facesearch.photos import (
    PhotoLimits,
    hash_file,
    photo_from_array,
    read_bytes,
    read_photo,
)
from facesearch.photos.modes import upright_pixels
from facesearch.records import REASONS, Photo
from odd_photos import encoded, lopsided_picture, png_bomb, write_odd_photos

LOSSLESS = ["PNG", "BMP", "TIFF", "GIF", "WEBP"]
LOSSY = ["JPEG", "HEIF", "AVIF"]


def file_of(picture: Image.Image, image_format: str, **options: object) -> bytes:
    if image_format == "WEBP":
        options = {"lossless": True, **options}
    return encoded(picture, image_format, **options)


def difference(photo: Photo, expected: Image.Image) -> float:
    assert photo.pixels.shape == (expected.height, expected.width, 3)
    return float(np.abs(photo.pixels.astype(int) - np.asarray(expected).astype(int)).mean())


@pytest.mark.parametrize("image_format", LOSSLESS + LOSSY)
def test_each_format_shows_the_picture(image_format: str) -> None:
    picture = lopsided_picture()
    data = file_of(picture, image_format)
    photo = read_photo(data)
    assert difference(photo, picture) < (4 if image_format in {"GIF", *LOSSY} else 0.001)
    facts = photo.facts
    assert facts.format == image_format
    assert (facts.width, facts.height, facts.scale, facts.frames) == (96, 72, 1.0, 1)
    assert facts.content_hash == hashlib.sha256(data).digest()
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.flags.c_contiguous


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone(image_format: str, orientation: int) -> None:
    upright = lopsided_picture()
    undo = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    stored = Image.fromarray(upright_pixels(upright, None, undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(file_of(stored, image_format, exif=exif))
    assert difference(photo, upright) < 4
    assert (photo.facts.width, photo.facts.height) == upright.size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_once(orientation: int) -> None:
    """HEIC turns by its own boxes; EXIF in it still tells of the sensor."""
    upright = lopsided_picture()
    undo = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    stored = Image.fromarray(upright_pixels(upright, None, undo[orientation]))
    import pillow_heif

    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    heif = pillow_heif.from_pillow(stored)
    heif.info["exif"] = exif.tobytes()
    heif.save(stream, quality=95)
    assert b"irot" in stream.getvalue() or b"imir" in stream.getvalue() or orientation == 1
    photo = read_photo(stream.getvalue())
    assert difference(photo, upright) < 4
    assert (photo.facts.width, photo.facts.height) == upright.size


def test_a_turned_jpeg_is_made_small_and_facts_tell_of_the_original() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = lopsided_picture((4032, 3024)).transpose(Image.Transpose.ROTATE_90)
    assert stored.size == (3024, 4032)
    photo = read_photo(encoded(stored, "JPEG", exif=exif))
    assert (photo.facts.width, photo.facts.height) == (4032, 3024)
    assert photo.pixels.shape == (1512, 2016, 3)
    assert photo.facts.scale == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((4032, 3024), 2016),
        ((6000, 400), 2048),
        ((6200, 300), 1550),
        ((2049, 40), 2048),
        ((2048, 40), 2048),
        ((20_000, 1), 2048),
    ],
)
def test_max_side(size: tuple[int, int], decoded: int) -> None:
    for image_format in ("JPEG", "PNG"):
        photo = read_photo(encoded(Image.new("RGB", size, (9, 99, 199)), image_format))
        longer = decoded if image_format == "JPEG" else min(2048, size[0])
        assert max(photo.pixels.shape[:2]) == longer
        assert photo.facts.scale == pytest.approx(longer / size[0])
        assert (photo.facts.width, photo.facts.height) == size
        assert abs(photo.pixels[0, 0].astype(int) - (9, 99, 199)).max() <= 3


def test_without_max_side_nothing_is_made_smaller() -> None:
    photo = read_photo(encoded(lopsided_picture((3000, 200)), "JPEG"), PhotoLimits(max_side=None))
    assert photo.pixels.shape == (200, 3000, 3)


@pytest.mark.parametrize("max_side", [None, 48])
@pytest.mark.parametrize("top", [255, 1023, 4095, 65535])
def test_sixteen_bits_of_any_depth_show_the_picture(top: int, max_side: int | None) -> None:
    grey = lopsided_picture().convert("L")
    deep = np.round(np.asarray(grey) / 255.0 * top).astype(np.uint16)
    deep[0, 0] = top
    expected = grey if max_side is None else grey.resize((48, 36), Image.Resampling.BICUBIC)
    for image_format in ("PNG", "TIFF"):
        data = encoded(Image.fromarray(deep), image_format)
        photo = read_photo(data, PhotoLimits(max_side=max_side))
        assert difference(photo, expected.convert("RGB")) < 1.5


def test_big_endian_and_signed_and_float_tiffs_show_the_picture() -> None:
    grey = lopsided_picture().convert("L")
    values = np.asarray(grey).astype(np.float32)
    big = Image.fromarray((values * 257).astype(">u2"))
    assert big.mode == "I;16B"
    with_nan = values.copy()
    with_nan[3, 3] = np.nan
    with_nan[3, 4] = np.inf
    pictures = {
        "16-bit big endian": (big, 1.0),
        "32-bit": (Image.fromarray((values * 257).astype(np.int32)), 1.0),
        "float 0..1": (Image.fromarray(values / 255), 1.0),
        "float 0..255": (Image.fromarray(values), 1.0),
        "with NaN": (Image.fromarray(with_nan), 1.0),
    }
    for name, (picture, limit) in pictures.items():
        photo = read_photo(encoded(picture, "TIFF"))
        assert difference(photo, grey.convert("RGB")) < limit, name
    stretched = read_photo(encoded(Image.fromarray(values * 1e6 - 1.2e8), "TIFF"))
    assert (stretched.pixels.min(), stretched.pixels.max()) == (0, 255)
    flat = read_photo(encoded(Image.fromarray(np.full((5, 5), -7.0, np.float32)), "TIFF"))
    assert flat.pixels.max() == 0 or flat.pixels.min() == flat.pixels.max()


def test_white_is_zero() -> None:
    grey = lopsided_picture().convert("L")
    inverted = Image.fromarray(65535 - np.asarray(grey).astype(np.uint16) * 257)
    photo = read_photo(encoded(inverted, "TIFF", tiffinfo={262: 0}))
    assert difference(photo, grey.convert("RGB")) < 1.5


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_tiff_compressions_and_bigtiff(compression: str) -> None:
    picture = lopsided_picture()
    for big in (False, True):
        photo = read_photo(encoded(picture, "TIFF", compression=compression, big_tiff=big))
        assert difference(photo, picture) < 3
        assert photo.facts.frames == 1


def test_cmyk_keeps_its_colours() -> None:
    picture = lopsided_picture()
    for image_format in ("JPEG", "TIFF"):
        photo = read_photo(encoded(picture.convert("CMYK"), image_format))
        assert difference(photo, picture) < 8


@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_other_colour_spaces(mode: str) -> None:
    picture = lopsided_picture()
    if mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
    else:
        converted = picture.convert(mode)
    photo = read_photo(encoded(converted, "TIFF"))
    assert difference(photo, picture) < 4


def test_one_bit() -> None:
    picture = lopsided_picture().convert("1")
    for image_format in ("PNG", "TIFF", "BMP"):
        photo = read_photo(encoded(picture, image_format))
        assert difference(photo, picture.convert("RGB")) == 0


def test_transparency_becomes_white_and_an_idle_alpha_is_left_out() -> None:
    half = Image.new("RGBA", (40, 20), (200, 0, 0, 255))
    half.paste((0, 0, 200, 0), (20, 0, 40, 20))
    for image_format in ("PNG", "WEBP", "TIFF"):
        pixels = read_photo(file_of(half, image_format)).pixels
        assert pixels[10, 5].tolist() == [200, 0, 0]
        assert pixels[10, 35].tolist() == [255, 255, 255]
    unseen = Image.new("RGBA", (40, 20), (200, 10, 30, 0))
    for limits in (PhotoLimits(), PhotoLimits(max_side=8)):
        pixels = read_photo(encoded(unseen, "PNG"), limits).pixels
        assert pixels.reshape(-1, 3).tolist() == [[200, 10, 30]] * (pixels.size // 3)
    soft = read_photo(encoded(Image.new("LA", (4, 4), (0, 128)), "PNG")).pixels
    assert 126 <= soft[0, 0, 0] <= 128


def test_palette_with_transparency() -> None:
    picture = Image.new("P", (10, 10), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30, 90, 90, 90])
    picture.paste(0, (0, 0, 5, 10))
    for image_format in ("PNG", "GIF"):
        pixels = read_photo(encoded(picture, image_format, transparency=0)).pixels
        assert pixels[5, 2].tolist() == [255, 255, 255]
        assert pixels[5, 7].tolist() == [10, 200, 30]


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_of_many_frames_is_read_and_all_are_counted(image_format: str) -> None:
    first = lopsided_picture()
    others = [Image.new("RGB", first.size, (i * 40, 0, 0)) for i in range(4)]
    data = file_of(first, image_format, save_all=True, append_images=others)
    photo = read_photo(data)
    assert photo.facts.frames == 5
    assert difference(photo, first) < 4


def test_counting_of_frames_has_an_end() -> None:
    gif = encoded(Image.new("L", (1, 1)), "GIF")
    start = gif.index(b"\x2c")
    frame = gif[start:-1]
    photo = read_photo(gif[:start] + frame * 20_000 + b";")
    assert photo.facts.frames == 10_000
    tiff = bytearray(encoded(Image.new("L", (1, 1)), "TIFF"))
    page = int.from_bytes(tiff[4:8], "little")
    following = page + 2 + 12 * int.from_bytes(tiff[page : page + 2], "little")
    tiff[following : following + 4] = page.to_bytes(4, "little")
    assert read_photo(bytes(tiff)).facts.frames == 10_000


def test_capture_time_and_camera() -> None:
    def facts(**tags: object) -> tuple[str, str]:
        exif = Image.Exif()
        for name, tag in (("make", 0x010F), ("model", 0x0110), ("time", 0x0132)):
            if name in tags:
                exif[tag] = tags[name]
        if "original" in tags:
            exif.get_ifd(0x8769)[0x9003] = tags["original"]
        found = read_photo(encoded(lopsided_picture(), "JPEG", exif=exif)).facts
        return found.taken, found.camera

    assert facts(time="2011:02:03 04:05:06", original="2010:01:02 03:04:05") == (
        "2010-01-02T03:04:05",
        "",
    )
    assert facts(time="2011:02:03 04:05:06", original="0000:00:00 00:00:00") == (
        "2011-02-03T04:05:06",
        "",
    )
    assert facts(time="yesterday", make="Canon", model="Canon EOS 5D\0\0 ") == ("", "Canon EOS 5D")
    assert facts(make="NIKON CORPORATION", model="NIKON D90") == ("", "NIKON D90")
    assert facts(make="Apple", model="iPhone\x1b[31m 12\n") == ("", "Apple iPhone [31m 12")
    assert facts(make="Apple") == ("", "Apple")
    assert facts(model="x" * 5_000)[1] == "x" * 100


@pytest.mark.parametrize(
    "junk", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff" * 900]
)
def test_broken_exif_does_not_fail_the_photo(junk: bytes) -> None:
    for image_format in ("JPEG", "PNG", "WEBP"):
        photo = read_photo(file_of(lopsided_picture(), image_format, exif=junk))
        assert photo.facts.taken == photo.facts.camera == ""


def test_sources_of_every_kind_give_the_same_photo(tmp_path: Path) -> None:
    data = encoded(lopsided_picture(), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    expected = read_photo(data)
    with path.open("rb") as file:
        photos = [read_photo(path), read_photo(str(path)), read_photo(file)]
    photos.append(read_photo(io.BytesIO(data)))
    for photo in photos:
        assert photo.facts == expected.facts
        assert np.array_equal(photo.pixels, expected.pixels)
    assert hash_file(path) == expected.facts.content_hash == read_bytes(path).content_hash
    with path.open(encoding="latin-1") as text, pytest.raises(UsageError, match="binary mode"):
        read_photo(text)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="NoneType"):
        read_photo(None)  # type: ignore[arg-type]


def test_arrays_and_pillow_images() -> None:
    picture = lopsided_picture()
    array = np.asarray(picture)
    photo = photo_from_array(array)
    assert np.array_equal(photo.pixels, array)
    assert photo.facts.pixel_hash == read_photo(encoded(picture, "PNG")).facts.pixel_hash
    assert len(photo.facts.content_hash) == 32
    assert photo_from_array(picture).facts.content_hash == photo.facts.content_hash
    assert photo_from_array(array[:, ::-1]).facts.content_hash != photo.facts.content_hash
    assert photo_from_array(array[..., 0]).pixels.shape == array.shape
    assert (
        photo_from_array(np.dstack([array, np.zeros_like(array[..., 0])])).pixels.shape
        == array.shape
    )
    small = photo_from_array(array, PhotoLimits(max_side=48))
    assert (small.pixels.shape, small.facts.scale) == ((36, 48, 3), 0.5)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.open(io.BytesIO(encoded(picture, "JPEG", exif=exif)))
    assert photo_from_array(turned).pixels.shape == (96, 72, 3)
    assert turned.size == (96, 72)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        [[1, 2], [3, 4]],
        Image.new("RGB", (0, 5)),
    ],
)
def test_what_is_no_picture_in_memory_is_a_usage_error(wrong: object) -> None:
    with pytest.raises(UsageError):
        photo_from_array(wrong)  # type: ignore[arg-type]


def test_pixel_hash_tells_pixels_and_shape_apart() -> None:
    a, b = Image.new("RGB", (4, 6)), Image.new("RGB", (6, 4))
    hashes = {read_photo(encoded(p, "PNG")).facts.pixel_hash for p in (a, b)}
    assert len(hashes) == 2
    assert {len(h) for h in hashes} == {16}
    same = {read_photo(encoded(a, f)).facts.pixel_hash for f in ("PNG", "BMP", "TIFF")}
    assert len(same) == 1


def reason_of(data: bytes, limits: PhotoLimits | None = None, name: str = "") -> str:
    with pytest.raises(PhotoError) as caught:
        read_photo(data, limits, name)
    assert caught.value.reason in REASONS
    assert "\n" not in str(caught.value)
    assert f"({caught.value.reason}); " in str(caught.value)
    return caught.value.reason


def test_bombs_are_refused_before_memory_is_taken() -> None:
    import tracemalloc

    bomb = png_bomb()
    tracemalloc.start()
    with pytest.raises(
        PhotoError, match=r"2,500,000,000 pixels .* --max-pixels 200,000,000"
    ) as caught:
        read_photo(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize("image_format", LOSSLESS + LOSSY)
def test_max_pixels(image_format: str) -> None:
    data = file_of(lopsided_picture(), image_format)
    read_photo(data, PhotoLimits(max_pixels=96 * 72))
    assert reason_of(data, PhotoLimits(max_pixels=96 * 72 - 1)) == "too-large"


def test_jpeg_is_judged_by_what_is_decoded_unless_all_of_it_is_held() -> None:
    picture = lopsided_picture((1600, 1200))
    limits = PhotoLimits(max_side=200, max_pixels=200 * 150)
    assert read_photo(encoded(picture, "JPEG"), limits).pixels.shape == (150, 200, 3)
    assert reason_of(encoded(picture, "JPEG", progressive=True), limits) == "too-large"


def test_scans_above_pillows_limit_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for image_format in ("JPEG", "PNG", "TIFF", "BMP", "GIF", "HEIF", "AVIF"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_photo(file_of(lopsided_picture(), image_format))
    assert Image.MAX_IMAGE_PIXELS == 100


def test_not_enough_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("facesearch.photos.decoding.upright_pixels", no_memory)
    assert reason_of(encoded(lopsided_picture(), "PNG")) == "too-large"


def test_limits_must_be_positive() -> None:
    for wrong in ({"max_side": 0}, {"max_pixels": 0}):
        with pytest.raises(UsageError):
            PhotoLimits(**wrong)


def test_what_cannot_be_decoded_is_told_from_what_is_broken() -> None:
    floats = np.zeros((4, 4), np.float32)
    tiff = bytearray(encoded(Image.fromarray(floats), "TIFF"))
    bits = tiff.index(bytes([0x02, 0x01, 3, 0, 1, 0, 0, 0, 32]))
    tiff[bits + 8] = 24
    assert reason_of(bytes(tiff)) == "unsupported"
    jpeg = bytearray(encoded(lopsided_picture(), "JPEG"))
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12
    assert reason_of(bytes(jpeg)) == "unsupported"
    assert reason_of(encoded(lopsided_picture(), "TIFF"), name="a.NEF") == "unsupported"


def test_messages_are_one_line_that_begins_with_the_path() -> None:
    data = encoded(lopsided_picture(), "JPEG")[:900]
    with pytest.raises(PhotoError) as caught:
        read_photo(data, name="a.jpg")
    assert (
        str(caught.value)
        == "a.jpg: the file ends too early (truncated); copy it again from where it came"
    )
    with pytest.raises(PhotoError) as caught:
        read_photo(data, name="a\n\x1b[31m\udcff.jpg")
    assert str(caught.value).startswith("a\\n\\x1b[31m\\udcff.jpg: ")


def test_the_odd_folder(tmp_path: Path) -> None:
    outcomes = write_odd_photos(tmp_path)
    picture = lopsided_picture()
    for name, outcome in outcomes.items():
        path = tmp_path / name
        if outcome == "ok":
            before = path.stat()
            photo = read_photo(path)
            if name not in {"tiny.png", "alpha.png"}:
                expected = (
                    picture.convert("L") if name in {"grey.jpg", "sixteen-bit.png"} else picture
                )
                assert difference(photo, expected.convert("RGB")) < 8, name
            after = path.stat()
            assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
        elif outcome != "not-read":
            with pytest.raises(PhotoError) as caught:
                read_photo(path)
            assert caught.value.reason == outcome, (name, str(caught.value))


def test_threads_decode_side_by_side_and_leave_the_warnings_as_they_were() -> None:
    before = list(warnings.filters)
    data = encoded(lopsided_picture(), "PNG")
    expected = read_photo(data).facts
    found = []

    def work() -> None:
        found.extend(read_photo(data).facts for _ in range(30))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 120
    assert list(warnings.filters) == before


def test_pillows_warnings_are_not_seen(recwarn: pytest.WarningsRecorder) -> None:
    tiff = bytearray(encoded(lopsided_picture(), "TIFF", tiffinfo={270: "x" * 50}))
    tag = tiff.index(bytes([0x0E, 0x01, 2, 0]))
    tiff[tag + 4 : tag + 8] = (1 << 30).to_bytes(4, "little")
    warnings.simplefilter("always")
    Image.open(io.BytesIO(tiff))
    assert len(recwarn) >= 1
    recwarn.clear()
    read_photo(bytes(tiff))
    assert len(recwarn) == 0

"""Paths and addresses: parsed, joined, taken apart, and never mistaken for each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import UsageError
from facesearch.locations import Address, as_location, is_address, join, key_below, parts, whole

KEYS = st.text("ab/.?#%+ é\\:", max_size=12)
BUCKETS = st.sampled_from(["bucket", "a-b.c", "x1"])


@given(st.sampled_from(["s3", "gs"]), BUCKETS, KEYS)
def test_an_address_is_what_its_text_says(scheme: str, bucket: str, key: str) -> None:
    address = as_location(f"{scheme}://{bucket}/{key}")
    assert address == Address(scheme, bucket, key.rstrip("/"))
    assert as_location(str(address)) == address
    assert as_location(f"{scheme.upper()}://{bucket}/{key}/") == address
    assert is_address(str(address))
    assert whole(address) is address


@given(BUCKETS, KEYS, KEYS.filter(lambda key: key.strip("/")))
def test_what_is_joined_lies_below(bucket: str, root: str, key: str) -> None:
    folder = Address("s3", bucket, root.rstrip("/"))
    key = key.rstrip("/")
    place = folder.at(key)
    assert str(place) == join(folder, key) == join(str(folder), key)
    assert key_below(folder, place) == key
    assert key_below(place, folder) in (None, "") or folder == place
    assert folder.at("") == folder
    assert key_below(folder, folder) == ""


@settings(max_examples=200)
@given(KEYS, KEYS)
def test_below_is_by_whole_names(one: str, two: str) -> None:
    folder, place = Address("s3", "b", one.rstrip("/")), Address("s3", "b", two.rstrip("/"))
    key = key_below(folder, place)
    inside = not folder.key or place.key == folder.key or place.key.startswith(folder.key + "/")
    assert (key is not None) == inside
    if key:
        assert folder.at(key) == place
    assert key_below(folder, Address("s3", "other", place.key)) is None
    assert key_below(folder, Address("gs", "b", place.key)) is None
    assert key_below(folder, Path("/b")) is key_below(Path("/"), place) is None


def test_paths_are_as_they_were(tmp_path: Path) -> None:
    assert as_location("photos/a.jpg") == Path("photos/a.jpg")
    assert as_location(tmp_path) == tmp_path
    assert whole(Path("photos")) == Path(os.path.abspath("photos"))
    assert key_below(tmp_path, tmp_path / "a" / "b.jpg") == "a/b.jpg"
    assert key_below(tmp_path, tmp_path) == ""
    assert key_below(tmp_path / "a", tmp_path / "ab") is None
    assert join(tmp_path, "a/b.jpg") == str(tmp_path / "a" / "b.jpg")
    assert join(tmp_path, "") == str(tmp_path)
    assert parts(tmp_path) == tmp_path.parts
    assert [is_address(text) for text in ("s3:/a", "C:\\a", "a/s3://b", "", Path("s3://b"))] == [
        False
    ] * 5


def test_a_file_address_is_the_path(tmp_path: Path) -> None:
    assert as_location(f"file://{tmp_path}/a b%20.jpg") == tmp_path / "a b%20.jpg"
    assert as_location(f"FILE://{tmp_path}") == tmp_path


def test_parts_count_the_way() -> None:
    assert parts(Address("s3", "b")) == ("s3:", "b")
    assert parts(Address("s3", "b", "x//y")) == ("s3:", "b", "x", "y")


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3:///key",
        "s3://b",
        "s3://-bucket/x",
        "s3://buc ket/x",
        "s3://user@bucket/x",
        "s3://KEY:SECRET@bucket/x",
        "http://host/x.jpg",
        "milvus+http://host/x",
        "file://photos",
        "file://",
    ],
)
def test_what_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_location(text)
    assert "SECRET" not in str(caught.value)


def test_an_address_that_became_a_path() -> None:
    with pytest.raises(UsageError, match="as text"):
        as_location(Path("s3://bucket/photos"))
    with pytest.raises(TypeError):
        os.fspath(Address("s3", "bucket"))  # type: ignore[call-overload]

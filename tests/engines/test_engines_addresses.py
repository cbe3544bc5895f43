"""What names a store: paths stay paths, addresses are taken apart, secrets are refused unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.addresses import EngineAddress, parse_store
from facesearch.errors import UsageError
from facesearch.gallery.milvus.rows import (
    file_key,
    folder_tokens,
    spelled,
    split_file_key,
    unspelled,
)


@pytest.mark.parametrize(
    ("text", "host", "port", "database", "collection", "tls"),
    [
        ("milvus+http://host/faces", "host", None, "", "faces", False),
        ("milvus+http://host:19530/faces", "host", 19530, "", "faces", False),
        ("milvus+https://a.b.example:443/archive/faces", "a.b.example", 443, "archive", "faces", 1),
        ("milvus+http://[::1]:19530/faces", "::1", 19530, "", "faces", False),
    ],
)
def test_a_server(text, host, port, database, collection, tls) -> None:
    address = parse_store(text)
    assert address == EngineAddress("milvus", collection, host, port, database, bool(tls))
    assert str(address) == text
    assert parse_store(str(address)) == address


def test_a_file_of_milvus_lite(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = EngineAddress("milvus", "faces", file=tmp_path / "a b.db")
    assert parse_store("milvus+file:a b.db") == here
    assert parse_store(f"milvus+file:{tmp_path}/a b.db") == here
    assert parse_store(f"milvus+file://{tmp_path}/a b.db") == here
    assert parse_store("milvus+file:a b.db#other").collection == "other"
    assert parse_store(str(here)) == here


@pytest.mark.parametrize("text", ["faces.npz", "a/b.npz", "./milvus+http", "milvus+x", "a+b/c:d"])
def test_a_path(text) -> None:
    assert parse_store(text) == Path(text).absolute()
    assert parse_store(Path(text)) == Path(text).absolute()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("milvus+http://user:secret@host/faces", "no credentials"),
        ("milvus+http://secret@host/faces", "no credentials"),
        ("milvus+http://host/faces?token=secret", "no credentials"),
        ("milvus+http://host/faces#secret", "no credentials"),
        ("milvus+http://host", "not complete"),
        ("milvus+http://host/a/b/c", "not complete"),
        ("milvus+http:///faces", "not complete"),
        ("milvus+http://host:no/faces", "write milvus"),
        ("milvus+http://host/1faces", "can be no collection"),
        ("milvus+http://host/fa-ces", "can be no collection"),
        ("milvus+http:host/faces", "no such kind"),
        ("milvus+ftp://host/faces", "no such kind"),
        ("milvus+file:", "names no file"),
        ("other+http://host/faces", "no search engine 'other'"),
        ("http://host/faces", "a store is a file here or"),
        ("s3://bucket/faces.npz", "a store is a file here or"),
        ("https://user:secret@host/faces", "a store is a file here or"),
    ],
)
def test_what_is_no_address(text, told) -> None:
    with pytest.raises(UsageError, match=told) as error:
        parse_store(text)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


KEYS = st.text(st.characters(exclude_characters="\0")) | st.binary().map(
    lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)


@given(KEYS, st.integers(0, 1 << 20))
def test_every_path_has_a_key_that_needs_no_escaping(key, root) -> None:
    made = file_key(root, key)
    assert split_file_key(made) == (root, key)
    assert not set('"\\\n\r\t') & set(made)
    made.encode()  # no half of a pair


@given(KEYS, KEYS)
def test_two_names_are_spelled_in_two_ways(one, other) -> None:
    assert (spelled(one) == spelled(other)) == (one == other)
    assert unspelled(spelled(one)) == one


def test_the_folders_of_a_file() -> None:
    assert folder_tokens(3, "a/b/c.jpg") == ["3:", "3:a", "3:a/b", "3:a/b/c.jpg"]
    assert folder_tokens(3, "") == ["3:"]


@pytest.mark.parametrize("secret", ["pa/ss", "p#a", "p?a", "1:2", "a@b"])
def test_whatever_stands_before_the_host_is_not_repeated(secret):
    with pytest.raises(UsageError) as error:
        parse_store(f"milvus+http://somebody:{secret}@host/c")
    said = str(error.value)
    assert said.startswith("milvus+http://host/c: an address is shown and remembered")
    assert secret not in said
    assert "somebody" not in said


def test_files_whose_names_look_nearly_like_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_store("mum+dad:2019.npz") == tmp_path / "mum+dad:2019.npz"
    assert parse_store("milvus+file:a#b.db").file == tmp_path / "a#b.db"

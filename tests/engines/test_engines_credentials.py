"""Who one is to a server is told by the environment or by a file that nobody else may read."""

from __future__ import annotations

import os

import pytest

from facesearch.errors import UsageError
from facesearch.gallery.milvus.credentials import Credentials, read_credentials

FILE = "FACESEARCH_MILVUS_CREDENTIALS"
USER, PASSWORD = "FACESEARCH_MILVUS_USER", "FACESEARCH_MILVUS_PASSWORD"


@pytest.fixture
def held(tmp_path):
    path = tmp_path / "milvus.toml"
    path.write_text('user = "ann"\npassword = "secret"\n')
    path.chmod(0o600)
    return path


def test_from_the_environment() -> None:
    assert read_credentials({}) == Credentials()
    assert read_credentials({USER: "ann", PASSWORD: "pw"}) == Credentials("ann", "pw")
    assert read_credentials({"FACESEARCH_MILVUS_TOKEN": "t"}) == Credentials(token="t")


def test_from_a_file_and_a_variable_goes_before(held) -> None:
    assert read_credentials({FILE: str(held)}) == Credentials("ann", "secret")
    changed = read_credentials({FILE: str(held), PASSWORD: "other"})
    assert changed == Credentials("ann", "other")


def test_they_are_not_shown() -> None:
    assert "pw" not in repr(Credentials("ann", "pw", "token"))


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused(held, mode) -> None:
    held.chmod(mode)
    with pytest.raises(UsageError, match=r"others may read it; chmod 600"):
        read_credentials({FILE: str(held)})


@pytest.mark.parametrize(
    "text", ["secret", 'user = "ann', "password = 3", 'pass = "secret"', "\xff"]
)
def test_a_file_that_makes_no_sense_is_not_quoted(held, text) -> None:
    held.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="makes no sense") as error:
        read_credentials({FILE: str(held)})
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_missing(tmp_path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_credentials({FILE: str(tmp_path / "none")})
    with pytest.raises(UsageError, match="belong together"):
        read_credentials({USER: "ann"})
    with pytest.raises(UsageError, match="belong together"):
        read_credentials({PASSWORD: "pw"})
    with pytest.raises(UsageError, match="no such file"):
        read_credentials({"FACESEARCH_MILVUS_CA": str(tmp_path / "none")})

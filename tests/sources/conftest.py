"""A bucket on a server of its own, and nothing of the machine's own credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from object_storage import (  # noqa: F401 - fixtures
    Bucket,
    BucketLibrary,
    bucket,
    hasty,
    one_server,
    own_server,
    server,
)


@pytest.fixture
def library(tmp_path: Path, bucket: Bucket) -> BucketLibrary:  # noqa: F811
    return BucketLibrary(tmp_path / "home", bucket)

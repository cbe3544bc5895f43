"""What calls may ask for, checked; the same classes describe it in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facesearch import adding
from facesearch.web.problems import bad_request

_MOST_OFFSET = 10_000_000
PHOTO_ID = r"^[0-9a-f]{16}([0-9a-f]{2}){0,24}$"
FACE_ID = r"^[0-9a-f]{16}-[1-9][0-9]{0,5}$"
KEY = f"^{adding.KEY}$"

Number = Annotated[float, Field(allow_inf_nan=False)]
Side = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Asked = TypeVar("Asked", bound="Form")


class Form(BaseModel):
    """What no field is known for is refused, for it was meant to change something."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchForm(Form):
    """What to search for besides the photo: one of ``photo``, ``token``, ``embedding``, ``id``."""

    token: Annotated[str, Field(max_length=64)] | None = None
    embedding: Annotated[list[Number], Field(min_length=1, max_length=8192)] | None = None
    id: Annotated[str, Field(pattern=FACE_ID)] | None = None
    face: Annotated[int, Field(ge=1, le=100_000)] | None = None
    box: Annotated[list[Side], Field(min_length=4, max_length=4)] | None = None
    k: Annotated[int, Field(ge=1, le=1000)] = 25
    offset: Annotated[int, Field(ge=0, le=_MOST_OFFSET)] = 0
    max_distance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    by: Literal["photo", "face"] = "photo"


class NoFields(Form):
    """A photo, and nothing else."""


class VerifyForm(Form):
    """What counts as one person."""

    fmr: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_distance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    face_a: Annotated[int, Field(ge=1, le=100_000)] | None = None
    face_b: Annotated[int, Field(ge=1, le=100_000)] | None = None


class ZipForm(Form):
    """Which photos go into the archive."""

    photos: Annotated[
        list[Annotated[str, Field(pattern=PHOTO_ID)]], Field(min_length=1, max_length=2000)
    ]


class IndexForm(Form):
    """Which folder is indexed; null: all that the store knows."""

    folder: Annotated[str, Field(min_length=1, max_length=4096)] | None = None


def checked(kind: type[Asked], fields: dict[str, Any]) -> Asked:
    """The fields as ``kind`` has them.

    Raises:
        HttpError: one of them cannot be meant.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise bad_request(told(first)) from error


def told(error: Any) -> str:
    """One line for one thing that is wrong."""
    where = ".".join(str(part) for part in error["loc"])[:80]
    return f"{where}: {error['msg']}" if where else str(error["msg"])

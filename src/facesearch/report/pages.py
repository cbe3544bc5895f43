"""Pages that hold everything they show: templates, styles and scripts with their hashes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from facesearch.report.terminal import escape

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Inline:
    """A style or script of our own inside a page, and the hash by which its policy admits it."""

    text: Markup
    hash: Markup


def inline(name: str) -> Inline:
    """A file beside the templates."""
    from markupsafe import Markup

    text = (files("facesearch.report") / "templates" / name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Inline(Markup(text), Markup(f"sha256-{digest}"))


def template(name: str) -> Any:
    """A template that escapes what is put into it, and knows no missing names."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("facesearch.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _visible(value: object) -> object:
    """Text with what steers or misleads made visible, as on a terminal."""
    return escape(value) if type(value) is str else value


def data_uri(kind: str, content: bytes) -> str:
    """The content inside an address, so that nothing is fetched."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"

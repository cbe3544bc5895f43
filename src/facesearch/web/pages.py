"""The HTML pages, from templates of this package."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


class Templates:
    """The templates, in which everything is escaped."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("facesearch.web"), autoescape=True, undefined=StrictUndefined
        )

    def render(self, name: str, **facts: Any) -> str:
        """A page."""
        return self._templates.get_template(name).render(**facts)


def static_modules() -> list[str]:
    """The names of the page's scripts, which it may load all at once."""
    files = resources.files("facesearch.web").joinpath("static").iterdir()
    return sorted(file.name for file in files if file.name.endswith(".js"))

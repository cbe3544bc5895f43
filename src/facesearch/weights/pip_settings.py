"""What the user has told pip about package indexes, read without pip being there.

Order and places are pip's own: global files, the user's, the environment's, ``PIP_CONFIG_FILE``,
then variables; later ones win. See pip's documentation, "Configuration".
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SECTIONS = ("global", "install", "download")


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """``index`` is None where pip would take its default; ``extra`` are searched after it.

    ``certificates`` is a file of trusted authorities, ``proxy`` a URL. With ``no_index`` no index
    may be asked at all.
    """

    index: str | None = None
    extra: tuple[str, ...] = ()
    certificates: str | None = None
    proxy: str | None = None
    no_index: bool = False


def index_settings() -> IndexSettings:
    """The settings that ``pip download`` would use here."""
    values: dict[str, str] = {}
    for path in _config_files(os.environ):
        values |= _options(path)
    for name in ("index-url", "extra-index-url", "cert", "proxy", "no-index"):
        if variable := os.environ.get("PIP_" + name.upper().replace("-", "_")):
            values[name] = variable
    return IndexSettings(
        index=values.get("index-url") or None,
        extra=tuple(url for url in values.get("extra-index-url", "").split() if _is_web(url)),
        certificates=values.get("cert") or None,
        proxy=values.get("proxy") or None,
        no_index=values.get("no-index", "").lower() in {"1", "true", "yes", "on"},
    )


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _config_files(environment: Mapping[str, str]) -> Iterator[Path]:
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    file = "pip.ini" if os.name == "nt" else "pip.conf"
    yield from (folder / file for folder in _global_folders(environment))
    if not (named and Path(named).exists()):
        yield from (folder / file for folder in _user_folders())
    yield Path(sys.prefix) / file
    if named:
        yield Path(named)


def _global_folders(environment: Mapping[str, str]) -> list[Path]:
    if sys.platform == "darwin":
        return [Path("/Library/Application Support/pip")]
    if os.name == "nt":
        return [Path(environment.get("PROGRAMDATA", "C:/ProgramData")) / "pip"]
    shared = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [*(Path(folder) / "pip" for folder in shared.split(os.pathsep)), Path("/etc")]


def _user_folders() -> list[Path]:
    from platformdirs import user_config_path

    legacy = Path.home() / ("pip" if os.name == "nt" else ".pip")
    current = user_config_path("pip", appauthor=False, roaming=True)
    if sys.platform == "darwin" and not current.is_dir():
        current = Path.home() / ".config" / "pip"
    return [legacy, current]


def _options(path: Path) -> dict[str, str]:
    """The options of one file; one that is missing or that pip could not read says nothing."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return {}
    return {
        key.replace("_", "-"): value.strip()
        for section in SECTIONS
        if parser.has_section(section)
        for key, value in parser.items(section)
    }

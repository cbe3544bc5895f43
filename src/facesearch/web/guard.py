"""Who may ask: the right host, no foreign page, the key; and the headers that every answer has."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import socket
import threading
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesearch.web.options import ServeOptions
from facesearch.web.problems import HttpError, answer, problem_of

PRIVATE = ("/api", "/api/")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware: stands before everything, and answers itself what it refuses."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app = app
        self._key = options.key
        self._hosts = Hosts(options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks over a web socket
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        scope["facesearch.allowed"] = has_key(headers, self._key)
        problem = self._refusal(scope, headers)
        target: ASGIApp = self._app if problem is None else answer(problem)
        sending = _Answer(send, scope["path"])
        try:
            await target(scope, receive, sending)
        except Exception as error:  # or it would be answered outside, without these headers
            if sending.begun:
                raise
            await answer(problem_of(error))(scope, receive, sending)

    def _refusal(self, scope: Scope, headers: Headers) -> HttpError | None:
        host = headers.get("host", "")
        if not self._hosts.knows(host):
            return HttpError(403, "foreign-host", "this address is not one of this server's")
        if not _is_own(headers, host, scope):
            return HttpError(403, "foreign-origin", "another page may not ask here")
        path = scope["path"]
        if (path == PRIVATE[0] or path.startswith(PRIVATE[1])) and not scope["facesearch.allowed"]:
            message = "the key is missing or wrong; send Authorization: Bearer KEY"
            return HttpError(401, "unauthorized", message)
        return None


class Hosts:
    """The names under which a server is asked.

    A page elsewhere can let its own name lead to this address, but it cannot change that the
    browser then sends that name. Numbers are nobody's name.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._local = is_loopback(options.host)
        names = {"localhost", *options.hosts}
        if not self._local:
            names |= {options.host, socket.gethostname(), socket.getfqdn()}
        self._names = {name.lower().rstrip(".") for name in names}

    def knows(self, host: str) -> bool:
        """Whether a Host header is one of this server's."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"].lower().rstrip(".")
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or not self._local


def has_key(headers: Headers, key: str) -> bool:
    """Whether a request carries the key, in its header or the page's cookie."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and is_key(given.strip(), key):
        return True
    # Browsers send the cookies of all ports; one that is not well formed must not hide the others.
    cookies = cookie_parser(headers.get("cookie", ""))
    return is_key(cookies.get(cookie_of(headers.get("host", "")), ""), cookie_value(key))


def cookie_of(host: str) -> str:
    """The name of the page's cookie; servers of other ports of a host have others."""
    found = _HOST.fullmatch(host)
    port = found["port"] if found is not None else None
    return f"facesearch_key_{port}" if port else "facesearch_key"


def cookie_value(key: str) -> str:
    """What the page's cookie holds: browsers show it to servers of other ports, which learn nothing
    of the key from it.
    """
    return hmac.digest(key.encode(), b"the page of facesearch serve", "sha256").hex()


class Tickets:
    """Words that open the page once each, for places where others of the machine can read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[str] = set()

    def make(self) -> str:
        """A word that nobody guesses."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            self._held.add(ticket)
        return ticket

    def use(self, given: str) -> bool:
        """Whether it is one; from now on it is none."""
        with self._lock:
            found = [held for held in self._held if is_key(given, held)]
            self._held.difference_update(found)
        return bool(found)


def is_key(given: str, key: str) -> bool:
    """Whether they are the same; how long that takes does not tell how much of it is."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode())


def _is_own(headers: Headers, host: str, scope: Scope) -> bool:
    """Whether no page but this server's own is behind a request, as far as browsers tell.

    Another port of this machine is another page, though its cookies are the same.
    """
    origin = headers.get("origin")
    if origin is not None:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or parts.netloc.lower() != host.lower():
            return False
    site = headers.get("sec-fetch-site", "none")
    if site in ("same-origin", "none"):
        return True
    # A link from elsewhere may lead to the page, which has no data in itself.
    return scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"


def is_loopback(host: str) -> bool:
    """Whether only this machine can ask there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


class _Answer:
    """Sends an answer with the headers that all have; ``begun``: some of it was sent."""

    def __init__(self, send: Send, path: str) -> None:
        self.begun = False
        self._send = send
        self._cache = "no-cache" if path.startswith("/static/") else "private, no-store"

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", self._cache)
        await self._send(message)

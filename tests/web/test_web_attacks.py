"""What strangers try: each is refused, with a code, and leaves nothing behind."""

from __future__ import annotations

import os
import struct
import tempfile
import tracemalloc
import zlib

import pytest
from asking import HOME, KEY, code_of, first_line, listening, photo_of, raw
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser

from facesearch.web.guard import HEADERS as SAFE
from facesearch.web.guard import Hosts
from facesearch.web.options import ServeOptions
from facesearch.web.server import config_of
from small_store import BLUE, RED, draw, enroll, row_of

CALLS = [
    ("GET", "/api/store"),
    ("GET", "/api/failures"),
    ("POST", "/api/faces"),
    ("GET", "/api/faces/a-token"),
    ("POST", "/api/search"),
    ("POST", "/api/verify"),
    ("GET", "/api/photos/0123456789abcdef"),
    ("GET", "/api/photos/0123456789abcdef/faces/1"),
    ("POST", "/api/zip"),
    ("PUT", "/api/photos/mine"),
    ("DELETE", "/api/photos/mine"),
    ("GET", "/api/index"),
    ("POST", "/api/index"),
    ("DELETE", "/api/index"),
    ("GET", "/api/nothing"),
    ("GET", "/api"),
]


def test_every_call_of_the_interface_is_among_those_tried(standing):
    described = standing.get("/openapi.json").json()["paths"]
    known = {
        (method.upper(), path)
        for path, calls in described.items()
        for method in calls
        if path.startswith("/api")
    }
    tried = {
        (
            method,
            path.replace("0123456789abcdef", "{photo_id}")
            .replace("faces/1", "faces/{number}")
            .replace("a-token", "{token}")
            .replace("photos/mine", "photos/{key}"),
        )
        for method, path in CALLS
    }
    assert known <= tried


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer \xff"},
        {"Authorization": "", "Cookie": "facesearch_key_8480=wrong"},
        {"Authorization": "", "Cookie": "facesearch_key_8480="},
        {"Authorization": "", "Cookie": f"other={KEY}"},
    ],
)
def test_nothing_is_answered_without_the_key(standing, method, path, headers):
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = standing.request(method, path, headers=sent)
    assert (answer.status_code, code_of(answer)) == (401, "unauthorized")


def test_the_key_in_the_address_does_not_open_the_interface(standing):
    answer = standing.get(f"/api/store?key={KEY}", headers={"Authorization": ""})
    assert answer.status_code == 401


def test_the_page_takes_the_key_out_of_the_address_into_a_cookie(client):
    client.headers.pop("Authorization")
    assert client.get("/").status_code == 401
    wrong = client.get("/", params={"key": "wrong"}, follow_redirects=False)
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    right = client.get("/", params={"key": KEY}, follow_redirects=False)
    assert (right.status_code, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert KEY.lower() not in cookie, "other servers of this machine are shown it"
    assert client.get("/").status_code == 200
    assert client.get("/api/store").status_code == 200


@pytest.mark.parametrize(
    "other", ['theme={"dark": 1}', "seen=a b", "pref[x]=1", 'open="x', "name=Zoë", "theme"]
)
def test_a_cookie_of_another_server_of_this_machine_does_not_hide_the_key(client, other):
    client.headers.pop("Authorization")
    opened = client.get("/", params={"key": KEY}, follow_redirects=False)
    own = opened.headers["set-cookie"].partition(";")[0]
    client.cookies.clear()
    sent = {"Cookie": f"{other}; {own}".encode()}
    assert client.get("/api/store", headers=sent).status_code == 200


def test_two_servers_of_one_machine_do_not_shut_each_other_out(client):
    """Browsers send cookies to all ports of a host."""
    client.headers.pop("Authorization")
    first, second = "http://127.0.0.1:8480", "http://127.0.0.1:8481"
    assert client.get(f"{first}/", params={"key": KEY}).status_code == 200
    client.cookies.set("facesearch_key_8481", "the-key-of-the-other-server")
    assert client.get(f"{first}/api/store").status_code == 200
    assert client.get(f"{second}/api/store").status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8480",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8480",
        "192.168.0.7:8480",
        "0x7f000001.example",
        "127.0.0.1@evil.example",
        "127.0.0.1/evil",
        "",
        "a b",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/store", "/healthz", "/static/page.js", "/docs"])
def test_a_foreign_host_is_refused_everywhere(standing, host, path):
    answer = standing.get(path, headers={"Host": host})
    assert (answer.status_code, code_of(answer)) == (403, "foreign-host")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:9999", "LOCALHOST", "[::1]:8480", "127.0.0.2"]
)
def test_names_of_this_machine_are_known(standing, host):
    assert standing.get("/healthz", headers={"Host": host}).status_code == 200


def test_another_address_is_known_by_number_and_by_its_names_alone():
    hosts = Hosts(ServeOptions(KEY, host="0.0.0.0", hosts=("photos.home",)))
    assert all(map(hosts.knows, ["192.168.0.7:8480", "photos.home", "127.0.0.1", "[fe80::1]:80"]))
    assert not hosts.knows("evil.example")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://localhost:8480",
        "http://127.0.0.1:8480.evil.example",
        "http://127.0.0.1:8480@evil.example",
        "file://127.0.0.1:8480",
        "http://[",
        "",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/store"), ("POST", "/api/search")])
def test_a_foreign_origin_is_refused_though_it_has_the_key(standing, origin, method, path):
    answer = standing.request(method, path, headers={"Origin": origin})
    assert (answer.status_code, code_of(answer)) == (403, "foreign-origin")


def test_the_own_origin_is_not(standing):
    assert standing.get("/api/store", headers={"Origin": HOME}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pictures_in_a_foreign_page_are_refused(standing, site):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    answer = standing.get("/api/store", headers=headers)
    assert (answer.status_code, code_of(answer)) == (403, "foreign-origin")
    followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    assert standing.get("/", headers=followed).status_code == 200
    assert standing.get("/api/store", headers=followed).status_code == 403


def test_no_other_page_is_allowed_to_ask(standing):
    answer = standing.options(
        "/api/search",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 403
    for answer in (standing.get("/api/store"), standing.options("/api/search")):
        assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/api/store", "/api/nothing", "/static/page.js", "/healthz", "/nothing"]
)
def test_every_answer_is_safe_for_browsers(standing, path):
    answer = standing.get(path)
    for name, value in SAFE.items():
        assert answer.headers[name] == value
    policy = SAFE["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    wanted = "no-cache" if path.startswith("/static/") else "private, no-store"
    assert answer.headers["cache-control"] == wanted


TRAVERSALS = [
    "/static/../app.py",
    "/static/..%2fapp.py",
    "/static/%2e%2e/app.py",
    "/static/%2e%2e%2f%2e%2e%2fapi.py",
    "/static//etc/passwd",
    "/static/..\\app.py",
    "/static/%00",
    "/api/photos/..%2f..%2fetc%2fpasswd",
    "/api/photos/../../etc/passwd",
    "/api/photos/%2fetc%2fpasswd",
    "/api/photos/0123456789abcdef/faces/..%2f..%2f1",
    "/api/photos/0123456789ABCDEF",
    "/api/photos/0123456789abcde",
    "/../etc/passwd",
    "//etc/passwd",
]


def test_no_path_leads_out_of_where_it_should(standing):
    with listening(standing.app) as where:
        for path in TRAVERSALS:
            request = (
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
                "Connection: close\r\n\r\n"
            )
            answer = raw(where, request.encode())
            status = int(answer.split(b" ")[1])
            assert 400 <= status < 500, (path, answer[:200])
            assert b"root:" not in answer and b"import" not in answer


def shown(client, name: str) -> str:
    """Where a photo of the store is shown."""
    asked = {"embedding": row_of(RED).tolist(), "k": 100}
    found = client.post("/api/search", json=asked).json()["neighbors"]
    (known,) = (each for each in found if each["relative_path"] == name)
    return f"/api/photos/{known['photo']}"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_that_leads_out_of_the_folder_is_not_followed(client, photos, store, tmp_path):
    secret = draw(tmp_path / "secret" / "me.png", {RED: (30, 20, 40, 40)}, note=77)
    (photos / "link.png").symlink_to(secret)
    (photos / "folder").symlink_to(secret.parent)
    enroll(store, [photos])
    for way in ("", "?original=1", "/faces/1"):
        answer = client.get(shown(client, "link.png") + way)
        assert (answer.status_code, code_of(answer)) == (403, "outside-roots")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_inside_the_folder_is(client, photos, store):
    draw(photos / "aim.png", {RED: (30, 20, 40, 40)}, note=78)
    (photos / "also.png").symlink_to(photos / "aim.png")
    enroll(store, [photos])
    (photos / "aim.png").replace(photos / "elsewhere.png")
    (photos / "also.png").unlink()
    (photos / "also.png").symlink_to(photos / "elsewhere.png")
    assert client.get(shown(client, "aim.png")).status_code == 200


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_photo_that_became_something_else_is_not_shown(client, photos, tmp_path):
    address = shown(client, "red/one.png")
    (photos / "red" / "one.png").unlink()
    (photos / "red" / "one.png").symlink_to("/etc/passwd")
    assert code_of(client.get(address + "?original=1")) == "outside-roots"
    (photos / "red" / "one.png").unlink()
    os.mkfifo(photos / "red" / "one.png")
    assert client.get(address).status_code == 404
    (photos / "red" / "one.png").unlink()
    draw(photos / "red" / "one.png", {BLUE: (1, 1, 9, 9)})
    for way in ("", "?original=1", "/faces/1"):
        answer = client.get(address + way)
        assert (answer.status_code, code_of(answer)) == (409, "photo-changed")


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims so many pixels and has none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("call", ["/api/faces", "/api/search"])
def test_a_bomb_is_refused_before_it_is_decoded(client, call, monkeypatch):
    def never(*args):
        raise AssertionError("decoded")

    monkeypatch.setattr("facesearch.photos.decoding._load", never)
    for size in ((8001, 8000), (100_000, 100_000), (2_000_000_000, 1)):
        answer = client.post(call, files={"photo": bomb(*size)})
        assert (answer.status_code, code_of(answer)) == (413, "too-large")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(serving):
    client = serving(photo_bytes=10_000)
    with listening(client.app) as where:
        declared = (
            f"POST /api/faces HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Type: image/png\r\nContent-Length: 99999999999\r\n"
            "Connection: close\r\n\r\n"
        )
        answer = raw(where, declared.encode())  # of which nothing is sent
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"too-large" in answer


def test_headers_without_end_are_refused_whoever_sends_them(client):
    """Uvicorn's other parser, which it takes where it is installed, knows no largest header."""
    assert config_of(client.app).http == "h11"
    with listening(client.app) as where:
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000
        assert b" 400 " in first_line(where, request)


def test_a_body_without_a_length_is_refused_when_it_is_too_large(serving):
    client = serving(photo_bytes=10_000)
    piece = b"186A0\r\n" + b"x" * 100_000 + b"\r\n"
    with listening(client.app) as where:
        endless = (
            f"POST /api/faces HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
        ).encode() + 12 * piece  # it never ends
        answer = first_line(where, endless)
    assert b" 413 " in answer


@pytest.mark.parametrize("way", ["form", "base64", "raw"])
def test_a_photo_is_bounded_however_it_comes(serving, way):
    client = serving(photo_bytes=10_000)
    data = b"\x89PNG\r\n\x1a\n" + bytes(10_001)
    if way == "form":
        answer = client.post("/api/faces", files={"photo": data})
    elif way == "raw":
        answer = client.post("/api/faces", content=data, headers={"Content-Type": "image/png"})
    else:
        import base64

        answer = client.post("/api/faces", json={"photo": base64.b64encode(data).decode()})
    assert (answer.status_code, code_of(answer)) == (413, "too-large")


@pytest.mark.parametrize("call", ["faces", "search", "verify", "zip", "index"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "text/html", "", "application/xml"]
)
def test_other_content_types_are_refused(standing, call, kind):
    answer = standing.post(f"/api/{call}", content=b"photo=1", headers={"Content-Type": kind})
    assert (answer.status_code, code_of(answer)) == (415, "unsupported-media-type")


def test_a_coded_body_is_refused(standing):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = standing.post("/api/search", content=b"\x1f\x8b", headers=headers)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"<script>alert(1)</script>", "not-a-photo"),
        (b"GIF89a<script>", "damaged"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 50, "truncated"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-a-photo"),
        (b"%PDF-1.4", "not-a-photo"),
        (b"\0" * 5000, "not-a-photo"),
    ],
)
def test_what_is_no_photo_is_said_to_be(standing, data, code):
    answer = standing.post("/api/faces", files={"photo": ("x.png", data, "image/png")})
    assert answer.status_code == 422
    assert code_of(answer) in {code, "truncated", "damaged"} if code != "empty" else code


FORMS = [
    b"",
    b"--b\r\n\r\n",
    b"--b--\r\n",
    b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="photo"\r\n\r\nx\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\nx\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n1\r\n' * 60 + b"--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n' + b"1" * (2 << 20) + b"\r\n--b--",
    b'--b\r\nContent-Disposition: form-data; name="photo"; filename="x"\r\n\r\nx\r\n' * 2
    + b"--b--",
    b"\xff" * 300,
]


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_make_no_sense_are_refused(standing, form):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = standing.post("/api/search", content=form, headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "bad-request")
    nothing = standing.post(
        "/api/search", content=form, headers={"Content-Type": "multipart/form-data"}
    )
    assert nothing.status_code == 400


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b"null", b"[" * 100_000, b'{"k": 1e999}', b"\xff", b""]
)
def test_json_that_makes_no_sense_is_refused(standing, text):
    answer = standing.post(
        "/api/search", content=text, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, code_of(answer)) == (400, "bad-request")


@pytest.mark.parametrize("piece", [b"[],", b"{},", b"1.5,"])
def test_json_of_many_small_things_is_refused_before_it_takes_memory(standing, piece):
    text = b'{"embedding": [' + 1_000_000 * piece + b"0]}"
    tracemalloc.start()
    try:
        answer = standing.post(
            "/api/search", content=text, headers={"Content-Type": "application/json"}
        )
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.status_code, code_of(answer)) == (400, "bad-request")
    assert most < 5 * len(text)


@pytest.fixture
def no_temporary_folder(tmp_path, monkeypatch):
    """Nothing can be written to the temporary folder, for there is none."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))


@pytest.mark.usefixtures("no_temporary_folder")
def test_uploads_never_touch_the_disk(client, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    # Over a megabyte, where form parsers begin to use files.
    large = photo_of(tmp_path, RED) + bytes(8 << 20)
    before = sorted(tmp_path.rglob("*"))
    answers = [
        client.post("/api/faces", files={"photo": large}),
        client.post("/api/search", files={"photo": large}),
        client.post("/api/verify", files={"a": large, "b": large}),
        client.post("/api/faces", content=large, headers={"Content-Type": "image/png"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("no_temporary_folder")
def test_the_usual_form_parser_would_touch_it():
    """Or the test above would show nothing."""
    import anyio

    form = (
        b'--b\r\nContent-Disposition: form-data; name="photo"; filename="x"\r\n\r\n'
        + bytes(2 << 20)
        + b"\r\n--b--\r\n"
    )

    async def parse() -> None:
        async def stream():
            yield form

        headers = Headers({"Content-Type": "multipart/form-data; boundary=b"})
        await MultiPartParser(headers, stream()).parse()

    with pytest.raises(FileNotFoundError):
        anyio.run(parse)


def test_a_web_socket_is_refused(standing):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), standing.websocket_connect("/api/index"):
        pass


@pytest.mark.parametrize("key", ["", "short", "with a blank in the key", "ünïcödé-long-enough"])
def test_a_key_that_can_be_guessed_is_refused(key):
    from facesearch.errors import UsageError

    with pytest.raises(UsageError, match="key"):
        ServeOptions(key)


def test_an_error_of_our_own_says_nothing_of_the_inside(client, monkeypatch):
    def broken(*args):
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr("facesearch.web.service.Service.store_facts", broken)
    answer = client.get("/api/store")
    assert (answer.status_code, code_of(answer)) == (500, "internal-error")
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"]


@pytest.mark.parametrize("call", ["zip", "index"])
def test_a_call_without_a_photo_takes_little(standing, call):
    headers = {"Content-Type": "application/json"}
    answer = standing.post(f"/api/{call}", content=b"[" + b"{}," * 700_000, headers=headers)
    assert answer.status_code == 413

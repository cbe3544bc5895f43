"""The page in a real browser, with real photos and weights, on a desk's screen and a phone's."""

from __future__ import annotations

import base64
import json
import shutil
import threading
import time
import zipfile
from pathlib import Path

import pytest
from asking import HEADERS, KEY, listening
from PIL import Image

from browsing import started_browser
from facesearch import api
from facesearch.errors import InterruptedRunError
from facesearch.indexing import RunState
from facesearch.web.app import make_app
from facesearch.web.options import Limits, ServeOptions
from group_photo import side_by_side
from odd_photos import encoded

pytestmark = pytest.mark.weights

SCREENS = {1280: 900, 390: 844}
BROKEN = 60
NEIGHBORS = 10_000
both_widths = pytest.mark.parametrize("width", SCREENS)
# Where one width will do in a short run, and which.
desk_first = pytest.mark.parametrize("width", [1280, pytest.param(390, marks=pytest.mark.full)])
phone_first = pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.full)])


@pytest.fixture(scope="module")
def browser():
    with started_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def library(samples, tmp_path_factory):
    """A folder of photos of people and broken ones, and its store."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(samples / "train", folder / "photos")
    (folder / "photos" / "broken").mkdir()
    for number in range(BROKEN):
        (folder / "photos" / "broken" / f"{number:02d}.jpg").write_bytes(b"no photo at all")
    api.index([folder / "photos"], folder / "faces.npz")
    return folder


@pytest.fixture(scope="module")
def asked(samples, tmp_path_factory):
    """Photos to search with: of one face, of several, of none, of a phone, and none at all."""
    folder = tmp_path_factory.mktemp("asked")
    people = [sorted(each.iterdir())[0] for each in sorted((samples / "val").iterdir())]
    shutil.copy(people[0], folder / "one.jpg")
    side_by_side(people[:3], folder / "three.jpg")
    face = Image.open(people[0]).convert("RGB")
    large = Image.new("RGB", (3024, 4032), "grey")
    large.paste(face.resize((1800, 1800 * face.height // face.width)), (600, 900))
    exif = Image.Exif()
    exif[0x0112] = 6
    large.rotate(90, expand=True).save(folder / "phone.jpg", exif=exif, quality=90)
    (folder / "phone.heic").write_bytes(encoded(large.resize((756, 1008)), "HEIF"))
    Image.new("RGB", (600, 400), "white").save(folder / "blank.jpg")
    (folder / "text.jpg").write_bytes(b"no photo at all")
    return folder


@pytest.fixture(scope="module")
def app(library):
    return app_of(library)


def app_of(library, **options):
    made = make_app(ServeOptions(KEY, **options), api.open(library / "faces.npz", offline=True))
    made.state.room.service.warm_up()
    return made


@pytest.fixture(scope="module")
def address(app):
    with listening(app) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
def opened(browser, address):
    """A function that opens the page. What the page said, and what it fetched elsewhere, must be
    nothing; but for what the network says of answers that ``may_fail``.
    """
    contexts, said, away = [], [], []
    allowed = []

    def told(text, kind="error"):
        if not (allowed and "Failed to load resource" in text):
            said.append(f"{kind}: {text}")

    def open_page(width=1280, scheme="light", at="/", may_fail=False, server=address, **more):
        if may_fail:
            allowed.append(True)
        context = browser.new_context(
            viewport={"width": width, "height": SCREENS[width]}, color_scheme=scheme, **more
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: told(message.text, message.type))
        page.on("pageerror", lambda error: told(str(error)))
        page.on("dialog", lambda dialog: told(dialog.message))
        page.on("request", lambda request: away.append(request.url))
        page.on(
            "response",
            lambda one: told(f"Failed to load resource: {one.url}") if one.status >= 400 else None,
        )
        page.goto(f"{server}/?key={KEY}")
        if at != "/":
            page.goto(server + at)
            page.reload()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [
        url for url in away if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))
    ] == []


def until(page, asked, arg=None):
    """Waits until something is so; the page's policy forbids what playwright does for that."""
    end = time.monotonic() + 15
    while not page.evaluate(asked, arg):
        assert time.monotonic() < end, asked
        page.wait_for_timeout(20)


def person_of(path):
    return Path(path).parent.name


def shown_names(page):
    return page.locator(".card .name").evaluate_all("all => all.map(one => one.title)")


def choose(page, photo):
    page.set_input_files(
        "#choose" if page.locator("#start").is_visible() else "#choose-other", photo
    )


def searched(page, photo):
    """Chooses a photo of one face, and waits for its neighbours."""
    choose(page, photo)
    page.wait_for_selector(".card .open")
    return page


DROP = """([name, text]) => {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const event = (kind) => document.body.dispatchEvent(kind === "paste"
    ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true })
    : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  if (window.way === "paste") return event("paste");
  event("dragenter");
  window.offered = !document.querySelector("#dropping").hidden;
  event("dragover");
  return event("drop");
}"""


@desk_first
@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
def test_a_photo_comes_in_and_its_only_face_is_searched_at_once(opened, asked, samples, way, width):
    page = opened(width)
    photo = asked / "one.jpg"
    if way == "choose":
        choose(page, photo)
    else:
        page.evaluate(f"window.way = '{way}'")
        page.evaluate(DROP, [photo.name, base64.b64encode(photo.read_bytes()).decode()])
    page.wait_for_selector(".card .open")
    if way == "drop":
        assert page.evaluate("offered")
        assert page.locator("#dropping").is_hidden()
    wanted = sorted(each.name for each in (samples / "val").iterdir())[0]
    assert person_of(shown_names(page)[0]) == wanted
    assert page.locator("#asked-boxes .box.chosen").count() == 1


@both_widths
def test_of_several_faces_the_one_that_is_clicked_is_searched(opened, asked, samples, width):
    page = opened(width)
    choose(page, asked / "three.jpg")
    page.wait_for_selector("#asked-boxes .box")
    boxes = page.locator("#asked-boxes .box")
    assert boxes.count() >= 3
    assert "Choose the one" in page.inner_text("#asked-said")
    assert page.locator(".card").count() == 0
    people = sorted(each.name for each in (samples / "val").iterdir())[:3]
    # Photos lie side by side: the first and the last box are the first and the last person's.
    for at, wanted in ((0, people[0]), (boxes.count() - 1, people[2])):
        boxes.nth(at).click()
        until(
            page, "n => document.querySelector('.box.chosen')?.dataset.face === n", arg=str(at + 1)
        )
        page.wait_for_selector(".search.found .card .open")
        assert person_of(shown_names(page)[0]) == wanted
    page.go_back()
    until(page, "document.querySelector('.box.chosen')?.dataset.face === '1'")
    page.wait_for_selector(".search.found .card .open")
    assert person_of(shown_names(page)[0]) == people[0]
    page.go_back()
    page.wait_for_selector(".search.choosing .box")


@pytest.mark.parametrize(
    ("width", "name"),
    [
        (1280, "phone.jpg"),
        (390, "phone.jpg"),
        (390, "phone.heic"),
        pytest.param(1280, "phone.heic", marks=pytest.mark.full),
    ],
)
def test_a_phones_photo_is_shown_upright_with_the_box_on_the_face(opened, asked, width, name):
    """One of 12 megapixels that is turned by its EXIF; and one that browsers cannot draw."""
    page = searched(opened(width), asked / name)
    photo = page.locator("#asked-photo")
    until(page, "document.querySelector('#asked-photo').naturalWidth > 0")
    page.wait_for_selector(".box.chosen")
    around, box = photo.bounding_box(), page.locator(".box.chosen").bounding_box()
    assert around["height"] / around["width"] == pytest.approx(4032 / 3024, rel=0.02)
    x = (box["x"] + box["width"] / 2 - around["x"]) / around["width"]
    y = (box["y"] + box["height"] / 2 - around["y"]) / around["height"]
    assert 0.25 < x < 0.75 and 0.25 < y < 0.65
    assert page.evaluate("scrollY") == 0


@pytest.fixture
def endless(address):
    """A function that makes a page believe in ten thousand neighbours, of whom two are near."""

    def pretend(page, **more):
        with _client(address) as client:
            found = client.post("/api/search", json={"embedding": [1.0] * 128, "k": 20}).json()
        some = found["neighbors"]

        def answer(route):
            fields = route.request.post_data_json or {}
            first, k = fields.get("offset", 0), fields.get("k", 25)
            last = min(NEIGHBORS, first + k)
            neighbors = [{**_made(some, index), **more} for index in range(first, last)]
            facts = {
                **found,
                "neighbors": neighbors,
                "offset": first,
                "total": NEIGHBORS,
                "next": last if last < NEIGHBORS else None,
            }
            route.fulfill(json=facts)

        page.wait_for_selector("#some-faces a")  # these are real
        page.route("**/api/search", answer)

    return pretend


def _client(address):
    import httpx

    return httpx.Client(base_url=address, headers=HEADERS)


def _made(some, index):
    distance = 0.2 + 1.2 * index / NEIGHBORS
    band = "likely" if index < 2 else "unlikely"
    changed = {"rank": index + 1, "distance": distance, "similarity": 1 - distance**2 / 2}
    return {**some[index % len(some)], **changed, "id": f"{index:016x}-1", "band": band}


@both_widths
def test_ten_thousand_neighbours_have_few_elements(opened, endless, width):
    page = opened(width)
    endless(page)
    page.locator("#some-faces a").first.click()
    page.wait_for_selector(".card .open")
    most, seen = 0, set()
    for _ in range(400):
        here = page.evaluate(
            """async () => {
              scrollTo(0, document.documentElement.scrollHeight);
              await new Promise(requestAnimationFrame);
              await new Promise(requestAnimationFrame);
              const cards = [...document.querySelectorAll(".card")];
              return cards.map((one) => Number(one.dataset.index));
            }"""
        )
        most = max(most, len(here))
        seen.update(here)
        if page.locator("#end").inner_text() == "That is all of them.":
            break
        page.wait_for_timeout(30)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_selector(f".card[data-index='{NEIGHBORS - 1}']")
    assert most <= 150
    assert page.locator(".card img").first.get_attribute("loading") == "lazy"
    # In the middle those are shown that belong there, with their pictures, and in order.
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    until(
        page,
        """() => {
      const cards = [...document.querySelectorAll(".card")].filter((one) => {
        const { top, bottom } = one.getBoundingClientRect();
        return top > 120 && bottom < innerHeight;
      });
      const at = cards.map((one) => Number(one.dataset.index));
      return cards.length >= 3 && cards.every((one) => one.querySelector("img")?.naturalWidth)
        && at.every((one, n) => n === 0 || one === at[n - 1] + 1)
        && at[0] > 4000 && at[0] < 6000;
    }""",
    )


@desk_first
def test_the_keyboard_goes_from_face_to_face_and_to_the_last(opened, endless, width):
    page = opened(width)
    endless(page)
    page.locator("#some-faces a").first.click()
    page.wait_for_selector(".card .open")
    page.locator(".card .open").first.focus()
    focused = "Number(document.activeElement.closest('.card')?.dataset.index)"
    columns = page.evaluate(
        """() => {
          const cards = [...document.querySelectorAll(".group.unlikely .card")];
          const tops = cards.map((one) => one.getBoundingClientRect().top);
          return tops.filter((top) => top === tops[0]).length;
        }"""
    )
    for key, wanted in [
        ("ArrowRight", 1),
        ("ArrowDown", 3),
        ("ArrowDown", 3 + columns),
        ("ArrowUp", 3),
        ("ArrowUp", 1),
        ("ArrowLeft", 0),
        ("End", 59),
        ("Home", 0),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(focused) == wanted, key
    for _ in range(12):
        page.keyboard.press("PageDown")
        page.wait_for_timeout(20)
    far = page.evaluate(focused)
    assert far > 100
    # Out of sight it is still the one that has the focus.
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(100)
    assert page.evaluate(focused) == far
    page.keyboard.press("ArrowRight")
    box = page.locator(":focus").bounding_box()
    assert box["y"] > 0 and box["y"] + box["height"] < SCREENS[width]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.cards')") is None


@both_widths
def test_the_slider_hides_what_lies_beyond_and_marks_the_cuts(opened, asked, address, width):
    page = searched(opened(width), asked / "one.jpg")
    with _client(address) as client:
        cuts = client.get("/api/store").json()["cuts"]
        found = client.post(
            "/api/search", files={"photo": (asked / "one.jpg").read_bytes()}, data={"k": "1000"}
        )
    near = found.json()["neighbors"]
    track = page.locator("#cut").bounding_box()
    for name in ("likely", "possible"):
        mark = page.locator(f".mark.{name}").bounding_box()
        share = (mark["x"] + 1.5 - track["x"] - 8) / (track["width"] - 16)
        assert share == pytest.approx(1 - cuts[name] ** 2 / 2, abs=0.02)
    bands = {}
    for choice, allowed in (("Likely", ["likely"]), ("Possible too", ["likely", "possible"])):
        page.get_by_role("button", name=choice, exact=True).click()
        wanted = [each["path"] for each in near if each["band"] in allowed]
        bands[choice] = len(wanted)
        said = page.inner_text("#cut-said")
        assert said.endswith(f": {len(wanted)}")
        assert all(path in wanted for path in shown_names(page))
        pressed = page.locator("#cuts [aria-pressed=true]").inner_text()
        assert pressed == choice
    assert 0 < bands["Likely"] <= bands["Possible too"] < len(near)
    page.locator("#cut").focus()
    page.keyboard.press("End")
    assert page.locator("#end").inner_text().startswith("Nothing is this similar.")
    assert page.locator(".card").count() == 0
    page.get_by_role("button", name="Show all").click()
    assert page.inner_text("#cut-said") == f"all {len(near)}"
    assert page.locator("#cut").get_attribute("aria-valuetext") == f"all {len(near)}"


@both_widths
def test_a_photo_opens_whole_and_the_keyboard_leads_on_and_back(opened, asked, width):
    page = searched(opened(width), asked / "one.jpg")
    names = shown_names(page)
    page.locator(".card .open").first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#lightbox")
    page.wait_for_selector("#lightbox[open]")
    until(page, "document.querySelector('#box-photo').naturalWidth > 0")
    assert page.inner_text("#box-path") == names[0]
    picture, box = (
        page.locator("#box-photo").bounding_box(),
        page.locator("#box-boxes .box.chosen").bounding_box(),
    )
    assert (
        picture["x"] <= box["x"] + 3
        and box["x"] + box["width"] <= picture["x"] + picture["width"] + 3
    )
    assert box["width"] * box["height"] > 0.005 * picture["width"] * picture["height"]
    assert page.inner_text("#box-where").startswith("1 of ")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#box-path") == names[1]
    assert page.inner_text("#box-where").startswith("2 of ")
    page.get_by_role("button", name="Next photo").click()
    page.get_by_role("button", name="Previous photo").click()
    page.get_by_role("button", name="Copy path").click()
    assert page.evaluate("navigator.clipboard.readText()") == names[1]
    for _ in range(30):  # the focus stays inside
        page.keyboard.press("Tab")
        inside = "document.activeElement.matches('body, #lightbox, #lightbox *')"
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#lightbox').open")
    until(page, "document.activeElement.closest('.card')?.dataset.index === '1'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#lightbox[open]")
    page.go_back()  # as on a phone
    until(page, "!document.querySelector('#lightbox').open")
    assert dialog.is_hidden()
    assert page.locator(".card .open").first.is_visible()
    with page.expect_download() as saved:
        page.locator(".card .open").first.click()
        page.get_by_role("link", name="Save").click()
    assert Path(saved.value.path()).read_bytes() == Path(names[0]).read_bytes()


@desk_first
def test_a_photo_that_is_pasted_over_an_open_one_is_searched(opened, asked, width):
    page = searched(opened(width), asked / "phone.jpg")
    first = page.evaluate("location.hash")
    page.locator(".card .open").first.click()
    page.wait_for_selector("#lightbox[open]")
    photo = asked / "three.jpg"
    page.evaluate("window.way = 'paste'")
    page.evaluate(DROP, [photo.name, base64.b64encode(photo.read_bytes()).decode()])
    page.wait_for_selector(".search.choosing .box")
    page.wait_for_timeout(300)
    assert page.locator(".search.choosing .box").count() >= 3
    assert page.locator("#lightbox").is_hidden()
    page.go_back()
    page.wait_for_selector(".search.found .card .open")
    assert page.evaluate("location.hash") == first


@desk_first
def test_a_page_of_neighbours_that_does_not_come_is_asked_for_again(opened, endless, width):
    page = opened(width, may_fail=True)
    endless(page)
    page.locator("#some-faces a").first.click()
    page.wait_for_selector(".card .open")
    asked_for = []

    def refuse(route):
        asked_for.append(True)
        route.fulfill(status=500, json={"error": {"code": "internal-error", "message": "no"}})

    page.wait_for_timeout(300)
    page.route("**/api/search", refuse)
    for _ in range(20):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(20)
    page.wait_for_selector("#end button")
    assert len(asked_for) == 1
    page.unroute("**/api/search", refuse)
    shown = page.evaluate("document.documentElement.scrollHeight")
    page.locator("#end button").click()
    until(page, f"document.documentElement.scrollHeight > {shown}")


@desk_first
def test_when_a_photo_was_taken_is_said(opened, asked, width):
    page = opened(width)

    def dated(route):
        answer = route.fetch()
        facts = answer.json()
        facts["neighbors"][0] |= {"taken": "2019-05-04T12:30:00", "also": ["/photos/copy.jpg"]}
        route.fulfill(json=facts)

    page.route("**/api/search", dated)
    searched(page, asked / "one.jpg")
    page.locator(".card .open").first.click()
    assert "4 May 2019" in page.inner_text("#box-facts")
    page.locator("#box-also summary").click()
    page.locator("#box-also code", has_text="/photos/copy.jpg").wait_for()


@both_widths
def test_a_face_of_the_store_is_searched_and_back_leads_back(opened, asked, width):
    page = searched(opened(width), asked / "one.jpg")
    first = shown_names(page)
    page.get_by_role("button", name="Possible too").click()
    page.locator(".card .open").nth(2).click()
    page.get_by_role("button", name="Search this face").first.click()
    page.wait_for_selector(".search.found .card .open")
    until(page, "location.hash.startsWith('#id=')")
    until(page, f"document.querySelector('.card .name')?.title === {json.dumps(first[2])}")
    until(page, "document.activeElement.id === 'found-title'")
    page.wait_for_selector("#asked-boxes .box.chosen")
    page.reload()
    until(page, f"document.querySelector('.card .name')?.title === {json.dumps(first[2])}")
    page.go_back()
    until(page, f"document.querySelector('.card .name')?.title === {json.dumps(first[0])}")
    page.evaluate("scrollTo(0, 300)")
    page.go_forward()
    until(page, f"document.querySelector('.card .name')?.title === {json.dumps(first[2])}")
    page.go_back()
    until(page, f"document.querySelector('.card .name')?.title === {json.dumps(first[0])}")
    until(page, "scrollY === 300")


@both_widths
def test_several_are_downloaded_and_their_paths_copied(opened, asked, width):
    page = searched(opened(width), asked / "one.jpg")
    names = shown_names(page)
    page.locator(".pick input").nth(0).check(force=True)
    page.locator(".pick input").nth(2).click(modifiers=["Shift"], force=True)
    assert page.inner_text("#selected").split()[0] == "3"
    page.get_by_role("button", name="Copy paths").click()
    page.wait_for_selector("#toast.shown")
    assert page.evaluate("navigator.clipboard.readText()").split("\n") == names[:3]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download .zip").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        held = sorted(archive.read(name) for name in archive.namelist())
    assert held == sorted(Path(name).read_bytes() for name in names[:3])
    page.get_by_role("button", name="Clear the selection").click()
    assert page.locator("#selection").is_hidden()
    page.get_by_role("button", name="Select all").click()
    assert int(page.inner_text("#selected").split()[0]) >= 60


STEERING = "/photos/a\n\x1b[31mrm -rf b/gpj\u202etxt.jpg"


@both_widths
def test_a_name_that_steers_or_misleads_is_made_visible_and_not_copied(opened, endless, width):
    page = opened(width)
    endless(page, path=STEERING)
    page.locator("#some-faces a").first.click()
    page.wait_for_selector(".card .open")
    page.evaluate("navigator.clipboard.writeText('before')")
    page.locator(".pick input").nth(0).check(force=True)
    page.get_by_role("button", name="Copy paths").click()
    until(page, "document.querySelector('#toast').textContent.includes('not copied')")
    page.locator(".card .open").first.click()
    page.locator("#box-copy").click()
    shown = page.evaluate("document.body.innerText") + "".join(shown_names(page))
    assert "\\u202e" in page.inner_text("#box-path") and "\\u202e" in page.inner_text("#box-title")
    assert "\u202e" not in shown and "\x1b" not in shown
    assert page.evaluate("navigator.clipboard.readText()") == "before"


@phone_first
def test_what_the_store_holds_and_what_failed(opened, library, address, width):
    page = opened(width, at="/#store")
    page.wait_for_selector(".failures li")
    with _client(address) as client:
        facts = client.get("/api/store").json()
    figures = page.locator(".figures dd").all_inner_texts()
    assert figures == [str(facts[name]) for name in ("photos", "faces", "without_face", "failed")]
    assert str(library / "photos") in page.inner_text(".roots")
    assert page.locator(".failures li").count() == 50
    assert "not a photo" in page.locator(".failures li").first.inner_text()
    page.get_by_role("button", name="Show more").click()
    until(page, f"document.querySelectorAll('.failures li').length === {BROKEN}")
    assert page.inner_text("#failed-count") == f"{BROKEN} of {BROKEN} photos"
    assert page.get_by_role("button", name="Show more").count() == 0
    assert page.evaluate("!!document.activeElement.closest('.failures')")


@desk_first
def test_a_folder_is_indexed_and_its_photos_are_found(opened, library, samples, width):
    page = opened(width, at="/#store")
    page.wait_for_selector(".figures")
    before = int(page.locator(".figures dd").first.inner_text())
    new = library / "photos" / f"new-{width}"
    new.mkdir()
    every = sorted((samples / "val").rglob("*.jpg"))
    photos = every[:4] if width == 1280 else every[-4:]  # what the store has is not new
    for photo in photos:
        shutil.copy(photo, new)
    page.select_option("#folder", str(library / "photos"))
    page.fill("#below", new.name)
    page.get_by_role("button", name="Index", exact=True).click()
    page.wait_for_selector("#run-outcome .good", timeout=60_000)
    assert "4 new" in page.inner_text("#run-outcome")
    until(page, f"document.querySelector('.figures dd').textContent === '{before + 4}'")
    assert page.locator("#run").is_hidden()
    page.get_by_role("link", name="Search", exact=True).click()
    searched(page, photos[0])
    assert Path(shown_names(page)[0]).parent == new


@pytest.fixture
def slow(app, monkeypatch):
    """Runs that do nothing but count, and go on when they are told to."""
    go_on = threading.Semaphore(0)

    def index(paths, store, options, hooks):
        try:
            for done in range(0, 101, 10):
                while not go_on.acquire(timeout=0.1):
                    hooks.on_progress(_state(max(0, done - 10)))
                hooks.on_progress(_state(done))
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted") from None
        raise AssertionError("it was not cancelled")

    monkeypatch.setattr(app.state.room.runs, "_index", index)
    yield go_on
    app.state.room.runs.cancel()
    go_on.release(100)


def _state(done):
    import dataclasses

    fields = {field.name: 0 for field in dataclasses.fields(RunState)}
    return RunState(
        **{**fields, "done": done, "total": 100, "faces": 2 * done, "failed": done // 10}
    )


@desk_first
def test_a_run_is_shown_live_joined_by_another_page_and_cancelled(opened, slow, width):
    page = opened(width, at="/#store")
    page.wait_for_selector(".figures")
    page.get_by_role("button", name="Index", exact=True).click()
    slow.release(4)
    until(page, "document.querySelector('#run-said').textContent.startsWith('30 of 100')")
    assert page.inner_text("#run-said") == "30 of 100 photos · 60 faces · 3 could not be used"
    assert page.locator("#run-progress").evaluate("one => one.value / one.max") == 0.3
    assert page.get_by_role("button", name="Index", exact=True).is_disabled()
    other = opened(390 if width == 1280 else 1280)
    other.wait_for_selector("#indexing-now:not([hidden])")
    assert other.get_by_role("link", name="Indexing 30 %").is_visible()
    slow.release(2)
    until(other, "document.querySelector('#indexing-now').textContent === 'Indexing 50 %'")
    other.click("#indexing-now")
    other.wait_for_selector("#run:not([hidden])")
    until(other, "document.querySelector('#cancel').getBoundingClientRect().bottom < innerHeight")
    other.get_by_role("button", name="Cancel").click()
    for each in (page, other):
        until(each, "document.querySelector('#run-outcome').textContent.startsWith('Cancelled')")
        assert each.locator("#run").is_hidden()
        assert each.locator("#indexing-now").is_hidden()


@pytest.mark.parametrize(
    ("width", "name", "code", "title"),
    [
        (390, "blank.jpg", "no-face", "No face found"),
        (1280, "text.jpg", "not-a-photo", "This is not a photo"),
        pytest.param(1280, "blank.jpg", "no-face", "No face found", marks=pytest.mark.full),
        pytest.param(390, "text.jpg", "not-a-photo", "This is not a photo", marks=pytest.mark.full),
    ],
)
def test_a_photo_that_cannot_be_used_is_said_to_be(opened, asked, width, name, code, title):
    page = opened(width, may_fail=True)
    choose(page, asked / name)
    state = page.wait_for_selector(f"#search-said .state[data-code='{code}']")
    assert title in state.inner_text()
    searched(page, asked / "one.jpg")
    assert page.locator(".state[data-code]").count() == 0


@pytest.mark.parametrize(
    ("width", "hand"),
    [
        (1280, "pointer"),
        (390, "keys"),
        pytest.param(1280, "keys", marks=pytest.mark.full),
        pytest.param(390, "pointer", marks=pytest.mark.full),
    ],
)
def test_a_face_that_was_not_found_is_marked_by_hand(opened, asked, width, hand):
    page = opened(width)
    choose(page, asked / "blank.jpg")
    page.wait_for_selector(".state[data-code='no-face']")
    page.get_by_role("button", name="Mark a face yourself").click()
    if hand == "pointer":
        around = page.locator("#asked-photo").bounding_box()
        page.mouse.move(around["x"] + 0.25 * around["width"], around["y"] + 0.25 * around["height"])
        page.mouse.down()
        page.mouse.move(around["x"] + 0.5 * around["width"], around["y"] + 0.5 * around["height"])
        page.mouse.up()
        wanted = [150, 100, 150, 100]
    else:
        for key in ("ArrowLeft", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowUp"):
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        wanted = [208, 108, 172, 192]
    page.wait_for_selector(".search.found .card .open")
    box = page.evaluate("new URLSearchParams(location.hash.slice(1)).get('box')")
    assert [int(side) for side in box.split(",")] == pytest.approx(wanted, abs=3)
    assert page.locator(".box.chosen").count() == 1
    page.reload()
    page.wait_for_selector(".search.found .card .open")
    page.go_back()
    page.wait_for_selector(".state[data-code='no-face']")


@desk_first
def test_a_photo_that_is_too_large_is_not_even_sent(opened, asked, library, width):
    app = app_of(library, limits=Limits(photo_bytes=5000))
    with listening(app) as (host, port):
        page = opened(width, server=f"http://{host}:{port}")
        sent = []
        page.on("request", lambda request: sent.append(request.url))
        choose(page, asked / "one.jpg")
        page.wait_for_selector(".state[data-code='too-large']")
        assert not any(url.endswith("/api/faces") for url in sent)
        page.wait_for_load_state("networkidle")
        page.close()


@desk_first
def test_a_server_that_is_gone_and_comes_back(opened, asked, library, width):
    with listening(app_of(library)) as (host, port):
        page = opened(width, server=f"http://{host}:{port}", may_fail=True)
        choose(page, asked / "three.jpg")
        page.wait_for_selector(".search.choosing .box")
    page.locator("#asked-boxes .box").first.click()
    page.wait_for_selector(".state[data-code='server-gone']")
    assert "does not answer" in page.inner_text("#trouble")
    with listening(app_of(library), port):
        until(page, "document.querySelector('#trouble').hidden")
        # The new server does not know the photo: the page sends it again, by itself.
        page.wait_for_selector(".search.found .card .open")
        page.reload()
        page.wait_for_selector(".search.found .card .open, .state[data-code='photo-gone']")
        page.close()


@desk_first
def test_a_key_that_is_no_longer_right(opened, asked, width):
    page = opened(width, may_fail=True)
    page.wait_for_selector("#some-faces a")
    page.context.clear_cookies()
    choose(page, asked / "one.jpg")
    page.wait_for_selector(".state[data-code='unauthorized']")
    assert "key is missing or wrong" in page.inner_text("#trouble")


def _states(page, asked):
    """The page in each of its states, by name."""
    page.wait_for_selector("#some-faces a")
    yield "start"
    choose(page, asked / "three.jpg")
    page.wait_for_selector(".search.choosing .box")
    yield "choosing"
    page.locator("#asked-boxes .box").first.click()
    page.wait_for_selector(".search.found .card .open")
    page.locator(".pick input").first.check(force=True)
    yield "found"
    page.locator(".card .open").nth(1).click()
    page.wait_for_selector("#lightbox[open]")
    yield "whole photo"
    page.keyboard.press("Escape")
    choose(page, asked / "blank.jpg")
    page.wait_for_selector(".state[data-code='no-face']")
    yield "no face"
    page.click("#to-store")
    page.wait_for_selector(".failures li")
    yield "store"


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (390, "dark"),
        pytest.param(1280, "dark", marks=pytest.mark.full),
        pytest.param(390, "light", marks=pytest.mark.full),
    ],
)
def test_every_state_is_accessible_and_as_wide_as_the_screen(opened, asked, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(width, scheme, reduced_motion="reduce")
    problems = {}
    for state in _states(page, asked):
        found = Axe().run(page)
        if found.violations_count:
            problems[state] = found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state
        moving = (
            "document.getAnimations().filter((one) => one.effect.getTiming().duration > 1).length"
        )
        assert page.evaluate(moving) == 0, state
        page.keyboard.press("Tab")
        ring = page.evaluate(
            """() => {
              let one = document.activeElement;
              if (one.matches("input.unseen")) one = one.parentElement;
              if (one.matches(".pick input")) one = one.nextElementSibling;
              return one === document.body || parseFloat(getComputedStyle(one).outlineWidth) >= 1;
            }"""
        )
        assert ring, state
    assert problems == {}


@desk_first
def test_what_is_said_without_the_key(browser, address, width):
    page = browser.new_page(viewport={"width": width, "height": SCREENS[width]})
    page.goto(address)
    assert "key" in page.inner_text("h1")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()

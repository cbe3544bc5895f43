// The view of a search: the photo with its faces, the slider, the neighbours.

import { facesOf, postJson, viewOf } from "./api.js";
import { drawBoxes } from "./boxes.js";
import { byId, count, make, nameOf } from "./dom.js";
import { Grid } from "./grid.js";
import { Lightbox } from "./lightbox.js";
import { Marking } from "./marking.js";
import { noteProblem, showProblem, showWaiting } from "./said.js";
import { Asked, Session } from "./session.js";
import { Slider } from "./slider.js";
import { look } from "./upload.js";

const KEPT = 12;

/** What is searched for, and what was found.
 *
 * `page` has go(route, replace), show(view), and store(), which promises what GET /api/store says.
 */
export class Searching {
  #asked = new Map();
  #sessions = new Map();
  #session = null;
  #route = null;
  #coming = null;
  #shown = null;  // the photo that is drawn, where it is one that came
  #lastToggled = 0;
  #again = null;  // what the server was too far away for
  #toFound = false;  // whether the focus goes to what is found

  constructor(selection, page) {
    this.selection = selection;
    this.page = page;
    this.slider = new Slider(() => this.#cut());
    this.grid = new Grid(byId("grid"), selection, {
      open: (index) => this.lightbox.open(index),
      toggle: (index, range) => this.#toggle(index, range),
      more: () => this.#more(),
    });
    this.lightbox = new Lightbox(selection, {
      at: (index) => (index < this.#kept ? this.#session.neighbors[index] : undefined),
      more: (index) => index + 1 < this.#kept || (this.#kept === this.#session.neighbors.length && this.#session.next !== null),
      reach: (index) => this.#reach(index),
      total: () => this.#totalWords(),
      search: (id) => this.#searchFromPhoto(id),
      back: (index) => { if (!this.#toFound) this.grid.focus(index); },
      opened: () => history.pushState({ lightbox: true }, ""),
      closed: () => { if (history.state?.lightbox) history.back(); },
    });
    this.marking = new Marking((box) => this.#marked(box));
    byId("select-shown").addEventListener("click", () => this.#selectShown());
    byId("asked-photo").addEventListener("error", () => this.#drawnByServer());
  }

  /** A photo came: its faces are looked for; a single one is searched for at once. */
  async came(file) {
    this.lightbox.leave();
    this.leave();
    this.#coming?.abort();
    const coming = new AbortController();
    this.#coming = coming;
    this.#route = null;
    this.#session = null;
    const asked = new Asked(null, { file, name: file.name, faces: [], width: 0, height: 0 });
    byId("asked-title").textContent = "Your photo";
    this.#shown = asked;
    this.#showPhoto(asked.url, `Your photo ${file.name}`);
    byId("asked-said").textContent = "Looking for faces…";
    this.#mode("looking");
    try {
      const looked = await look(file, coming.signal);
      if (this.#coming !== coming) return;
      Object.assign(asked, { token: looked.photo, faces: looked.faces, size: looked });
      this.#keep(this.#asked, looked.photo, asked, (each) => each.forget());
      const face = looked.faces.length === 1 ? looked.faces[0].number : null;
      this.page.go({ view: "photo", photo: looked.photo, face, box: null });
    } catch (problem) {
      if (problem.name === "AbortError" || this.#coming !== coming) return;
      this.#failed(problem, file);
    }
  }

  /** Shows what the address asks for. */
  async show(route) {
    this.leave();
    this.#coming?.abort();
    this.#coming = null;
    this.#route = route;
    this.#session = null;
    byId("asked-said").textContent = "";
    try {
      if (route.view === "face") await this.#showFace(route);
      else await this.#showAsked(route);
    } catch (problem) {
      if (this.#route === route && problem.name !== "AbortError") this.#failed(problem);
    }
  }

  /** Remembers where it was; called before another view is shown. */
  leave() {
    if (this.#session && !byId("search").hidden) {
      this.#session.scroll = scrollY;
      this.#session.cut = this.slider.value;
    }
  }

  /** Goes on after the server was gone. */
  resume() {
    const again = this.#again;
    this.#again = null;
    if (again && !byId("search").hidden) again();
    else if (this.#session) this.#resume(this.#session);
  }

  /** Whether it shows this already. */
  isAt(route) {
    return !byId("search").hidden && JSON.stringify(route) === JSON.stringify(this.#route);
  }

  /** After the store has grown: what was found before may lack what is there now. */
  forget() {
    this.#sessions.clear();
  }

  get #kept() {
    return this.#session ? this.slider.kept(this.#session.neighbors) : 0;
  }

  async #wholePhotos() {
    return (await this.page.store()).subject === "photo";
  }

  async #showAsked(route) {
    let asked = this.#asked.get(route.photo);
    if (asked === undefined) {
      asked = new Asked(route.photo);
      this.#keep(this.#asked, route.photo, asked, (each) => each.forget());
    }
    byId("asked-title").textContent = "Your photo";
    this.#shown = asked;
    this.#showPhoto(asked.url, `Your photo ${asked.name}`);
    if (asked.faces === null) {
      this.#mode("looking");
      const looked = await facesOf(asked.token);
      Object.assign(asked, { faces: looked.faces, size: looked });
    }
    if (this.#route !== route) return;
    const whole = await this.#wholePhotos();
    if (this.#route !== route) return;
    byId("marker").hidden = whole;
    const pick = ({ number }) => { if (number) this.page.go({ ...route, face: number, box: null }); };
    const own = route.box ? [{ number: 0, box: route.box }] : [];
    this.#drawFaces([...asked.faces, ...own], asked.size, route.box ? 0 : route.face, pick);
    if (route.face === null && route.box === null && !whole) {
      if (!asked.faces.length) {
        this.#failed({ code: "no-face", message: "no face found" });
        return;
      }
      this.#mode("choosing");
      byId("asked-said").textContent = `${count(asked.faces.length, "face")} found. Choose the one to search for.`;
      byId("aloud").textContent = byId("asked-said").textContent;
      return;
    }
    const facts = route.box ? { box: route.box } : route.face === null ? {} : { face: route.face };
    await this.#search(route, (page) => asked.search({ ...facts, ...page }));
    if (this.#route !== route) return;
    if (route.box) {
      byId("asked-said").textContent = "The face that you marked.";
    } else if (asked.faces.length > 1) {
      byId("asked-said").textContent = `Face ${route.face} of ${asked.faces.length}; choose another in the photo.`;
    }
  }

  async #showFace(route) {
    const [photo] = route.id.split("-");
    byId("asked-title").textContent = "A face of your photos";
    this.#shown = null;
    this.#showPhoto(viewOf(photo, 1200), "The photo of the face that is searched for");
    await this.#search(route, (page) => postJson("/api/search", { id: route.id, ...page }));
    if (this.#route !== route) return;
    const { query } = this.#session;
    const pick = ({ number }) => this.page.go({ view: "face", id: `${photo}-${number}` });
    this.#drawFaces(query.faces, query, Number(route.id.split("-")[1]), pick);
    byId("asked-said").textContent = `A face of ${nameOf(query.path)}, from your photos.`;
  }

  async #search(route, ask) {
    const key = JSON.stringify(route);
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = new Session(ask);
      this.#keep(this.#sessions, key, session);
    }
    this.#session = session;
    if (!session.begun) {
      this.#mode("searching");
      try {
        await session.more();
      } catch (problem) {
        this.#sessions.delete(key);
        throw problem;
      }
      if (this.#session !== session) return;
    }
    const { cuts } = await this.page.store();
    if (this.#session !== session) return;
    this.slider.fit(cuts, session.neighbors);
    this.slider.input.value = session.cut ?? this.slider.input.min;
    this.#mode("found");
    this.#cut();
    scrollTo(0, session.scroll);
    this.grid.render();
    byId("aloud").textContent = byId("found-title").textContent;
    if (this.#toFound) byId("found-title").focus({ preventScroll: true });
    this.#toFound = false;
  }

  #cut() {
    const session = this.#session;
    if (!session) return;
    const kept = this.#kept;
    this.grid.show(session.neighbors, kept);
    this.slider.say(this.#totalWords());
    byId("found-title").textContent = titleOf(session);
    byId("select-shown").hidden = kept === 0;
    this.#end(session, kept);
  }

  #end(session, kept) {
    const end = byId("end");
    if (!session.neighbors.length) {
      end.replaceChildren(make("p", { class: "message", text: "The store has no face to compare with." }));
    } else if (kept === 0) {
      end.replaceChildren(make("p", { class: "message", text: "Nothing is this similar. " }),
        make("button", { type: "button", text: "Show all", on: { click: () => { this.slider.value = this.slider.input.min; } } }));
    } else if (kept < session.neighbors.length) {
      end.replaceChildren(make("p", { class: "note", text: "Further ones are less similar than the slider asks for." }));
    } else if (session.next === null) {
      end.replaceChildren(make("p", { class: "note", text: "That is all of them." }));
    } else {
      showWaiting(end, "More…");
    }
  }

  #totalWords() {
    const { neighbors, total, next } = this.#session;
    const kept = this.#kept;
    if (kept < neighbors.length || next === null) return count(kept);
    return total === null ? `more than ${count(kept)}` : count(total);
  }

  async #more() {
    const session = this.#session;
    if (session === null || session.next === null || session.failed) return;
    if (session.loading) return;
    try {
      await session.more();
    } catch (problem) {
      session.failed = true;  // or each movement would ask again
      const again = make("button", { type: "button", text: "Try again", on: { click: () => this.#resume(session) } });
      noteProblem(problem);
      if (this.#session === session) byId("end").replaceChildren(again);
      return;
    }
    if (this.#session === session) this.#cut();
  }

  #resume(session) {
    session.failed = false;
    if (this.#session === session) this.#cut();
  }

  async #reach(index) {
    if (index >= this.#session.neighbors.length - 10 && this.#session.next !== null
      && this.#kept === this.#session.neighbors.length) await this.#more();
  }

  #toggle(index, range) {
    const { neighbors } = this.#session;
    const chosen = !this.selection.has(neighbors[index].photo);
    const [low, high] = range ? [this.#lastToggled, index].sort((one, other) => one - other) : [index, index];
    this.selection.set(neighbors.slice(low, high + 1), chosen);
    this.#lastToggled = index;
  }

  #selectShown() {
    this.selection.set(this.#session.neighbors.slice(0, this.#kept), true);
  }

  #searchFromPhoto(id) {
    this.#toFound = true;
    // In place of the photo that is open: Back leads to the neighbours it was one of.
    const open = this.lightbox.leave();
    this.page.go({ view: "face", id }, open);
  }

  #marked([x, y, width, height]) {
    const { size } = this.#shown;
    const box = [x * size.width, y * size.height, width * size.width, height * size.height].map(Math.round);
    this.page.go({ ...this.#route, face: null, box });
  }

  #showPhoto(url, alt) {
    this.marking.stop();
    byId("marker").hidden = true;
    const picture = byId("asked-photo");
    picture.alt = alt.trim();
    if (picture.getAttribute("src") !== url) {
      byId("asked-boxes").replaceChildren();
      picture.hidden = false;
      picture.src = url;
    }
    this.page.show("search");
  }

  #drawnByServer() {
    const picture = byId("asked-photo");
    picture.hidden = true;
    if (this.#shown === null || this.#shown.unseen) return;
    this.#shown.unseen = true;
    if (this.#shown.token) this.#showPhoto(this.#shown.url, picture.alt);
  }

  #drawFaces(faces, size, chosen, pick) {
    byId("asked-sheet").style.setProperty("--ratio", size.width / size.height);
    drawBoxes(byId("asked-boxes"), faces, size, {
      label: ({ number }) => (number === 0 ? "The face that you marked, searched for" : number === chosen ? `Face ${number} of ${faces.length}, searched for` : `Search face ${number} of ${faces.length}`),
      chosen: ({ number }) => number === chosen,
      pick,
    });
  }

  #mode(mode) {
    const view = byId("search");
    for (const each of ["looking", "choosing", "searching", "found", "failed"]) view.classList.toggle(each, each === mode);
    byId("found").hidden = mode !== "found";
    if (mode === "looking") showWaiting(byId("search-said"), "Looking for faces…");
    else if (mode === "searching") showWaiting(byId("search-said"), "Searching…");
    else byId("search-said").replaceChildren();
    if (mode !== "found") scrollTo(0, 0);
  }

  #failed(problem, file = null) {
    this.#mode("failed");
    this.#toFound = false;
    byId("asked-said").textContent = "";
    const route = this.#route;
    const retry = () => (file ? this.came(file) : this.show(route));
    this.#again = problem.code === "server-gone" ? retry : null;
    const again = ["Try again", retry];
    const other = ["Choose another photo", () => byId("choose-other").click()];
    const lasting = ["no-face", "not-a-photo", "damaged", "truncated", "unsupported", "empty", "too-large", "photo-gone", "not-found"];
    const choices = problem.code === "unauthorized" ? [] : lasting.includes(problem.code) ? [other] : [again, other];
    showProblem(byId("search-said"), problem, ...choices);
  }

  #keep(kept, key, value, dropped = () => {}) {
    kept.set(key, value);
    if (kept.size <= KEPT) return;
    const [oldest, gone] = kept.entries().next().value;
    kept.delete(oldest);
    dropped(gone);
  }
}

/** How many are how near; of those beyond the pages that came nothing is known. */
function titleOf({ neighbors, next }) {
  const number = (band) => neighbors.reduce((sum, each) => sum + (each.band === band), 0);
  if (!neighbors.length) return "No neighbours";
  if (!neighbors[0].band) return "Nearest faces";
  const [likely, possible] = [number("likely"), number("possible")];
  const open = next !== null && likely + possible === neighbors.length ? "+" : "";
  if (!likely && !possible) return "Nobody alike";
  return [[likely, "likely"], [possible, "possible"]].filter(([many]) => many)
    .map(([many, word]) => `${count(many)}${open} ${word}`).join(", ");
}

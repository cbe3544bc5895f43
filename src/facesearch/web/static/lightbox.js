// One photo of the neighbours, whole, with what is known of it.

import { factsOf, fileOf, getJson, viewOf } from "./api.js";
import { drawBoxes } from "./boxes.js";
import { byId, count, dateOf, make, nameOf, visible } from "./dom.js";
import { likeness } from "./grid.js";
import { copyPaths, noteProblem, wordsOf } from "./said.js";

const SIDE = 1600;
const SWIPE = 60;  // pixels
const MOST_ENLARGED = 3;  // times
const BANDS = {
  likely: "Likely the same person.", possible: "Possibly the same person.",
  unlikely: "Probably somebody else.",
};

/** The dialog.
 *
 * `does` has at(index) (a neighbour, or undefined), reach(index) (loads up to there), more(index)
 * (whether one follows), total() in words, search(id), opened(), closed(), and back(index), which
 * takes the focus once it is closed.
 */
export class Lightbox {
  #index = -1;

  constructor(selection, does) {
    this.selection = selection;
    this.does = does;
    this.dialog = byId("lightbox");
    this.picture = byId("box-photo");
    this.#attach();
  }

  get isOpen() {
    return this.dialog.open;
  }

  open(index) {
    this.#show(index);
    if (!this.dialog.open) {
      this.dialog.showModal();
      document.documentElement.classList.add("still");
      byId("box-search").focus();
      this.does.opened();
    }
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  /** Closes it where something else is shown next; Back then does not lead to it. Whether it was open. */
  leave() {
    const open = this.dialog.open;
    if (open && history.state?.lightbox) history.replaceState(null, "");
    this.close();
    return open;
  }

  #attach() {
    const { dialog, picture } = this;
    byId("box-close").addEventListener("click", () => this.close());
    byId("box-previous").addEventListener("click", () => this.#step(-1));
    byId("box-next").addEventListener("click", () => this.#step(1));
    byId("box-copy").addEventListener("click", () => copyPaths([this.#now.path], "Path copied."));
    byId("box-search").addEventListener("click", () => this.does.search(this.#now.id));
    byId("box-select").addEventListener("click", () =>
      this.selection.set([this.#now], !this.selection.has(this.#now.photo)));
    this.selection.addEventListener("change", () => { if (dialog.open) this.#pressed(); });
    dialog.addEventListener("close", () => {
      document.documentElement.classList.remove("still");
      picture.removeAttribute("src");
      this.does.closed();
      this.does.back(this.#index);
    });
    dialog.addEventListener("click", ({ target }) => { if (target === dialog) this.close(); });
    dialog.addEventListener("keydown", (event) => this.#key(event));
    this.#swipes();
    picture.addEventListener("load", () => byId("box-sheet").classList.remove("loading"));
    picture.addEventListener("error", () => this.#missing());
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in moves) this.#step(moves[event.key]);
    else if (event.key === "x") byId("box-select").click();
    else if (event.key === "c") byId("box-copy").click();
    else return;
    event.preventDefault();
  }

  #swipes() {
    let from = null;
    const screen = byId("box-screen");
    screen.addEventListener("pointerdown", (event) => {
      from = event.pointerType === "touch" ? event.clientX : null;
    });
    screen.addEventListener("pointerup", (event) => {
      if (from !== null && Math.abs(event.clientX - from) > SWIPE) this.#step(event.clientX < from ? 1 : -1);
      from = null;
    });
  }

  get #now() {
    return this.does.at(this.#index);
  }

  async #step(by) {
    const index = this.#index + by;
    if (index < 0) return;
    await this.does.reach(index);
    if (this.dialog.open && this.does.at(index)) this.#show(index);
  }

  #show(index) {
    this.#index = index;
    const now = this.#now;
    byId("box-title").textContent = nameOf(now.path);
    byId("box-where").textContent = `${count(index + 1)} of ${this.does.total()}`;
    byId("box-path").textContent = visible(now.path);
    const save = byId("box-save");
    save.href = fileOf(now.photo);
    save.download = nameOf(now.path);
    this.#draw(now);
    this.#words(now, null);
    this.#pressed();
    this.#ends();
    this.#learn(now);
  }

  #draw(now) {
    const sheet = byId("box-sheet");
    const missing = byId("box-missing");
    missing.hidden = true;
    sheet.hidden = false;
    sheet.classList.add("loading");
    sheet.style.setProperty("--ratio", now.width / now.height);
    sheet.style.setProperty("--most", `${MOST_ENLARGED * now.width}px`);
    this.picture.alt = `The photo ${nameOf(now.path)}`;
    this.picture.src = viewOf(now.photo, SIDE);
    this.#boxes(now, now.box ? [{ number: now.face, id: now.id, box: now.box }] : []);
  }

  #boxes(now, faces) {
    drawBoxes(byId("box-boxes"), faces, now, {
      label: (face) => (face.id === now.id ? "Search this face" : `Search face ${face.number} of this photo`),
      chosen: (face) => face.id === now.id,
      pick: (face) => this.does.search(face.id),
    });
  }

  #words(now, facts) {
    const chip = now.band ? make("span", { class: `chip ${now.band}`, text: now.band }) : "";
    byId("box-band").replaceChildren(chip, ` ${BANDS[now.band] ?? ""}`);
    const rows = [
      ["Alike", likeness(now).label],
      ["Taken", dateOf(now.taken)],
      ["Camera", facts?.camera],
      ["Size", `${count(now.width)} × ${count(now.height)} pixels`],
      ["Faces", facts ? count(facts.faces.length) : ""],
    ];
    byId("box-facts").replaceChildren(...rows.filter(([, value]) => value).map(([name, value]) =>
      make("div", {}, make("dt", { text: name }), make("dd", { text: value }))));
    const others = [...now.also, ...now.similar.map((each) => each.path ?? each)];
    byId("box-also").replaceChildren(...(others.length ? [also(others)] : []));
  }

  /** All faces of the photo, and its camera; the next photos are asked for meanwhile. */
  async #learn(now) {
    for (const by of [1, -1]) {
      const beside = this.does.at(this.#index + by);
      if (beside) new Image().src = viewOf(beside.photo, SIDE);
    }
    try {
      const facts = await factsOf(now.photo);
      if (this.#now !== now) return;
      this.#words(now, facts);
      if (document.activeElement?.closest("#box-boxes")) return;
      if (now.box) this.#boxes(now, facts.faces);
    } catch (problem) {
      noteProblem(problem);
    }
  }

  async #missing() {
    if (!this.picture.hasAttribute("src")) return;
    const now = this.#now;
    byId("box-sheet").hidden = true;
    const missing = byId("box-missing");
    missing.hidden = false;
    missing.textContent = "This photo cannot be shown.";
    try {
      await getJson(viewOf(now.photo, 16));
    } catch (problem) {
      if (this.#now === now && problem.code) missing.textContent = wordsOf(problem).join(". ");
    }
  }

  #pressed() {
    const chosen = this.selection.has(this.#now.photo);
    const button = byId("box-select");
    button.setAttribute("aria-pressed", String(chosen));
    button.querySelector("span").textContent = chosen ? "Selected" : "Select";
  }

  #ends() {
    // A disabled button loses the focus, and the arrow keys with it.
    byId("box-previous").setAttribute("aria-disabled", String(this.#index === 0));
    byId("box-next").setAttribute("aria-disabled", String(!this.does.more(this.#index)));
  }
}

function also(paths) {
  return make("details", {}, make("summary", { text: `${count(paths.length, "more file")} of this` }),
    make("ul", {}, ...paths.map((path) => make("li", {}, make("code", { text: visible(path) })))));
}

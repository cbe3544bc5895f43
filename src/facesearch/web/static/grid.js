// Neighbours without end: of all that are known, only those near the window are elements.

import { cropOf } from "./api.js";
import { count, icon, make, nameOf, visible } from "./dom.js";

const TITLES = {
  likely: "Likely the same person", possible: "Possibly the same person",
  unlikely: "Less alike", "": "Nearest faces",
};
const WORDS_HEIGHT = 54;
const GAP = 12;
const AHEAD = 900;  // pixels above and below the window in which cards are kept
const STILL_MS = 90;

/** The cards of neighbours, grouped by band.
 *
 * `does` has open(index), toggle(index, withRange) and more().
 */
export class Grid {
  #neighbors = [];
  #shown = 0;
  #groups = [];
  #cards = new Map();
  #current = 0;
  #top = 0;
  #waiting = 0;
  #asked = false;

  constructor(root, selection, does) {
    this.root = root;
    this.selection = selection;
    this.does = does;
    addEventListener("scroll", () => this.#later(), { passive: true });
    new ResizeObserver(() => this.#laidOut()).observe(root);
    selection.addEventListener("change", () => this.#marked());
    root.addEventListener("keydown", (event) => this.#moved(event));
    root.addEventListener("focusin", ({ target }) => {
      const card = target.closest(".card");
      if (card) this.#rove(Number(card.dataset.index));
    });
  }

  /** Shows the first so many of the neighbours; the same array may have grown. */
  show(neighbors, shown) {
    if (neighbors !== this.#neighbors) {
      this.#forget();
      this.#current = 0;
    }
    this.#neighbors = neighbors;
    this.#shown = shown;
    this.#current = Math.max(0, Math.min(this.#current, shown - 1));
    this.#group();
    this.#laidOut();
  }

  /** Puts the focus on a card, wherever it is. */
  focus(index) {
    if (index < 0 || index >= this.#shown) return;
    this.#rove(index);
    const group = this.#groups.find((each) => index < each.end);
    const row = Math.floor((index - group.start) / this.columns);
    const top = group.list.getBoundingClientRect().top + row * this.rowHeight;
    const bar = document.getElementById("tools").getBoundingClientRect().bottom;
    if (top < bar + 8) scrollBy(0, top - bar - 8);
    else if (top + this.rowHeight > innerHeight - 70) scrollBy(0, top + this.rowHeight - innerHeight + 70);
    this.render();
    this.#cards.get(index)?.querySelector(".open").focus({ preventScroll: true });
  }

  /** Draws what is near the window, and drops what is not. */
  render() {
    if (!this.columns || this.root.offsetParent === null) return;
    const wanted = new Set();
    if (this.#current < this.#shown) wanted.add(this.#current);
    for (const group of this.#groups) {
      const { top } = group.list.getBoundingClientRect();
      const first = Math.max(0, Math.floor((-AHEAD - top) / this.rowHeight));
      const last = Math.ceil((innerHeight + AHEAD - top) / this.rowHeight);
      const stop = Math.min(group.end, group.start + last * this.columns);
      for (let index = group.start + first * this.columns; index < stop; index += 1) wanted.add(index);
    }
    for (const [index, card] of this.#cards) if (!wanted.has(index)) this.#drop(index, card);
    for (const group of this.#groups) this.#fill(group, wanted);
    this.#pictures();
    this.#askMore();
  }

  #later() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.render();
    });
  }

  #group() {
    const groups = [];
    for (let index = 0; index < this.#shown; index += 1) {
      const band = this.#neighbors[index].band ?? "";
      if (groups.at(-1)?.band !== band) groups.push({ band, start: index, end: index });
      groups.at(-1).end = index + 1;
    }
    const same = groups.length === this.#groups.length
      && groups.every((each, n) => each.band === this.#groups[n].band && each.start === this.#groups[n].start);
    if (same) {
      groups.forEach((each, n) => { this.#groups[n].end = each.end; });
    } else {
      this.#forget();
      this.#groups = groups.map((each) => ({ ...each, ...groupElements(each.band) }));
      this.root.replaceChildren(...this.#groups.map((each) => each.section));
    }
    for (const each of this.#groups) each.many.textContent = count(each.end - each.start);
  }

  #laidOut() {
    const width = this.root.clientWidth;
    if (!width) return;
    const least = width < 560 ? 104 : 148;
    this.columns = Math.max(2, Math.floor((width + GAP) / (least + GAP)));
    this.side = (width - GAP * (this.columns - 1)) / this.columns;
    this.rowHeight = this.side + WORDS_HEIGHT + GAP;
    for (const { list, start, end } of this.#groups) {
      list.style.height = `${Math.ceil((end - start) / this.columns) * this.rowHeight - GAP}px`;
    }
    for (const [index, card] of this.#cards) this.#put(index, card);
    this.render();
  }

  #put(index, card) {
    const group = this.#groups.find((each) => index < each.end);
    const place = index - group.start;
    const x = (place % this.columns) * (this.side + GAP);
    const y = Math.floor(place / this.columns) * this.rowHeight;
    card.style.width = `${this.side}px`;
    card.style.height = `${this.rowHeight - GAP}px`;
    card.style.transform = `translate(${x}px, ${y}px)`;
  }

  #fill(group, wanted) {
    let next = group.list.firstElementChild;
    const inside = [...wanted].filter((index) => index >= group.start && index < group.end);
    for (const index of inside.sort((one, other) => one - other)) {
      let card = this.#cards.get(index);
      if (card === undefined) {
        card = this.#made(index);
        this.#cards.set(index, card);
        this.#put(index, card);
      }
      card.setAttribute("aria-posinset", index - group.start + 1);
      card.setAttribute("aria-setsize", group.end - group.start);
      if (card === next) next = card.nextElementSibling;
      else group.list.insertBefore(card, next);
    }
  }

  #made(index) {
    const neighbor = this.#neighbors[index];
    const name = nameOf(neighbor.path);
    const tab = index === this.#current ? 0 : -1;
    const alike = likeness(neighbor);
    const picture = make("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
    picture.addEventListener("error", () => {
      if (picture.hasAttribute("src")) picture.replaceWith(make("span", { class: "gone", text: "not there to be shown" }));
    });
    const band = neighbor.band ? `, ${neighbor.band}` : "";
    return make("div", { class: "card", role: "listitem", "data-index": index },
      make("button", {
        type: "button", class: "open", tabindex: tab, "aria-haspopup": "dialog",
        "aria-label": `${index + 1}: ${name}, ${alike.label}${band}`,
        on: { click: () => this.does.open(index) },
      }, picture),
      make("label", { class: "pick" }, make("input", {
        type: "checkbox", tabindex: tab, "aria-label": `Select ${name}`,
        set: { checked: this.selection.has(neighbor.photo) },
        on: { click: (event) => this.does.toggle(index, event.shiftKey) },
      }), icon("check")),
      make("div", { class: "words", "aria-hidden": "true" },
        make("span", { class: "alike", text: alike.short }),
        neighbor.band ? make("span", { class: `chip ${neighbor.band}`, text: neighbor.band }) : null,
        make("span", { class: "name", text: name, title: visible(neighbor.path) })));
  }

  #pictures() {
    // Of what flies past nothing is asked for.
    const far = Math.abs(scrollY - this.#top) > innerHeight;
    this.#top = scrollY;
    clearTimeout(this.#waiting);
    if (far) this.#waiting = setTimeout(() => this.#load(), STILL_MS);
    else this.#load();
  }

  #load() {
    const side = this.side * devicePixelRatio > 200 ? 320 : 200;
    for (const [index, card] of this.#cards) {
      const picture = card.querySelector("img:not([src])");
      const { photo, face } = this.#neighbors[index];
      if (picture) picture.src = cropOf(photo, face, side);
    }
  }

  #drop(index, card) {
    card.querySelector("img")?.removeAttribute("src");  // what is not here yet need not come
    card.remove();
    this.#cards.delete(index);
  }

  #forget() {
    for (const [index, card] of this.#cards) this.#drop(index, card);
    this.#groups = [];
    this.root.replaceChildren();
  }

  #askMore() {
    if (this.#shown === this.#neighbors.length
      && this.root.getBoundingClientRect().bottom < innerHeight + 2 * AHEAD) this.does.more();
  }

  #marked() {
    for (const [index, card] of this.#cards) {
      card.querySelector("input").checked = this.selection.has(this.#neighbors[index].photo);
    }
  }

  #rove(index) {
    const tab = (card, value) => card?.querySelectorAll("button, input").forEach((each) => { each.tabIndex = value; });
    tab(this.#cards.get(this.#current), -1);
    this.#current = index;
    tab(this.#cards.get(index), 0);
  }

  #moved(event) {
    if (!event.target.closest(".card") || event.ctrlKey || event.metaKey || event.altKey) return;
    const here = this.#current;
    const page = this.columns * Math.max(1, Math.floor(innerHeight / this.rowHeight) - 1);
    const moves = {
      ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: this.#shown - 1,
      ArrowUp: this.#vertical(-1), ArrowDown: this.#vertical(1), PageUp: here - page, PageDown: here + page,
    };
    if (event.key === "x") this.does.toggle(here, event.shiftKey);
    else if (event.key in moves) this.focus(Math.max(0, Math.min(this.#shown - 1, moves[event.key])));
    else return;
    event.preventDefault();
  }

  /** The card above or below; the last row of a group may be shorter. */
  #vertical(by) {
    const at = this.#groups.findIndex((each) => this.#current < each.end);
    const group = this.#groups[at];
    const column = (this.#current - group.start) % this.columns;
    const target = this.#current + by * this.columns;
    if (target >= group.start && target < group.end) return target;
    const lastRow = (each) => each.start + Math.floor((each.end - each.start - 1) / this.columns) * this.columns;
    if (by > 0 && this.#current < lastRow(group)) return group.end - 1;
    const other = this.#groups[at + by];
    if (other === undefined) return this.#current;
    return Math.min(other.end - 1, (by > 0 ? other.start : lastRow(other)) + column);
  }
}

function groupElements(band) {
  const many = make("span", { class: "many" });
  const id = `group-${band || "all"}`;
  const list = make("div", { class: "cards", role: "list", "aria-labelledby": id });
  const title = make("h3", { id }, `${TITLES[band] ?? band} `, many);
  return { list, many, section: make("section", { class: `group ${band}`, "aria-labelledby": id }, title, list) };
}

/** How alike a neighbour is, in short and in words. */
export function likeness({ similarity, distance }) {
  return similarity === null
    ? { short: distance.toFixed(2), label: `distance ${distance.toFixed(2)}` }
    : { short: similarity.toFixed(2), label: `similarity ${similarity.toFixed(2)}` };
}

// A face that was not found, marked by hand: drawn with a pointer, or moved with the arrow keys.

import { byId, make, place } from "./dom.js";

const SMALLEST = 0.02;  // of the photo's sides
const STEP = 0.02;
const DEVIATION = 6;  // pixels that a click may move and still be none
const HELP = "Box around the face. Arrow keys move it, with Shift they make it larger or smaller, Enter searches.";

/** Lets a box be marked over the photo; `marked(box)` gets it as shares of the photo's sides. */
export class Marking {
  #box = null;
  #frame = null;

  constructor(marked) {
    this.marked = marked;
    this.sheet = byId("asked-sheet");
    this.button = byId("mark");
    this.button.addEventListener("click", () => (this.#frame ? this.stop() : this.start()));
    this.sheet.addEventListener("pointerdown", (event) => this.#drag(event));
  }

  start() {
    this.#frame = make("div", {
      class: "frame", tabindex: 0, role: "application", "aria-label": HELP,
      on: { keydown: (event) => this.#key(event) },
    });
    this.sheet.append(this.#frame);
    this.sheet.classList.add("marking");
    this.#shown(true);
    this.#box = inTheMiddle(this.sheet.clientWidth / this.sheet.clientHeight);
    this.#draw();
    this.#frame.focus({ preventScroll: true });
  }

  stop() {
    if (!this.#frame) return;
    const hadFocus = this.#frame === document.activeElement;
    this.#frame.remove();
    this.#frame = null;
    this.sheet.classList.remove("marking");
    this.#shown(false);
    if (hadFocus) this.button.focus();
  }

  #shown(marking) {
    this.button.setAttribute("aria-pressed", String(marking));
    byId("mark-help").textContent = marking ? "Draw a box around the face; or arrow keys, Shift and Enter." : "";
  }

  #draw() {
    place(this.#frame, this.#box, { width: 1, height: 1 });
  }

  #drag(event) {
    if (!this.#frame || event.button !== 0) return;
    event.preventDefault();
    const around = this.sheet.getBoundingClientRect();
    const share = ({ clientX, clientY }) => [(clientX - around.x) / around.width, (clientY - around.y) / around.height]
      .map((each) => Math.min(1, Math.max(0, each)));
    const from = share(event);
    this.sheet.setPointerCapture(event.pointerId);
    const moved = (next) => {
      const to = share(next);
      this.#box = [0, 1].map((side) => Math.min(from[side], to[side]))
        .concat([0, 1].map((side) => Math.max(SMALLEST, Math.abs(to[side] - from[side]))));
      this.#draw();
    };
    const ended = (last) => {
      this.sheet.removeEventListener("pointermove", moved);
      this.sheet.removeEventListener("pointerup", ended);
      this.sheet.removeEventListener("pointercancel", ended);
      const far = Math.hypot(last.clientX - event.clientX, last.clientY - event.clientY) > DEVIATION;
      if (last.type === "pointerup" && far) this.#done();
    };
    this.sheet.addEventListener("pointermove", moved);
    this.sheet.addEventListener("pointerup", ended);
    this.sheet.addEventListener("pointercancel", ended);
  }

  #key(event) {
    const sides = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, -1], ArrowDown: [1, 1] };
    if (event.key === "Enter") this.#done();
    else if (event.key === "Escape") this.stop();
    else if (event.key in sides) this.#nudge(...sides[event.key], event.shiftKey);
    else return;
    event.preventDefault();
  }

  #nudge(side, by, resizes) {
    const box = this.#box;
    const grown = box[side + 2] + by * STEP;
    if (resizes) box[side + 2] = Math.min(1 - box[side], Math.max(SMALLEST, grown));
    else box[side] = Math.min(1 - box[side + 2], Math.max(0, box[side] + by * STEP));
    this.#draw();
  }

  #done() {
    const box = this.#box;
    this.stop();
    this.marked(box);
  }
}

/** A box of a face's shape, whatever the photo's. */
function inTheMiddle(ratio) {
  const width = Math.min(0.6, 0.4 / ratio);
  return [(1 - width) / 2, 0.25, width, 0.5];
}

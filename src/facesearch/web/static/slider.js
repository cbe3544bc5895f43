// How similar a neighbour must be to be shown.

import { byId, make } from "./dom.js";

const NEAR = 1e-9;

/** How near a neighbour is; more is nearer. Rows of any length have no similarity, but a distance. */
export const nearness = ({ similarity, distance }) => similarity ?? -distance;

/** The slider with the calibrated cuts; `changed` is called when it moves. */
export class Slider {
  #cuts = null;
  #low = 0;

  constructor(changed) {
    this.input = byId("cut");
    this.input.addEventListener("input", () => changed());
  }

  /** Fits it to the store's cuts, and to neighbours that have no similarity. */
  fit(cuts, neighbors) {
    const apart = neighbors.length && neighbors[0].similarity === null;
    this.#low = apart ? -Math.ceil(neighbors.at(-1).distance * 100) / 100 : 0;
    this.input.min = this.#low;
    this.input.max = apart ? 0 : 1;
    this.#cuts = cuts && Object.fromEntries(Object.entries(cuts).filter(([, far]) => far !== null)
      .map(([name, far]) => [name, apart ? -far : 1 - (far * far) / 2]));
    this.#mark();
  }

  get value() {
    return Number(this.input.value);
  }

  set value(nearest) {
    this.input.value = nearest;
    this.input.dispatchEvent(new Event("input"));
  }

  /** How many of the neighbours, nearest first, are near enough. */
  kept(neighbors) {
    if (this.value <= this.#low + NEAR) return neighbors.length;
    let [low, high] = [0, neighbors.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (nearness(neighbors[middle]) >= this.value - NEAR) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Says what is shown. */
  say(text) {
    const all = this.value <= this.#low + NEAR;
    const words = this.input.max === "0"
      ? `distance ${(-this.value).toFixed(2)} or less` : `${this.value.toFixed(2)} or more`;
    const said = all ? `all ${text}` : `${words}: ${text}`;
    byId("cut-said").textContent = said;
    this.input.setAttribute("aria-valuetext", said);
    for (const button of byId("cuts").children) {
      const here = Math.abs(Number(button.dataset.value) - this.value) < 0.0026;
      button.setAttribute("aria-pressed", String(here));
    }
  }

  #mark() {
    const places = Object.entries(this.#cuts ?? {});
    byId("marks").replaceChildren(...places.map(([name, value]) => {
      const mark = make("span", { class: `mark ${name}` });
      const share = (value - this.#low) / (Number(this.input.max) - this.#low);
      mark.style.left = `${100 * Math.min(1, Math.max(0, share))}%`;
      return mark;
    }));
    const words = { likely: "Likely", possible: "Possible too", all: "All" };
    const choices = [...places.map(([name, value]) => [name, value]), ["all", this.#low]];
    byId("cuts").replaceChildren(...choices.map(([name, value]) => make("button", {
      type: "button", class: `pill ${name}`, text: words[name], "data-value": value, "aria-pressed": "false",
      on: { click: () => { this.value = value; } },
    })));
  }
}

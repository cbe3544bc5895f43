// Boxes over a picture: one button a face.

import { make, place } from "./dom.js";

const SMALLEST = 1;

/** Draws a button over each face that has a box; `label(face)` names it, `chosen(face)` says whether it
 * is the one, `pick(face)` is called when it is clicked.
 */
export function drawBoxes(target, faces, size, { label, chosen, pick }) {
  const focused = target.querySelector(":focus")?.dataset.face;
  target.replaceChildren(...faces.filter(({ box }) => box).map((face) => {
    const isChosen = chosen(face);
    const made = make("button", {
      type: "button", class: isChosen ? "box chosen" : "box", "aria-label": label(face),
      "aria-pressed": String(isChosen), "data-face": face.number, on: { click: () => pick(face) },
    });
    if (faces.length > 1 && face.number) made.append(make("span", { class: "number", text: face.number, "aria-hidden": "true" }));
    place(made, inside(face.box, size), size);
    return made;
  }));
  if (focused) target.querySelector(`[data-face="${focused}"]`)?.focus();
}

/** The part of a box that lies on the picture: detectors guess what the edge cuts off. */
function inside([x, y, width, height], size) {
  const left = Math.min(Math.max(0, x), size.width - SMALLEST);
  const top = Math.min(Math.max(0, y), size.height - SMALLEST);
  return [left, top, Math.min(size.width, x + width) - left, Math.min(size.height, y + height) - top];
}

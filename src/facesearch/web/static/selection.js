// The photos that were chosen: their paths, and the .zip of them.

import { post } from "./api.js";
import { byId, count, make } from "./dom.js";
import { copyPaths, note, noteProblem } from "./said.js";

const MOST_IN_ZIP = 2000;

/** Photos by id, in the order in which they were chosen; tells "change". */
export class Selection extends EventTarget {
  #paths = new Map();

  has(photo) {
    return this.#paths.has(photo);
  }

  get size() {
    return this.#paths.size;
  }

  /** Adds the neighbours' photos, or takes them out. */
  set(neighbors, chosen) {
    for (const { photo, path } of neighbors) {
      if (chosen) this.#paths.set(photo, path);
      else this.#paths.delete(photo);
    }
    this.dispatchEvent(new Event("change"));
  }

  clear() {
    this.#paths.clear();
    this.dispatchEvent(new Event("change"));
  }

  get photos() {
    return [...this.#paths.keys()];
  }

  get paths() {
    return [...this.#paths.values()];
  }
}

/** The bar that says how many are chosen, and what can be done with them. */
export function attachSelection(selection) {
  const bar = byId("selection");
  const zip = byId("zip");
  selection.addEventListener("change", () => {
    const hadFocus = bar.contains(document.activeElement);
    bar.hidden = selection.size === 0;
    document.body.classList.toggle("selecting", selection.size > 0);
    const photos = make("span", { class: "long", text: selection.size === 1 ? " photo" : " photos" });
    byId("selected").replaceChildren(count(selection.size), photos, " selected");
    if (bar.hidden && hadFocus) document.querySelector(".open[tabindex='0']")?.focus();
  });
  byId("copy-paths").addEventListener("click", () =>
    copyPaths(selection.paths, `${count(selection.size, "path")} copied.`));
  byId("unselect").addEventListener("click", () => selection.clear());
  zip.addEventListener("click", async () => {
    if (selection.size > MOST_IN_ZIP) {
      note(`One .zip holds at most ${count(MOST_IN_ZIP, "photo")}.`, "bad");
      return;
    }
    zip.setAttribute("aria-busy", "true");
    zip.disabled = true;
    try {
      await download(selection.photos);
    } catch (problem) {
      noteProblem(problem);
    }
    zip.disabled = false;
    zip.removeAttribute("aria-busy");
  });
}

async function download(photos) {
  note(`Packing ${count(photos.length, "photo")}…`);
  const response = await post("/api/zip", { photos });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = "photos.zip";
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  note(`photos.zip has ${count(photos.length, "photo")}.`);
}

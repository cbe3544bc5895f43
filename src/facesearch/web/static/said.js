// What the page says: short notes, states of a view, and what to do about a problem.

import { isThere, trouble } from "./api.js";
import { byId, icon, make, visible } from "./dom.js";

const NOTE_SECONDS = 4;
const ASK_AGAIN_SECONDS = 2;
const WORDS = {
  "no-face": ["No face found", "Mark it in the photo yourself, or take one that shows it larger, sharper, or more from the front."],
  "not-a-photo": ["This is not a photo", "Photos are JPEG, PNG, HEIC, WebP, AVIF, TIFF, GIF or BMP files."],
  "too-large": ["This photo is too large", "Save it smaller, then try again."],
  damaged: ["This photo is damaged", "Copy it again from where it came."],
  truncated: ["This photo ends too early", "Copy it again from where it came; only part of it is here."],
  unsupported: ["Photos of this kind cannot be read", "Save it as JPEG or PNG, then try again."],
  empty: ["This file is empty", "Copy it again from where it came."],
  "photo-gone": ["This photo is no longer here", "The server remembers the photos asked for last. Send it again."],
  busy: ["The server has too much to do", "Try again in a moment."],
  "server-gone": ["The server does not answer", "Start facesearch serve again; this page then goes on by itself."],
  unauthorized: ["The key is missing or wrong", "Open the address that facesearch serve printed: it ends in ?key= and the key."],
  "store-missing": ["The store is not there", ""],
  "store-locked": ["The store is encrypted", ""],
  "weights-missing": ["The networks are not here yet", ""],
  "not-found": ["Not in the store", ""],
  timeout: ["It took too long", "Is the disk there? Try again."],
};
const OWN_WORDS = ["no-face", "not-a-photo", "damaged", "truncated", "unsupported", "empty", "photo-gone",
  "busy", "server-gone", "unauthorized"];

/** A title and a sentence for a problem. */
export function wordsOf(problem) {
  const [title, advice] = WORDS[problem.code] ?? ["This did not work", ""];
  const told = OWN_WORDS.includes(problem.code) ? "" : `${problem.message}.`;
  return [title, [told, advice].filter(Boolean).join(" ")];
}

/** Puts a state in the place of content: a problem, with buttons [text, what it does]. */
export function showProblem(target, problem, ...buttons) {
  const [title, text] = wordsOf(problem);
  const made = buttons.map(([name, does]) => make("button", { type: "button", text: name, on: { click: does } }));
  target.replaceChildren(
    make("div", { class: "state", role: "alert", "data-code": problem.code }, icon("warn"),
      make("h2", { text: title }), make("p", { text }), make("div", { class: "actions" }, ...made)),
  );
}

/** Says that something is on its way; little is drawn, for it rarely takes long. */
export function showWaiting(target, text) {
  target.replaceChildren(make("div", { class: "state waiting", role: "status" },
    make("span", { class: "spinner", "aria-hidden": "true" }), make("p", { text })));
}

let hiding = 0;
/** A short note at the edge, read aloud too. */
export function note(text, kind = "") {
  const toast = byId("toast");
  toast.textContent = "";
  toast.className = `toast ${kind}`;
  requestAnimationFrame(() => {
    toast.textContent = text;
    toast.classList.add("shown");
  });
  clearTimeout(hiding);
  hiding = setTimeout(() => toast.classList.remove("shown"), 1000 * NOTE_SECONDS);
}

export const noteProblem = (problem) => {
  if (problem.name !== "AbortError") note(wordsOf(problem).filter(Boolean).join(". "), "bad");
};

/** Copies paths, one a line, and says so; where the browser refuses it says that. A path that
 * steers a terminal would do so where it is pasted. */
export async function copyPaths(paths, said) {
  const steering = paths.find((path) => visible(path) !== path);
  if (steering !== undefined) {
    note(`${visible(steering)} has signs that would steer a terminal, so it is not copied.`, "bad");
    return;
  }
  try {
    await copy(paths.join("\n"));
    note(said);
  } catch {
    note("The browser does not let this page copy.", "bad");
  }
}

/** Browsers have a clipboard for pages of this machine or with TLS; elsewhere the older way is left. */
async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const before = document.activeElement;
  const area = make("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  (before?.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  if (!done) throw new Error("not copied");
}

/** Watches for a server that is gone; `back` is called when it answers again. */
export function watchTrouble(back) {
  const banner = byId("trouble");
  let asking = false;
  trouble.addEventListener("problem", async ({ detail }) => {
    const [title, text] = wordsOf(detail);
    banner.replaceChildren(icon("warn"), make("p", {}, make("b", { text: `${title}. ` }), text));
    banner.hidden = false;
    if (asking || detail.code !== "server-gone") return;
    asking = true;
    do await new Promise((resolve) => { setTimeout(resolve, 1000 * ASK_AGAIN_SECONDS); });
    while (!(await isThere()));
    asking = false;
    banner.hidden = true;
    note("The server is back.");
    back();
  });
}

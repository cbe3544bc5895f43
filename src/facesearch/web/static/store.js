// What the store holds, and the photos that could not be used.

import { getJson } from "./api.js";
import { byId, count, dateOf, make, visible } from "./dom.js";
import { copyPaths, showProblem, showWaiting } from "./said.js";

const PAGE = 50;
const REASONS = {
  "not-a-photo": "not a photo", damaged: "damaged", truncated: "ends too early", unsupported: "unknown kind",
  empty: "empty", "too-large": "too large", vanished: "gone", "no-access": "no access", timeout: "took too long",
  "model-error": "network failed",
};

/** Draws what GET /api/store said. */
export function showStore(store) {
  const fact = (value, name) => make("div", { class: "figure" }, make("dt", { text: name }), make("dd", { text: value }));
  const roots = store.roots.map(({ path, state, photos }) => make("li", {},
    make("code", { text: visible(path) }),
    make("span", { class: "note", text: count(photos, "photo") }),
    state === "away" ? make("span", { class: "chip possible", text: "not there now" }) : null));
  byId("store-facts").replaceChildren(
    make("dl", { class: "figures" },
      fact(count(store.photos), "photos"), fact(count(store.faces), store.subject === "face" ? "faces" : "items"),
      fact(count(store.without_face), "without a face"), fact(count(store.failed), "could not be used")),
    make("dl", { class: "lines" },
      line("Indexed", dateOf(store.indexed_at) || "not yet"), line("Store", store.path),
      line("Network", `${store.model}, ${store.dim} numbers a face`),
      line("Distances", store.calibrated ? "calibrated: likely and possible are told apart" : "not calibrated: only the order counts")),
    make("h2", { text: "Folders" }),
    roots.length ? make("ul", { class: "roots" }, ...roots) : make("p", { class: "note", text: "None yet." }));
}

const line = (name, value) => make("div", {}, make("dt", { text: name }), make("dd", { text: value }));

/** The failures, page after page. */
export async function showFailures(offset = 0) {
  const target = byId("failures");
  if (!offset) showWaiting(target, "Looking…");
  let page;
  try {
    page = await getJson(`/api/failures?offset=${offset}&limit=${PAGE}`);
  } catch (problem) {
    showProblem(target, problem, ["Try again", () => showFailures(offset)]);
    return;
  }
  if (!page.total) {
    target.replaceChildren(make("p", { class: "note", text: "None. Every photo could be used." }));
    return;
  }
  if (!offset) target.replaceChildren(make("p", { class: "note", id: "failed-count" }), make("ul", { class: "failures" }));
  const list = target.querySelector(".failures");
  const fresh = page.items.map(failure);
  list.append(...fresh);
  if (offset) fresh[0]?.querySelector("button").focus();
  target.querySelector(".more")?.remove();
  const shown = list.children.length;
  byId("failed-count").textContent = `${count(shown)} of ${count(page.total, "photo")}`;
  if (shown < page.total && page.items.length) {
    target.append(make("button", { type: "button", class: "more", text: "Show more", on: { click: () => showFailures(shown) } }));
  }
}

function failure({ path, reason, message }) {
  const advice = message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message;
  return make("li", {},
    make("div", { class: "row" }, make("code", { text: visible(path) }),
      make("button", { type: "button", class: "plain", text: "Copy", "aria-label": `Copy the path ${visible(path)}`, on: { click: () => copyPaths([path], "Path copied.") } })),
    make("p", {}, make("span", { class: "chip unlikely", text: REASONS[reason] ?? reason }), ` ${advice}`));
}

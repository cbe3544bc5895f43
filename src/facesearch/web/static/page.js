// The page: which view is shown, and who tells whom.

import { getJson } from "./api.js";
import { byId } from "./dom.js";
import { Indexing } from "./indexing.js";
import { addressOf, readRoute } from "./route.js";
import { note, noteProblem, showProblem, watchTrouble } from "./said.js";
import { Searching } from "./searching.js";
import { attachSelection, Selection } from "./selection.js";
import { sayStore, showSome } from "./start.js";
import { showFailures, showStore } from "./store.js";
import { attachUpload } from "./upload.js";

const VIEWS = ["start", "search", "store"];
const TITLES = { start: "facesearch", search: "Neighbours – facesearch", store: "Photos – facesearch" };
let reading = null;
let someShown = false;

const selection = new Selection();
const searching = new Searching(selection, { go, show: showView, store: stored });
const indexing = new Indexing(indexed);

function showView(view) {
  for (const each of VIEWS) byId(each).hidden = each !== view;
  document.title = TITLES[view];
  current("to-search", view !== "store");
  current("to-store", view === "store");
}

function current(link, here) {
  if (here) byId(link).setAttribute("aria-current", "page");
  else byId(link).removeAttribute("aria-current");
}

/** Goes to a view; Back leads here again. For the store: a promise that it is shown. */
function go(route, replace = false) {
  const address = addressOf(route);
  searching.leave();
  if (replace) history.replaceState(null, "", address);
  else if (address !== (location.hash || "#")) history.pushState(null, "", address);
  return arrive(route);
}

function arrive(route) {
  if (route.view === "photo" || route.view === "face") {
    searching.show(route);
    return undefined;
  }
  searching.leave();
  showView(route.view);
  scrollTo(0, 0);
  return route.view === "store" ? openStore() : openStart();
}

/** What the store holds, asked for once; `anew`: once more. */
function stored(anew = false) {
  if (anew || reading === null) {
    const mine = readStore();
    mine.catch(() => { if (reading === mine) reading = null; });
    reading = mine;
  }
  return reading;
}

async function readStore() {
  const store = await getJson("/api/store");
  sayStore(store);
  indexing.offer(store.may_index);
  return store;
}

async function openStart() {
  try {
    const store = await stored();
    if (someShown || !store.faces) return;
    someShown = true;
    await showSome(store);
  } catch (problem) {
    someShown = false;
    showProblem(byId("start-said"), problem, ["Try again", () => { byId("start-said").replaceChildren(); openStart(); }]);
  }
}

async function openStore() {
  byId("store-said").replaceChildren();
  try {
    showStore(await stored(true));
    await showFailures();
  } catch (problem) {
    showProblem(byId("store-said"), problem, ["Try again", openStore]);
  }
}

/** A run has ended: what was found before may lack what is there now. */
function indexed(outcome) {
  if (outcome === "done" && !byId("search").hidden) note("The index run is done. Search again to see what is new.");
  searching.forget();
  someShown = false;
  if (byId("store").hidden) stored(true).catch(noteProblem);
  else openStore();
}

function followLinks() {
  addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const there = go(readRoute(link.getAttribute("href")));
    // On a phone the run lies below what the store holds.
    if (link.id === "indexing-now") there.then(() => byId("run").scrollIntoView({ block: "nearest" }));
    if (link.closest("header")) byId("main").focus({ preventScroll: true });
  });
  addEventListener("popstate", () => {
    if (searching.lightbox.isOpen) {
      searching.lightbox.close();
      return;
    }
    if (searching.isAt(readRoute())) return;
    arrive(readRoute());
  });
}

history.scrollRestoration = "manual";
if (history.state?.lightbox) history.replaceState(null, "");  // it was open when the page was loaded anew
attachSelection(selection);
attachUpload((file) => searching.came(file));
watchTrouble(() => {
  byId("start-said").replaceChildren();
  if (!byId("start").hidden) openStart();
  else if (!byId("store").hidden) openStore();
  else searching.resume();
  indexing.join().catch(() => {});
});
byId("others").addEventListener("click", () => stored().then(showSome).catch(noteProblem));
followLinks();
// What a search needs to know is asked for while it goes on.
stored().catch(() => {});
arrive(readRoute());
indexing.join().catch(() => {});

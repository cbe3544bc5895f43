// Index runs: begun here, or joined; how far they are; and their end.

import { ask, events, getJson, post } from "./api.js";
import { byId, count, make } from "./dom.js";
import { noteProblem, showProblem } from "./said.js";

const JOIN = { headers: { Accept: "text/event-stream" } };

/** Shows the run that goes; `changed(outcome)` is called when it has ended. */
export class Indexing {
  #since = 0;
  #first = 0;
  #following = false;

  constructor(changed) {
    this.changed = changed;
    byId("index").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#begin(this.#asked());
    });
    byId("cancel").addEventListener("click", () => this.#cancel());
    byId("folder").addEventListener("change", () => this.#offer());
  }

  /** The folders that may be indexed. */
  offer(folders) {
    const here = byId("folder").value;
    const choices = [["", "All folders again"], ...[...new Set(folders)].map((each) => [each, each])];
    byId("folder").replaceChildren(...choices.map(([value, text]) => make("option", { value, text })));
    if (folders.includes(here)) byId("folder").value = here;
    this.#offer();
  }

  /** Follows a run that goes already, whoever began it. */
  async join() {
    const state = await getJson("/api/index");
    if (state.running) this.#follow(await ask("/api/index", JOIN), state.folder);
  }

  #offer() {
    byId("below").hidden = byId("folder").value === "";
  }

  #asked() {
    const [folder, below] = [byId("folder").value, byId("below").value.trim()];
    if (!folder) return null;
    if (!below) return folder;
    return /^([/\\]|[A-Za-z]:|\w+:\/\/)/.test(below) ? below : `${folder.replace(/[/\\]$/, "")}/${below}`;
  }

  async #begin(folder) {
    byId("run-outcome").replaceChildren();
    try {
      await this.#follow(await post("/api/index", { folder }), folder);
    } catch (problem) {
      if (problem.code === "index-running") await this.join();
      else showProblem(byId("run-outcome"), problem);
    }
  }

  async #cancel() {
    byId("cancel").disabled = true;
    byId("run-said").textContent = "Ending; what was read is kept…";
    try {
      await ask("/api/index", { method: "DELETE" });
    } catch (problem) {
      noteProblem(problem);
    }
  }

  async #follow(response, folder) {
    if (this.#following) return;
    this.#following = true;
    this.#since = 0;
    this.#shown(true);
    byId("run-outcome").replaceChildren();
    byId("run-title").textContent = folder ? `Looking through ${folder}` : "Looking through all folders";
    let ended = false;
    try {
      for await (const [name, data] of events(response)) {
        if (name === "progress") {
          this.#progress(data);
        } else {
          ended = true;
          this.#ended(name, data);
        }
      }
      if (!ended) throw new TypeError("the connection broke off");
    } catch (problem) {
      if (!(problem instanceof TypeError)) noteProblem(problem);
    } finally {
      this.#following = false;
      this.#shown(false);
    }
    if (!ended) this.#again();
  }

  /** The connection broke off, the run may not have. */
  #again() {
    setTimeout(() => this.join().catch(() => {}), 2000);
  }

  #shown(running) {
    byId("run").hidden = !running;
    byId("begin").disabled = running;
    byId("cancel").disabled = false;
    byId("indexing-now").hidden = !running;
    if (running) byId("run-progress").removeAttribute("value");
  }

  #progress({ done, total, faces, failed }) {
    const bar = byId("run-progress");
    const said = byId("indexing-now");
    if (!total) {
      said.textContent = "Indexing…";
      byId("run-said").textContent = "Looking for photos…";
      return;
    }
    bar.max = total;
    bar.value = done;
    const word = make("span", { class: "long", text: "Indexing " });
    said.replaceChildren(word, `${Math.floor((100 * done) / total)} %`);
    if (byId("cancel").disabled) return;
    const parts = [`${count(done)} of ${count(total, "photo")}`, count(faces, "face")];
    if (failed) parts.push(`${count(failed)} could not be used`);
    byId("run-said").textContent = [...parts, this.#left(done, total)].filter(Boolean).join(" · ");
  }

  #left(done, total) {
    const now = performance.now() / 1000;
    if (!this.#since) [this.#since, this.#first] = [now, done];
    const took = now - this.#since;
    if (took < 3 || done === this.#first) return "";
    const seconds = (took * (total - done)) / (done - this.#first);
    return seconds < 90 ? `${count(Math.ceil(seconds), "second")} left` : `${count(Math.round(seconds / 60), "minute")} left`;
  }

  #ended(name, data) {
    if (name === "done") {
      const parts = [[data.new, "new"], [data.changed, "changed"], [data.moved, "moved"], [data.removed, "removed"], [data.failed, "could not be used"]]
        .filter(([many]) => many).map(([many, word]) => `${count(many)} ${word}`);
      const found = parts.length ? parts.join(", ") : "nothing new";
      byId("run-outcome").replaceChildren(make("p", { class: "message good", text: `Done: ${found}. ${count(data.faces, "face")} in the store.` }));
    } else if (data.code === "cancelled") {
      byId("run-outcome").replaceChildren(make("p", { class: "message", text: "Cancelled. What was read is kept; the next run goes on from there." }));
    } else {
      showProblem(byId("run-outcome"), data);
    }
    this.changed(name);
  }
}

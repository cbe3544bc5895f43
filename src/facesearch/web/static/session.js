// One search: whose face, and the neighbours that came so far.

import { postJson, Problem } from "./api.js";
import { look } from "./upload.js";

const PAGES = [60, 200, 500, 1000];

/** A photo that was sent, or one of which only the server's token is known after a reload. */
export class Asked {
  #url = null;
  unseen = false;  // whether the browser cannot draw the file

  constructor(token, looked = null) {
    this.token = token;
    this.file = looked?.file ?? null;
    this.name = looked?.name ?? "";
    this.faces = looked?.faces ?? null;
    this.size = looked && { width: looked.width, height: looked.height };
  }

  get url() {
    if (this.token && (this.file === null || this.unseen)) return this.shownByServer;
    this.#url ??= URL.createObjectURL(this.file);
    return this.#url;
  }

  /** For photos that the browser cannot draw, such as HEIC. */
  get shownByServer() {
    return `/api/faces/${encodeURIComponent(this.token)}`;
  }

  forget() {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
  }

  /** Asks with the token; a photo that the server forgot is sent once more. */
  async search(facts, signal) {
    try {
      return await postJson("/api/search", { ...facts, token: this.token }, signal);
    } catch (problem) {
      if (problem.code !== "photo-gone" || this.file === null) throw problem;
      this.token = (await look(this.file, signal)).photo;
      return postJson("/api/search", { ...facts, token: this.token }, signal);
    }
  }
}

/** The neighbours of one face, which come page by page. */
export class Session {
  neighbors = [];
  total = null;
  next = 0;
  query = null;
  scroll = 0;
  cut = null;
  failed = false;  // whether the next page could not be had
  #pages = 0;
  #coming = null;

  /** `ask(facts)` puts one search. */
  constructor(ask) {
    this.ask = ask;
  }

  get begun() {
    return this.query !== null;
  }

  get loading() {
    return this.#coming !== null;
  }

  /** Loads the next page; null where there is none, and one at a time. */
  more() {
    if (this.next === null) return null;
    this.#coming ??= this.#load().finally(() => { this.#coming = null; });
    return this.#coming;
  }

  async #load() {
    const k = PAGES[Math.min(this.#pages, PAGES.length - 1)];
    const found = await this.ask({ k, offset: this.next });
    if (found.error) throw new Problem(found.error.code, found.error.message);
    this.#pages += 1;
    this.query ??= found.query;
    this.total = found.total;
    this.next = found.next;
    this.#add(found.neighbors);
  }

  /** The store may have grown meanwhile: none comes twice, and the nearest stay first. */
  #add(found) {
    const known = new Set(this.neighbors.map(({ id }) => id));
    const fresh = found.filter(({ id }) => !known.has(id));
    const last = this.neighbors.at(-1);
    if (last && fresh.length && fresh[0].distance < last.distance) {
      this.neighbors = [...this.neighbors, ...fresh].sort((one, other) => one.distance - other.distance);
    } else {
      this.neighbors.push(...fresh);
    }
  }
}

// The HTTP interface: questions, answers, and what goes wrong.

/** What went wrong: a code that stays the same, and a line to read. */
export class Problem extends Error {
  constructor(code, message, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** Tells "problem" when no call can work: the server is gone, or the key is not the right one. */
export const trouble = new EventTarget();

const BUSY_TRIES = 4;
const pause = (seconds) => new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });

export const getJson = async (path) => (await ask(path)).json();
export const postJson = async (path, facts, signal) => (await post(path, facts, signal)).json();

/** The answer to a question in JSON, to be read as it comes. */
export function post(path, facts, signal) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(facts), signal });
}

export async function postPhoto(path, file, signal) {
  const form = new FormData();
  form.append("photo", file);
  return (await ask(path, { method: "POST", body: form, signal })).json();
}

export async function ask(path, options = {}) {
  for (let left = BUSY_TRIES; ; left -= 1) {
    const response = await fetched(path, options);
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.code === "unauthorized") tell(problem);
    if (problem.code !== "busy" || left <= 1) throw problem;
    await pause(Number(response.headers.get("Retry-After")) || 1);
  }
}

/** Whether the server answers at all. */
export async function isThere() {
  try {
    return (await fetch("/healthz", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Server-sent events of an answer, as [name, data]. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const found = /^event: (.*)\ndata: (.*)$/.exec(block);
        if (found) yield [found[1], JSON.parse(found[2])];
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function fetched(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const problem = new Problem("server-gone", "the server does not answer");
    // A connection may break for another reason, such as a server that refuses what is sent.
    if (await isThere()) throw new Problem("broken-off", "the connection broke off; try again");
    tell(problem);
    throw problem;
  }
}

async function problemOf(response) {
  try {
    const { error } = await response.json();
    return new Problem(error.code, error.message, response.status);
  } catch {
    return new Problem("internal-error", `the server answered ${response.status}`, response.status);
  }
}

/** What is known of a photo of the store. */
export const factsOf = (photo) => factsAt(`/api/photos/${photo}`);
/** The faces of a photo that the server remembers. */
export const facesOf = (token) => factsAt(`/api/faces/${encodeURIComponent(token)}`);
const factsAt = async (path) => (await ask(path, { headers: { Accept: "application/json" } })).json();

const tell = (problem) => trouble.dispatchEvent(new CustomEvent("problem", { detail: problem }));

export const cropOf = (photo, face, side) => `/api/photos/${photo}/faces/${face ?? 1}?side=${side}`;
export const viewOf = (photo, side) => `/api/photos/${photo}?side=${side}`;
export const fileOf = (photo) => `/api/photos/${photo}?original=1`;

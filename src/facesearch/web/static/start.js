// The first view: a place for a photo, and some faces to begin with.

import { cropOf, postJson } from "./api.js";
import { byId, count, dateOf, make } from "./dom.js";
import { addressOf } from "./route.js";

const FACES = 12;
const AMONG = 300;

/** Says what is searched. */
export function sayStore(store) {
  const when = dateOf(store.indexed_at, false);
  byId("start-store").textContent = store.faces
    ? `${count(store.photos, "photo")} with ${count(store.faces, "face")}${when && `, indexed ${when}`}. Your photo goes to this server alone and is never written to its disk.`
    : "There are no faces yet. Index a folder first, under Photos.";
}

/** Some faces of the store: of those around a point that nobody chose, which may be one person's. */
export async function showSome(store) {
  const embedding = Array.from({ length: store.dim }, () => Math.random() - 0.5);
  const { neighbors } = await postJson("/api/search", { embedding, k: AMONG });
  const some = neighbors.map((each) => [Math.random(), each]).sort(([one], [other]) => one - other)
    .slice(0, FACES).map(([, each]) => each);
  byId("some").hidden = some.length === 0;
  byId("some-faces").replaceChildren(...some.map(({ id, photo, face }) => make("li", {},
    make("a", { href: addressOf({ view: "face", id }) },
      make("img", { src: cropOf(photo, face, 200), alt: "Search a face of your photos", loading: "lazy", width: 96, height: 96 })))));
}

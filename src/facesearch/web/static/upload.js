// Photos that come in: dropped, pasted or chosen; and their faces.

import { postPhoto, Problem } from "./api.js";
import { byId } from "./dom.js";

/** Calls `came(file)` for each photo that is dropped anywhere, pasted, or chosen. */
export function attachUpload(came) {
  for (const input of [byId("choose"), byId("choose-other")]) {
    input.addEventListener("change", () => {
      if (input.files.length) came(input.files[0]);
      input.value = "";  // the same photo may be chosen again
    });
  }
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (!file) return;
    event.preventDefault();
    came(file);
  });
  attachDrop(came);
}

function attachDrop(came) {
  const over = byId("dropping");
  let depth = 0;  // each element that is entered or left says so
  const isFile = (event) => event.dataTransfer?.types.includes("Files");
  const shown = (by) => {
    depth = Math.max(0, depth + by);
    over.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => { if (isFile(event)) shown(1); });
  addEventListener("dragleave", (event) => { if (isFile(event)) shown(-1); });
  addEventListener("dragover", (event) => { if (isFile(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    shown(-depth);
    if (event.dataTransfer.files.length) came(event.dataTransfer.files[0]);
  });
}

/** The faces of a photo, which stays with them: the server may forget it. */
export async function look(file, signal) {
  const most = Number(document.body.dataset.photoBytes);
  if (file.size > most) {
    // Sent all the same it would break off half way, and nobody would know why.
    const size = Math.round(file.size / 2 ** 20);
    throw new Problem("too-large", `the file has ${size} MiB; at most ${Math.floor(most / 2 ** 20)} are taken`);
  }
  const found = await postPhoto("/api/faces", file, signal);
  return { ...found, file, name: file.name };
}

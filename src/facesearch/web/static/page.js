const form = document.querySelector("#search");
const list = document.querySelector("#neighbors");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/search", { method: "POST", body: new FormData(form) });
  const found = await answer.json();
  list.replaceChildren(...(found.neighbors ?? []).map(shown));
  if (found.error) list.textContent = found.error.message;
});

function shown(neighbor) {
  const item = document.createElement("li");
  const face = document.createElement("img");
  face.src = `/api/photos/${neighbor.photo}/faces/${neighbor.face ?? 1}`;
  face.alt = neighbor.path;
  item.append(face, ` ${neighbor.path} ${neighbor.distance}`);
  return item;
}

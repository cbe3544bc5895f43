// Where the page is: the part of the address after #, so that Back and a reload work.

/** {view: "start" | "store" | "photo" | "face", ...} */
export function readRoute(address = location.hash) {
  const asked = new URLSearchParams(address.slice(1));
  if (asked.has("store")) return { view: "store" };
  if (/^[0-9a-f]{16}-\d+$/.test(asked.get("id") ?? "")) return { view: "face", id: asked.get("id") };
  if (asked.get("photo")) {
    const box = asked.get("box")?.split(",").map(Number).filter(Number.isFinite) ?? [];
    const face = Number(asked.get("face")) || null;
    return { view: "photo", photo: asked.get("photo"), face, box: box.length === 4 ? box : null };
  }
  return { view: "start" };
}

export function addressOf(route) {
  if (route.view === "store") return "#store";
  if (route.view === "face") return `#id=${route.id}`;
  if (route.view === "photo") {
    const chosen = route.box ? `&box=${route.box}` : route.face ? `&face=${route.face}` : "";
    return `#photo=${encodeURIComponent(route.photo)}${chosen}`;
  }
  return "#";
}

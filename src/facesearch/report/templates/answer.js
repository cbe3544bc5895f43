"use strict";
(() => {
  const { cards, views } = JSON.parse(document.getElementById("data").textContent);
  const byId = (name) => document.getElementById(name);
  const dialog = byId("photo"), slider = byId("threshold"), said = byId("said");
  const openers = [...document.querySelectorAll(".open")];
  let now = null;

  const tell = (text) => {
    said.textContent = "";
    requestAnimationFrame(() => { said.textContent = text; });
  };
  const visible = () => openers.filter((one) => !one.closest("li").hidden);

  function show(limit) {
    let kept = 0;
    for (const item of document.querySelectorAll(".card")) {
      item.hidden = Number(item.dataset.distance) > limit + 1e-9;
      kept += !item.hidden;
    }
    for (const answer of document.querySelectorAll(".answer")) {
      const none = answer.querySelector(".none");
      if (none) none.hidden = answer.querySelector(".card:not([hidden])") !== null;
    }
    const reach = cards.length && cards[0].similarity !== null
      ? `similarity ${(1 - limit * limit / 2).toFixed(2)} or more`
      : `distance ${limit.toFixed(2)} or less`;
    const text = `${reach}: ${kept} of ${cards.length}`;
    byId("reached").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    for (const cut of document.querySelectorAll(".cut")) {
      cut.setAttribute("aria-pressed", String(Math.abs(Number(cut.dataset.cut) - limit) < 0.01));
    }
  }

  async function copy(card) {
    if (card.copied === null) {
      tell("This name has characters that cannot be copied safely.");
      return false;
    }
    try {
      await navigator.clipboard.writeText(card.copied);
    } catch {
      const field = document.createElement("textarea");
      field.value = card.copied;
      (dialog.open ? dialog : document.body).append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      if (!done) {
        tell("Not copied: the browser does not allow it.");
        return false;
      }
    }
    tell(`Copied ${card.copied}`);
    return true;
  }

  async function copyFrom(button, card) {
    const before = button.textContent;
    if (before === "copied" || !(await copy(card))) return;
    button.textContent = "copied";
    button.focus();
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  function rectangles(card) {
    const overlay = byId("overlay");
    overlay.setAttribute("viewBox", `0 0 ${card.size[0]} ${card.size[1]}`);
    overlay.toggleAttribute("hidden", card.box === null);
    for (const rect of card.box === null ? [] : overlay.children) {
      ["x", "y", "width", "height"].forEach((side, n) => rect.setAttribute(side, card.box[n]));
    }
  }

  function list(card) {
    const others = byId("others"), paths = [...card.similar, ...card.also];
    others.hidden = !paths.length;
    others.open = false;
    const parts = [];
    if (card.similar.length) parts.push(`${card.similar.length} more of the same moment`);
    if (card.also.length) parts.push(`${card.also.length} more with the same content`);
    others.querySelector("summary").textContent = parts.join(", ");
    others.querySelector("ul").replaceChildren(...paths.map((path) => {
      const line = document.createElement("li");
      line.textContent = path;
      return line;
    }));
  }

  function open(number) {
    now = number;
    const card = cards[number], view = byId("view");
    const there = Object.hasOwn(views, card.view);
    byId("photo-title").textContent = `${card.rank} · ${card.nearness}${card.band ? ` · ${card.band}` : ""}`;
    view.closest(".whole").hidden = !there;
    byId("missing").hidden = there;
    byId("missing").textContent = `not shown: ${card.why}`;
    if (there) {
      view.src = views[card.view];
      view.alt = card.box === null ? card.name : `${card.name}, with the face boxed`;
      const whole = view.closest(".whole").style, [width, height] = card.size;
      whole.setProperty("--ratio", width / height);
      whole.setProperty("--pixels", width);
      view.width = width;
      view.height = height;
    }
    rectangles(card);
    byId("path").textContent = card.path;
    byId("copy").disabled = card.copied === null;
    byId("facts").replaceChildren(...card.facts.map(([name, value]) => {
      const row = document.createElement("div");
      const term = document.createElement("dt"), fact = document.createElement("dd");
      term.textContent = name;
      fact.textContent = value;
      row.append(term, fact);
      return row;
    }));
    list(card);
    const shown = visible().map((one) => Number(one.dataset.card));
    byId("previous").disabled = shown[0] === number;
    byId("next").disabled = shown[shown.length - 1] === number;
    if (!dialog.open) dialog.showModal();
  }

  function step(by) {
    const shown = visible().map((one) => Number(one.dataset.card));
    const next = shown[shown.indexOf(now) + by];
    if (next !== undefined) open(next);
  }

  function rove(event) {
    const shown = visible(), here = shown.indexOf(document.activeElement);
    if (here < 0) return;
    const tops = shown.map((one) => one.getBoundingClientRect().top);
    const across = Math.max(1, tops.filter((top) => Math.abs(top - tops[here]) < 2).length);
    const full = Math.max(1, tops.filter((top) => Math.abs(top - tops[0]) < 2).length);
    const moves = {
      ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: shown.length - 1,
      ArrowUp: here - full, ArrowDown: here + Math.max(across, full),
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    shown[Math.min(shown.length - 1, Math.max(0, moves[event.key]))].focus();
  }

  for (const one of openers) one.addEventListener("click", () => open(Number(one.dataset.card)));
  for (const one of document.querySelectorAll(".card .copy")) {
    one.addEventListener("click", () => copyFrom(one, cards[Number(one.dataset.card)]));
  }
  byId("copy").addEventListener("click", () => copyFrom(byId("copy"), cards[now]));
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    const opener = openers.find((one) => Number(one.dataset.card) === now);
    if (opener) opener.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const card = dialog.open ? cards[now]
      : document.activeElement.matches(".open") ? cards[Number(document.activeElement.dataset.card)] : null;
    if (event.key.toLowerCase() === "c" && card) copy(card);
    else if (!dialog.open) rove(event);
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
  });
  if (slider) {
    slider.addEventListener("input", () => show(Number(slider.value)));
    for (const cut of document.querySelectorAll(".cut")) {
      cut.addEventListener("click", () => {
        slider.value = Math.ceil(Number(cut.dataset.cut) * 100) / 100;
        show(Number(cut.dataset.cut));
      });
    }
    show(Number(slider.value));
  }
})();

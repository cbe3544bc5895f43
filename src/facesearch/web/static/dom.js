// Elements: finding, making and placing them.

export const byId = (id) => document.getElementById(id);

/** An element; `facts` are attributes, but for `text`, `on` (listeners) and `set` (properties). */
export function make(tag, facts = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name === "on") for (const [event, does] of Object.entries(value)) made.addEventListener(event, does);
    else if (name === "set") Object.assign(made, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inside.filter((each) => each !== null && each !== undefined));
  return made;
}

/** One of the page's icons; what it means has to be said beside it. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(space, "svg");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  made.append(use);
  return made;
}

/** Lays an element over a picture of this size where the box is. */
export function place(element, [x, y, width, height], size) {
  const share = (part, whole) => `${(100 * part) / whole}%`;
  element.style.left = share(x, size.width);
  element.style.top = share(y, size.height);
  element.style.width = share(width, size.width);
  element.style.height = share(height, size.height);
}

const numbers = new Intl.NumberFormat("en");
export const count = (value, one = "", many = `${one}s`) =>
  `${numbers.format(value)}${one && ` ${value === 1 ? one : many}`}`;

// Joiners hold emoji and Persian words together and can hide nothing.
const STEERING = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text in which everything can be seen that steers a terminal or misleads the eye. */
export const visible = (text) =>
  text.replace(STEERING, (one) => `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`);

/** The last part of a path, whatever the system. */
export const nameOf = (path) => visible(path.split(/[/\\]/).pop() || path);

/** A date as people write it; photos know no time zone, so none is added. */
export function dateOf(text, withTime = true) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return "";
  const how = withTime ? { dateStyle: "long", timeStyle: "short" } : { dateStyle: "medium" };
  return new Intl.DateTimeFormat("en-GB", how).format(date);
}

// Elements of the page: found, and made.

const WORDS = { non_hcc: "not HCC", homogeneous: "no lesion" };

/** The name of a class as people write it: HCC, not HCC, focal lesion. @param {string} name */
export const plain = (name) => WORDS[name] || name.replaceAll("_", " ").replace(/\b(hcc|fnh|icc)\b/g, (short) => short.toUpperCase());

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/** @param {string} tag @param {string} [className] @param {string} [text] */
export function made(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {string[]} heads @param {string[][]} rows @param {string} [caption] */
export function table(heads, rows, caption) {
  const root = made("table");
  if (caption) root.append(made("caption", "dim", caption));
  const head = root.createTHead().insertRow();
  for (const name of heads) {
    const cell = made("th", "", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = root.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row) line.insertCell().textContent = value;
  }
  const scroll = made("div", "scroll");
  scroll.append(root);
  return scroll;
}

/** Parts of a whole. @param {string} name @param {[string, number, string][]} parts what, how many, colour @param {number} total */
export function bar(name, parts, total) {
  const root = made("div");
  root.append(made("p", "", `${name}: ${total}`));
  const line = made("div", "bar");
  line.setAttribute("role", "img");
  line.setAttribute("aria-label", `${name}: ${parts.map(([what, count]) => `${count} ${what}`).join(", ")}`);
  const keys = made("ul", "keys");
  for (const [what, count, colour] of parts) {
    const key = made("li");
    key.append(made("i", colour), `${count} ${what}`);
    keys.append(key);
    if (!count) continue;
    const part = made("span", colour);
    part.style.flexGrow = String(count);
    part.title = `${count} ${what}`;
    line.append(part);
  }
  if (!total) line.append(made("span", "none"));
  root.append(line, keys);
  return root;
}

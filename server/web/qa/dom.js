// Elements of the page: found, and made.

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/** @param {string} tag @param {string} [className] @param {string} [text] */
export function made(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// Which key does what. A key that is held down decides once.

const READING = {
  1: "true", 2: "false", 3: "unsure", p: "primary", m: "missed", n: "no-lesion", b: "box", z: "undo", " ": "next",
  w: "window", l: "window-back", t: "ticks", v: "viewer", h: "help", "?": "help", home: "key-slice",
  arrowup: "up", arrowleft: "up", arrowdown: "down", arrowright: "down", pageup: "card-back", pagedown: "card-on",
};

const CLASSES = {
  ...Object.fromEntries(Array.from({ length: 9 }, (_, n) => [n + 1, `class-${n}`])), u: "unsure", z: "undo", " ": "next",
  t: "ticks", v: "viewer", h: "help", "?": "help", home: "key-slice",
  arrowup: "up", arrowleft: "up", arrowdown: "down", arrowright: "down", pageup: "card-back", pagedown: "card-on",
};

const BOXING = {
  1: "phase-0", 2: "phase-1", 3: "phase-2", 4: "phase-3", " ": "box-point", enter: "box-save", escape: "box-close",
  backspace: "box-back", ",": "box-from", ".": "box-to", pageup: "up", pagedown: "down", w: "window", l: "window-back",
  h: "help", "?": "help", b: "box-close", f: "box-whole", arrowup: "cross-up", arrowdown: "cross-down", arrowleft: "cross-left",
  arrowright: "cross-right",
};

/** What goes on while a key is held down. */
const REPEATED = new Set(["up", "down", "cross-up", "cross-down", "cross-left", "cross-right"]);

/** The digit of the row above the letters that was pressed: on French keyboards such a key types a letter or a sign. */
const digit = (event) => (event.shiftKey ? "" : /^Digit(\d)$/.exec(event.code)?.[1]);

/**
 * @param {{isBoxing: () => boolean, isClasses: () => boolean, act: (what: string, how: {device: string, at: number, far: boolean}) => void}} page
 */
export function listen(page) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const focused = document.activeElement;
    const isControl = focused instanceof HTMLElement && focused.matches("button, a, input, summary");
    if (isControl && ["Enter", " "].includes(event.key)) return; // reached by Tab: these two are the control's own
    const known = page.isBoxing() ? BOXING : page.isClasses() ? CLASSES : READING;
    const what = known[event.key.toLowerCase()] || known[digit(event)];
    if (!what) return;
    event.preventDefault();
    if (event.repeat && !REPEATED.has(what)) return;
    page.act(what, { device: "key", at: event.timeStamp, far: event.shiftKey });
  });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-do]");
    if (!button) return;
    if (event.detail) button.blur(); // the space bar stays the page's
    if (event.detail > 1) return; // the second click of a double click
    const device = event.detail === 0 ? "key" : event.pointerType === "touch" ? "touch" : "mouse";
    page.act(button.dataset.do, { device, at: event.timeStamp, far: false });
  });
}

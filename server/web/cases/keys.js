// Which key does what.

const DRAWING = { enter: "box-save", escape: "box-close", b: "box-close", arrowleft: "left", arrowright: "right", arrowup: "up", arrowdown: "down", h: "help" };
const REPEATED = new Set(["back", "on", "left", "right", "up", "down", "weaker", "stronger"]);

/** @param {{keys: Object<string, string>, isDrawing: () => boolean, act: (what: string, how?: {corner: boolean, far: boolean}) => void, choose?: (place: number, isShifted: boolean) => void}} page keys: what each does while no box is drawn */
export function listen(page) {
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const focused = document.activeElement;
    const isControl = focused instanceof HTMLElement && focused.matches("button, a, input, select, summary");
    if (isControl && ["Enter", " "].includes(event.key)) return; // reached by Tab: these are the control's own
    if (focused instanceof HTMLElement && focused.matches("input:not([type=checkbox]), select") && !/^(Page|Escape)/.test(event.key)) return;
    const isDrawing = page.isDrawing();
    if (event.ctrlKey && !(isDrawing && event.key.startsWith("Arrow"))) return;
    const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
    if (digit && !isDrawing && page.choose) {
      event.preventDefault();
      if (!event.repeat) page.choose(Number(digit) - 1, event.shiftKey);
      return;
    }
    const what = (isDrawing ? DRAWING : page.keys)[event.key.toLowerCase()];
    if (!what) return;
    event.preventDefault();
    if (event.repeat && !REPEATED.has(what)) return;
    page.act(what, { corner: event.shiftKey, far: event.ctrlKey });
  });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-do]");
    if (!button) return;
    if (event.detail) button.blur(); // the space bar stays the page's
    page.act(button.dataset.do);
  });
}

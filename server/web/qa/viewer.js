// The study that is read, in the OHIF viewer of this server: in a tab of its own.

const ROOT = new URL("../../", import.meta.url);

/** @param {?string} address below the server's root; null where there is no viewer, or the PACS has not the study */
export function showViewer(address) {
  for (const link of document.querySelectorAll("a.viewer")) {
    link.hidden = !address;
    if (address) link.href = new URL(address, ROOT).href;
    else link.removeAttribute("href");
  }
}

export const openViewer = () => document.querySelector("a.viewer[href]")?.click();

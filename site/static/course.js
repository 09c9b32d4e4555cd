"use strict";

// From a folder, a page may not read other pages: the search then shows titles only.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

document.addEventListener("DOMContentLoaded", () => {
  // In the sidebar, the arrow beside a link opens the pages below it: say so.
  for (const summary of document.querySelectorAll(".bd-sidenav summary")) {
    const link = summary.closest("li").querySelector("a");
    summary.setAttribute("aria-label", `Pages of ${link.textContent.trim()}`);
  }
  // The notebook is a file to keep, not a page to show.
  for (const link of document.querySelectorAll("a.btn-download-source-button")) {
    link.download = "";
  }
});

// On paper nothing can be unfolded: it has the answers, and goes without the set-up cell.
let unfolded = [];
window.addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll(".bd-article details.below-input:not([open])")];
  unfolded.forEach((details) => (details.open = true));
});
window.addEventListener("afterprint", () => {
  unfolded.forEach((details) => (details.open = false));
});

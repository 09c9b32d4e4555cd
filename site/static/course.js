"use strict";

// From a folder, a page may not read other pages: the search then shows titles only.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

document.addEventListener("DOMContentLoaded", () => {
  // In the sidebar, the arrow beside a link opens the pages below it: say so.
  for (const summary of document.querySelectorAll(".bd-sidenav summary")) {
    const link = summary.closest("li").querySelector("a");
    summary.setAttribute("aria-label", WORDS.pagesOf(link.textContent.trim()));
  }
  // The notebook is a file to keep, not a page to show.
  for (const link of document.querySelectorAll("a.btn-download-source-button")) {
    link.download = "";
  }
  // The link to the other language leads to the section that is being read: its number is the same
  // there. A link that was just followed on this page names it, else it is the last section that
  // begins in the upper third of the window.
  const link = document.querySelector("a.other-language");
  const address = link.getAttribute("href");
  const lead = () => {
    const top = (section) => section.getBoundingClientRect().top;
    const sections = [...document.querySelectorAll(".bd-article section[id]")];
    const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    let at = sections.indexOf(named?.closest("section"));
    if (at < 0 || top(sections[at]) < 0 || top(sections[at]) > innerHeight) {
      at = sections.findLastIndex((section) => top(section) < innerHeight / 3);
    }
    link.href = address + location.search + (at > 0 ? `#section-${at}` : "");
  };
  link.addEventListener("pointerdown", lead);
  link.addEventListener("click", lead); // with the keyboard, too
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

// Keeps a campaign's page as it is now: numbers are replaced in place, a new state brings the whole page anew.
"use strict";

const shown = document.getElementById("campaign");
const EACH = 2000;

async function look() {
  let alive = true;
  try {
    const answer = await fetch(shown.dataset.progress, { headers: { Accept: "text/html" }, redirect: "error" });
    if (answer.status === 404) { window.location.reload(); return; }
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html").body.firstElementChild;
      if (page.dataset.state !== shown.firstElementChild.dataset.state) { window.location.reload(); return; }
      alive = "alive" in page.dataset;
      if (page.innerHTML !== shown.firstElementChild.innerHTML) shown.replaceChildren(page);
    }
  } catch {
    // the network comes back, or the next page asks to sign in
  }
  if (alive) setTimeout(look, EACH);
}

if (shown && "alive" in shown.firstElementChild.dataset) setTimeout(look, EACH);

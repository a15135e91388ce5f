// The page of a link: it works without this. Dials by itself where the user chose so, and says what becomes of the call.
"use strict";

const form = document.querySelector("form[data-at-once]");
if (form) {
  // A browser that guesses where its user goes opens pages unseen.
  if (document.prerendering) document.addEventListener("prerenderingchange", () => form.requestSubmit(), { once: true });
  else form.requestSubmit();
}

const told = document.getElementById("told");
if (told) {
  const ask = async () => {
    const answer = await fetch(told.dataset.state, { headers: { Accept: "application/json" } });
    if (!answer.ok) return answer.status >= 500;
    const found = await answer.json();
    if (told.textContent !== found.text) told.textContent = found.text;
    return !found.over;
  };
  const look = async () => {
    const goesOn = await ask().catch(() => true); // a network that is away comes back
    if (goesOn) setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
}

// A form that is sent twice dials once, but a button that can be pressed twice looks as if it did not.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("#call button")) setTimeout(() => { button.disabled = true; });
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("#call button")) button.disabled = false;
});

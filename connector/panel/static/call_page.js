// The page of a link: it works without this. Dials by itself where the user chose so, and says what becomes of the call.
"use strict";

const form = document.querySelector("form[data-at-once]");
if (form) form.requestSubmit();

const told = document.getElementById("told");
if (told) {
  const look = async () => {
    const answer = await fetch(told.dataset.state, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const found = await answer.json();
    if (told.textContent !== found.text) told.textContent = found.text;
    if (!found.over) setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
}

// A form that is sent twice dials once, but a button that can be pressed twice looks as if it did not.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("#call button")) setTimeout(() => { button.disabled = true; });
});

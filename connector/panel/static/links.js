// Makes the browser open tel: links by us, and offers to install the panel's phone as an app.
"use strict";

const handle = document.getElementById("handle-tel");
const said = document.getElementById("app-told");
handle.addEventListener("click", () => {
  try {
    navigator.registerProtocolHandler("tel", handle.dataset.handler);
    said.textContent = handle.dataset.done;
  } catch {
    said.textContent = handle.dataset.cant;
  }
});

const install = document.getElementById("install");
window.addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  install.hidden = false;
  install.addEventListener("click", () => event.prompt(), { once: true });
});

// Keeps the list of calls as it is now: told by the server, or asking every 10 seconds where it can't be told.
"use strict";

const body = document.getElementById("calls");
const state = document.getElementById("live-state");
const toasts = document.getElementById("toasts");
const POLL = 10000;
const TRY_STREAM_AGAIN = 60000;
const TOAST = 15000;
let known = new Set([...body.rows].map((row) => row.dataset.call));
let source = null;
let poll = null;
let asking = false;
let askAgain = false;

function show(mode) {
  if (state.dataset.mode === mode) return; // a repeated text would be read out again
  state.dataset.mode = mode;
  state.lastElementChild.textContent = state.dataset[mode];
}

async function refresh() {
  if (asking) { askAgain = true; return; }
  asking = true;
  try {
    const answer = await fetch(body.dataset.rows, { headers: { Accept: "text/html" }, redirect: "error" });
    if (answer.status === 401) { window.location.reload(); return; } // the session ended: to the sign-in page
    if (!answer.ok) throw new Error(String(answer.status));
    replace(await answer.text());
    show(source ? "live" : "polling");
  } catch {
    show("offline");
  } finally {
    asking = false;
    if (askAgain) { askAgain = false; setTimeout(refresh, 250); }
  }
}

function replace(html) {
  const page = new DOMParser().parseFromString(`<table><tbody>${html}</tbody></table>`, "text/html");
  const rows = page.querySelector("tbody");
  const focused = document.activeElement?.closest?.("tr[data-call]")?.dataset.call;
  body.replaceChildren(...rows.children);
  for (const row of body.rows) {
    const call = row.dataset.call;
    if (!call || known.has(call)) continue;
    known.add(call);
    row.classList.add("new");
    if (row.dataset.direction === "incoming" && row.dataset.state === "open") toast(row);
  }
  if (focused) body.querySelector(`tr[data-call="${CSS.escape(focused)}"] a`)?.focus({ preventScroll: true });
}

function toast(row) {
  const link = row.querySelector("a.who");
  const box = document.createElement("div");
  box.className = "toast-call";
  const icon = row.querySelector(".direction svg").cloneNode(true);
  const text = document.createElement("a");
  text.href = link.href;
  const title = document.createElement("span");
  title.textContent = toasts.dataset.text;
  const who = document.createElement("strong");
  who.textContent = link.textContent.trim();
  text.append(title, who);
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-close";
  close.setAttribute("aria-label", toasts.dataset.close);
  close.addEventListener("click", () => box.remove());
  box.append(icon, text, close);
  toasts.append(box);
  setTimeout(() => box.remove(), TOAST);
}

function startPolling() {
  if (poll) return;
  show("polling");
  poll = setInterval(refresh, POLL);
}

function listen() {
  source = new EventSource(body.dataset.stream);
  source.addEventListener("open", () => {
    clearInterval(poll);
    poll = null;
    show("live");
    refresh(); // what happened while nobody listened
  });
  source.addEventListener("calls", refresh);
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return; // it connects again by itself
    source = null; // too many streams, or no session: ask now and then instead
    startPolling();
    refresh();
    setTimeout(listen, TRY_STREAM_AGAIN);
  });
}

window.addEventListener("pagehide", () => { source?.close(); });
window.addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
listen();

// Keeps an open page current: server-sent events say that something changed, the page is fetched
// again, and its live parts are replaced.  Nothing here is needed to read a page.
"use strict";

const main = document.getElementById("main");
const pulse = document.getElementById("pulse");
const pulseText = document.getElementById("pulse-text");
let clock = 0; // the server's time minus ours, in ms
let revision = null;
let wanted = false;
let busy = false;
let heard = Date.now();

function say(kind, text) {
  pulse.className = "pulse " + kind;
  if (pulseText.textContent !== text) pulseText.textContent = text;
}

function span(seconds) {
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}

function ages() {
  const now = (Date.now() + clock) / 1000;
  for (const one of document.querySelectorAll("time[data-age]")) {
    const text = span(Math.max(0, now - Number(one.dataset.age))) + " ago";
    if (one.textContent !== text) one.textContent = text;
  }
  if (Date.now() - heard > 15000) say("lost", "No contact for " + span((Date.now() - heard) / 1000));
}

// Keep the state of a part: open sections, scroll positions, the focus.
function replace(old, made) {
  if (old.isEqualNode(made)) return;
  for (const one of old.querySelectorAll("details[open][id]")) {
    const same = made.querySelector("#" + CSS.escape(one.id));
    if (same) same.open = true;
  }
  const scrolls = [...old.querySelectorAll("[id].scroll")].map((one) => [one.id, one.scrollLeft, one.scrollTop]);
  const focus = old.contains(document.activeElement) ? document.activeElement : null;
  const links = focus ? [...old.querySelectorAll("a, summary, [tabindex]")] : [];
  const place = links.indexOf(focus);
  old.replaceWith(made);
  for (const [id, left, top] of scrolls) {
    const one = document.getElementById(id);
    if (one) { one.scrollLeft = left; one.scrollTop = top; }
  }
  if (place >= 0) {
    const again = [...made.querySelectorAll("a, summary, [tabindex]")];
    const same = (focus.href && again.find((one) => one.href === focus.href)) || again[place];
    if (same) same.focus({ preventScroll: true });
  }
}

async function refresh(address) {
  if (busy) { wanted = true; return; }
  busy = true;
  try {
    const answer = await fetch(address || location.pathname + location.search, { credentials: "same-origin" });
    if (answer.status < 500 && answer.status !== 401) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const notice = page.getElementById("notice"), shown = document.getElementById("notice");
      const servers = (one) => [...one.querySelectorAll("[data-server]")].map((s) => s.dataset.server).join();
      if (notice && servers(notice) !== servers(shown)) shown.replaceChildren(...notice.childNodes);
      const parts = page.querySelectorAll("[data-live]");
      for (const made of parts) {
        const old = document.getElementById(made.id);
        if (old) replace(old, document.adoptNode(made));
      }
      ages();
    }
  } catch {
    // The next event fetches again; `ages` shows how long there was no contact.
  } finally {
    busy = false;
    if (wanted) { wanted = false; refresh(); }
  }
}

async function fill(part) {
  part.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(part.dataset.fill, { credentials: "same-origin", headers: { "X-Fragment": "1" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    part.replaceChildren(...document.adoptNode(page.body).childNodes);
    part.dataset.failed = answer.status < 500 ? "" : "1"; // a missing part will not come back
  } catch {
    const line = document.createElement("p");
    line.textContent = "The dashboard does not answer. ";
    const again = document.createElement("button");
    again.type = "button";
    again.className = "again";
    again.textContent = "Try again";
    line.append(again);
    part.replaceChildren(line);
    part.dataset.failed = "1";
  }
  part.setAttribute("aria-busy", "false");
}

document.addEventListener("click", (event) => {
  const again = event.target.closest("button.again");
  const part = again && again.closest("[data-fill]");
  if (part) fill(part);
});

function listen() {
  const source = new EventSource("/events");
  source.addEventListener("state", (event) => {
    const state = JSON.parse(event.data);
    heard = Date.now();
    clock = state.now * 1000 - heard;
    const away = state.away.map((one) => one.server).join(" and ");
    say(away ? "away" : "live", away ? away + " away" : "Live");
    if (revision !== null && state.revision !== revision) {
      refresh();
      if (!away) for (const part of document.querySelectorAll('[data-failed="1"]')) fill(part);
    }
    revision = state.revision;
  });
  source.addEventListener("error", () => {
    say("lost", "Dashboard away");
    // A browser gives up on an answer that is not a stream, as from a server that is starting.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

for (const form of document.querySelectorAll("form[data-instant]")) {
  let timer = 0;
  const ask = () => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (value && value !== form.elements[name].dataset.default) query.append(name, value);
    }
    const address = form.getAttribute("action") + (query.size ? "?" + query : "");
    history.replaceState(null, "", address);
    refresh(address);
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 200); });
  form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(timer); ask(); });
}

// Shared links are short: they leave out empty fields.
for (const form of document.querySelectorAll("form[data-question]")) {
  form.addEventListener("submit", () => {
    for (const one of form.querySelectorAll("input")) if (!one.value) one.disabled = true;
    setTimeout(() => { for (const one of form.querySelectorAll("input")) one.disabled = false; });
  });
}

for (const part of document.querySelectorAll("[data-fill]")) fill(part);
listen();
setInterval(ages, 1000);
ages();
main.dataset.ready = "1";

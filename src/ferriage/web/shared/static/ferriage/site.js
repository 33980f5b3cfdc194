// Sweeteners only: every page works without this file.
"use strict";

// An instant is printed in UTC; add the viewer's own time with its offset.
for (const element of document.querySelectorAll("time[data-local]")) {
  const instant = new Date(element.dateTime);
  const minutes = -instant.getTimezoneOffset();
  if (minutes === 0) continue;
  const local = new Intl.DateTimeFormat(document.documentElement.lang, {
    dateStyle: "medium",
    timeStyle: "short",
  }).format(instant);
  const sign = minutes < 0 ? "−" : "+";
  const hours = String(Math.floor(Math.abs(minutes) / 60)).padStart(2, "0");
  const rest = String(Math.abs(minutes) % 60).padStart(2, "0");
  element.textContent += ` (${local}, UTC${sign}${hours}:${rest})`;
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = button.dataset.done;
  });
}

// Ask how many gateways know a device, once a second until all of them do.
for (const element of document.querySelectorAll("[data-live]")) {
  const ask = async () => {
    const answer = await fetch(element.dataset.live, { credentials: "same-origin" });
    if (!answer.ok) return;
    const live = await answer.json();
    element.textContent = live.text;
    element.classList.toggle("tag-good", live.good);
    if (live.on < live.of) setTimeout(ask, 1000);
  };
  setTimeout(ask, 500);
}

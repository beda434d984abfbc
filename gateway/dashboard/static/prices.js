// The sum follows while one types. Without this script the form is sent and the page comes back with the sum.
const form = document.getElementById("form"), result = document.getElementById("result"), said = document.getElementById("said");
const sliders = [...document.querySelectorAll(".slider")];
const MONTH_DAYS = 30, PAUSE_MS = 180;
let waiting = 0, asked = null;

async function calculate() {
  if (asked) asked.abort();
  asked = new AbortController();
  const query = new URLSearchParams(new FormData(form));
  try {
    const answer = await fetch(`/prices/simulate?${query}`, { headers: { Accept: "text/html" }, signal: asked.signal });
    if (!answer.ok && answer.status !== 422) return;
    result.innerHTML = await answer.text();
    history.replaceState(null, "", `/prices?${query}`);
    for (const link of document.querySelectorAll(".languages a")) {
      query.set("lang", link.hreflang);
      link.href = `/prices?${query}`;
    }
    said.textContent = result.querySelector("[data-said]").dataset.said;
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    for (const note of form.querySelectorAll(".wrong")) note.remove();
  } catch (error) {
    if (error.name !== "AbortError") form.querySelector(".calculate").hidden = false; // then by hand
  }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(calculate, PAUSE_MS);
}

for (const slider of sliders) {
  const field = document.getElementById(slider.dataset.for);
  slider.hidden = false;
  slider.addEventListener("input", () => { field.value = slider.value; soon(); });
  field.addEventListener("input", () => { slider.value = field.value; });
}

for (const choice of form.querySelectorAll("[name=per]")) {
  choice.addEventListener("change", () => {
    const isByMonth = choice.value === "month";
    for (const slider of sliders) {
      if (slider.dataset.for.endsWith("_numbers")) continue; // rented by the month either way
      const field = document.getElementById(slider.dataset.for), value = Number(field.value) || 0;
      slider.max = isByMonth ? slider.max * MONTH_DAYS : slider.max / MONTH_DAYS;
      field.value = isByMonth ? value * MONTH_DAYS : Math.round(value / MONTH_DAYS);
      slider.value = field.value;
    }
  });
}

form.querySelector(".calculate").hidden = true;
form.addEventListener("input", soon);
form.addEventListener("submit", (event) => { event.preventDefault(); calculate(); });

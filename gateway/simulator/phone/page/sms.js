// What only an SMS has: segments, their price, and a counter that the server works out while one types.
import { WORDS, fill } from "./words.js";

const byId = (id) => document.getElementById(id);
const QUIET_MS = 120;
let waiting = 0, newest = 0;

export const whole = (millicredits, language) => new Intl.NumberFormat(language, { maximumFractionDigits: 3 }).format(millicredits / 1000);
const many = (words, count, language) => `${new Intl.NumberFormat(language).format(count)} ${words[count === 1 ? 0 : 1]}`;

export function costOf(one, language) {
  const words = WORDS[language];
  if (one.kind === "carrier") return words.by_twilio;
  return `${many(words.units.sms_sent, one.segments, language)} · ${fill(words.credits, { amount: whole(one.price_millicredits, language) })}`;
}

function showCounted(found, language) {
  const words = WORDS[language], counter = byId("counter");
  for (const name of ["characters", "encoding", "segments"]) counter.dataset[name] = found[name];
  counter.classList.toggle("wide", found.encoding === "UCS-2");
  byId("counted").textContent = found.segments
    ? [many(words.characters, found.characters, language), found.encoding, many(words.units.sms_sent, found.segments, language)].join(" · ")
    : words.nothing_counted;
  byId("counted-price").textContent = found.segments ? fill(words.costs, { amount: whole(found.price_millicredits, language) }) : "";
}

// Ask once typing rests; an answer that was overtaken by a later one is dropped.
export function showCounter(isSms, text, language, post) {
  byId("counter").hidden = !isSms;
  clearTimeout(waiting);
  const mine = ++newest;
  if (!isSms) return;
  waiting = setTimeout(async () => {
    try {
      const found = await (await post("/count", { text })).json();
      if (mine === newest) showCounted(found, language);
    } catch { byId("counted").textContent = WORDS[language].done.error; }
  }, QUIET_MS);
}

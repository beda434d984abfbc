// The owner's side: balance, window, receipt, what happened. Amounts are millicredits, whole numbers.
import { callSteps, showCallMeter } from "./call.js";
import { whole } from "./sms.js";
import { WORDS, fill } from "./words.js";

const byId = (id) => document.getElementById(id);
const credits = (millicredits, language) =>
  new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 3 }).format(millicredits / 1000);
const clock = (iso, language, seconds) =>
  new Date(iso).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(seconds ? { second: "2-digit" } : {}) });

function row(cells, name) {
  const tr = document.createElement("tr");
  tr.className = name;
  for (const [text, style] of cells) {
    const td = document.createElement("td");
    td.textContent = text;
    td.className = style || "";
    tr.append(td);
  }
  return tr;
}

function showReceipt(receipt, language) {
  const words = WORDS[language], table = byId("receipt");
  byId("no-receipt").hidden = Boolean(receipt);
  byId("card").textContent = receipt ? fill(words.rates, { version: receipt.rate_card }) : "";
  if (!receipt) { table.replaceChildren(); return; }
  const number = new Intl.NumberFormat(language);
  const rows = receipt.lines.map((line) => {
    const isFree = line.unit_millicredits === 0;
    const how = `${number.format(line.quantity)} ${(words.units[line.item] || ["", ""])[line.quantity === 1 ? 0 : 1]} × ${credits(line.unit_millicredits, language)}`;
    const tr = row([[words.items[line.item] || line.item], [how, "how"], [isFree ? words.free : credits(line.amount_millicredits, language), isFree ? "free" : ""]], "line");
    tr.dataset.millicredits = line.amount_millicredits;
    return tr;
  });
  rows.push(row([[words.sum], [""], [credits(receipt.total_millicredits, language)]], "sum"));
  rows.at(-1).dataset.millicredits = receipt.total_millicredits;
  if (receipt.refunded_millicredits) rows.push(row([[words.refunded], [""], [credits(receipt.refunded_millicredits, language)]], "after"));
  rows.push(row([[words.before], [""], [credits(receipt.balance_before_millicredits, language)]], "after"));
  rows.push(row([[words.after], [""], [credits(receipt.balance_after_millicredits, language)]], "after"));
  table.replaceChildren(...rows);
}

// What became of the customer's last message: [step, moment if known, "done" | "now" | "bad" | ""].
function steps(state, language) {
  if (state.channel === "voice") return callSteps(state, language);
  const { owner, channel } = state;
  const words = WORDS[language].steps, messages = owner.messages || [], isSms = channel === "sms";
  const asked = messages.findLastIndex((message) => message.direction === "in");
  if (asked < 0) return ["taken", "held", "answered", "charge", "sent", "delivered", ...(isSms ? [] : ["read"])].map((name) => [words[name], null, ""]);
  const answers = messages.slice(asked + 1).filter((message) => message.direction === "out");
  const charged = answers.find((answer) => answer.receipt), last = answers.at(-1), known = owner.conversation.window;
  const isOver = isSms && !last && owner.conversation.mode === "agent" && !owner.conversation.pending_since;
  const waits = (owner.conversation.opted_out && "opted_out") || owner.conversation.waiting_for || (known && !known.open && !last ? "window" : null);
  const found = [[words.taken, messages[asked].created_at, "done"]];
  if (!charged && waits) return [...found, [words.waits[waits], null, "bad"]];
  if (isOver) return [...found, [words.no_answer, null, "done"]];
  if (!last && owner.conversation.mode !== "agent") return [...found, [words.human, null, "now"]];
  const has = { held: last || owner.balance.held_millicredits, answered: last, sent: last && last.state !== "queued", delivered: last && last.delivered_at, read: last && last.read_at };
  const add = (word, isDone, at) => found.push([word, at || null, isDone ? "done" : found.at(-1)[2] === "done" ? "now" : ""]);
  add(words.held, has.held);
  add(words.answered, has.answered, last && last.created_at);
  if (!last || charged) add(charged ? fill(words.charged, { amount: credits(charged.receipt.total_millicredits, language) }) : words.charge, charged, charged && charged.receipt.created_at);
  if (last && last.failure) return [...found, [words.failed, null, "bad"]];
  add(words.sent, has.sent);
  add(words.delivered, has.delivered, last && last.delivered_at);
  if (!isSms) add(words.read, has.read, last && last.read_at);
  return found;
}

function showJourney(state, language) {
  const seconds = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const found = steps(state, language), start = found[0][1] ? Date.parse(found[0][1]) : 0;
  let latest = start; // a vendor's reports tell whole seconds: never show one before what led to it
  byId("journey").replaceChildren(...found.map(([text, at, state], number) => {
    const li = document.createElement("li"), what = document.createElement("span"), when = document.createElement("time");
    li.className = state;
    what.textContent = text;
    if (at) latest = Math.max(latest, Date.parse(at));
    when.textContent = !at ? "" : number === 0 ? clock(at, language, true) : `+${seconds.format((latest - start) / 1000)} s`;
    if (state === "now") li.setAttribute("aria-current", "step");
    li.append(what, when);
    return li;
  }));
}

function showRecent(owner, language) {
  const most = Math.max(1, ...owner.receipts.map((receipt) => receipt.total_millicredits));
  byId("no-recent").hidden = owner.receipts.length > 0;
  byId("recent").replaceChildren(...owner.receipts.map((receipt) => {
    const li = document.createElement("li"), time = document.createElement("time"), bar = document.createElement("span"), amount = document.createElement("b");
    time.textContent = clock(receipt.created_at, language, true);
    bar.className = "bar";
    bar.style.setProperty("--share", receipt.total_millicredits / most);
    amount.textContent = credits(receipt.total_millicredits, language);
    li.dataset.millicredits = receipt.total_millicredits;
    li.append(time, bar, amount);
    return li;
  }));
}

let fullest = 100_000_000; // the gauge's end: as much as it has ever shown
function showGauge(millicredits) {
  fullest = Math.max(fullest, millicredits);
  const share = Math.max(0, Math.min(1, millicredits / fullest));
  document.querySelector("#gauge .level").setAttribute("stroke-dasharray", `${100 * share} 200`);
  document.querySelector("#gauge .needle").style.transform = `rotate(${180 * share}deg)`;
  byId("gauge").classList.toggle("low", share < 0.05);
}

export function showWindow(state, language) {
  if (state.channel === "voice") { showCallMeter(state, language); return; }
  const { owner, channel, sms_rates: rates } = state;
  byId("window-title").textContent = WORDS[language][channel === "sms" ? "sms_price" : "window"];
  if (channel === "sms") {
    byId("window").textContent = whole(rates.sent_millicredits, language);
    byId("window-note").textContent = fill(WORDS[language].sms_price_note, { received: whole(rates.received_millicredits, language) });
    return;
  }
  const words = WORDS[language], known = owner && owner.conversation && owner.conversation.window;
  if (!known || !known.closes_at) { byId("window").textContent = words.none; byId("window-note").textContent = words.none_note; return; }
  const left = Math.max(0, Math.floor((new Date(known.closes_at) - Date.now()) / 1000));
  const isOpen = known.open && left > 0;
  const two = (value) => String(value).padStart(2, "0");
  byId("window").textContent = isOpen ? `${two(Math.floor(left / 3600))}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}` : words.closed;
  byId("window-note").textContent = isOpen ? fill(words.open_until, { time: clock(known.closes_at, language) }) : words.closed_note;
}

export function showMeter(state, language) {
  const owner = state.owner;
  if (!owner) return;
  const words = WORDS[language], balance = owner.balance, output = byId("balance");
  const text = credits(balance.balance_millicredits, language);
  if (output.textContent !== text) {
    output.classList.add("changed");
    setTimeout(() => output.classList.remove("changed"), 60);
  }
  output.textContent = text;
  output.dataset.millicredits = balance.balance_millicredits;
  byId("held").textContent = balance.held_millicredits ? fill(words.held, { held: credits(balance.held_millicredits, language) }) : words[balance.state];
  showGauge(balance.balance_millicredits);
  showReceipt(owner.receipts[0], language);
  showWindow(state, language);
  showJourney(state, language);
  byId("give-back").hidden = !owner.conversation || owner.conversation.mode === "agent";
  showRecent(owner, language);
}

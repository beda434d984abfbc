// The owner's side: balance, window, receipt, what happened. Amounts are millicredits, whole numbers.
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

function steps(owner, language) {
  const words = WORDS[language].log, found = [], seen = new Set();
  for (const message of owner.messages || []) {
    if (message.direction === "in") { found.push([message.created_at, words.in]); continue; }
    if (message.receipt && !seen.has(message.receipt_id)) {
      seen.add(message.receipt_id);
      found.push([message.receipt.created_at, fill(words.charged, { amount: credits(message.receipt.total_millicredits, language) })]);
    }
    if (message.failure) found.push([message.created_at, words.failed, "bad"]);
    else found.push([message.created_at, words.sent]);
    if (message.delivered_at) found.push([message.delivered_at, words.delivered]);
    if (message.read_at) found.push([message.read_at, words.read]);
  }
  const known = owner.conversation && owner.conversation.window;
  const why = known && !known.open ? words.closed : owner.balance.state === "paused" ? words.no_credits : "";
  if (why && found.length) found.push([found.at(-1)[0], why, "bad"]);
  return found.sort((one, other) => (one[0] < other[0] ? -1 : one[0] > other[0] ? 1 : 0)).reverse().slice(0, 9);
}

function showWire(owner, language) {
  byId("wire").replaceChildren(...steps(owner, language).map(([at, text, style]) => {
    const li = document.createElement("li"), time = document.createElement("time"), what = document.createElement("span");
    time.textContent = clock(at, language, true);
    what.textContent = text;
    what.className = style || "";
    li.append(time, what);
    return li;
  }));
}

export function showWindow(owner, language) {
  const words = WORDS[language], known = owner && owner.conversation && owner.conversation.window;
  if (!known || !known.closes_at) { byId("window").textContent = words.none; byId("window-note").textContent = words.none_note; return; }
  const left = Math.max(0, Math.floor((new Date(known.closes_at) - Date.now()) / 1000));
  const isOpen = known.open && left > 0;
  const two = (value) => String(value).padStart(2, "0");
  byId("window").textContent = isOpen ? `${two(Math.floor(left / 3600))}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}` : words.closed;
  byId("window-note").textContent = isOpen ? fill(words.open_until, { time: clock(known.closes_at, language) }) : words.closed_note;
}

export function showMeter(owner, language) {
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
  showReceipt(owner.receipts[0], language);
  showWindow(owner, language);
  showWire(owner, language);
}

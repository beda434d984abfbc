// A phone call as the page shows it: the buttons, what was said, and the meter that runs while one talks.
import { place } from "./microphone.js";
import { WORDS, fill } from "./words.js";

const byId = (id) => document.getElementById(id);
const KEYS = "123456789*0#";
const TALKING = new Set(["ringing", "in-progress"]);
const OVER = new Set(["ended", "declined"]);
let call = null, language = "de", post = null, latest = null, known = null;
let isDialling = false, isGivenUp = false, problem = "", ended = "", ownSid = null, pressed = "";

const amount = (millicredits, most = 3) => new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: most }).format(millicredits / 1000);
const whole = (number) => new Intl.NumberFormat(language).format(number);
const two = (value) => String(value).padStart(2, "0");
const clock = (seconds) => `${two(Math.floor(seconds / 60))}:${two(Math.floor(seconds) % 60)}`;
const isTalking = () => Boolean(call) || isDialling;
const canSpeak = () => Boolean(call && latest && latest.state === "in-progress"); // while it rings nobody would hear it
const isElsewhere = () => !isTalking() && Boolean(latest) && TALKING.has(latest.state) && latest.sid !== ownSid;
const tell = (id, text) => { if (byId(id).textContent !== text) byId(id).textContent = text; }; // said aloud only once

// What was said in this call, as bubbles: the caller's words and what the caller really heard.
export function spokenBubbles({ owner, chat }) {
  const mine = owner && owner.call;
  const said = mine ? owner.messages.filter((one) => one.call_id === mine.id) : [];
  const bubbles = said.map((one) => ({ id: one.id, mine: one.direction === "in", kind: one.interrupted ? "speech cut" : "speech", text: one.text, at: Date.parse(one.created_at) / 1000 }));
  const own = chat.call.said.map((text, at) => ({ id: `${chat.call.sid}-${at}`, mine: false, kind: "carrier", text, at: Date.now() / 1000 }));
  return [...bubbles, ...own];
}

export async function sayCall(text) {
  if (canSpeak()) await post("/write", { kind: "text", text, channel: "voice" });
}

export function endCall() {
  if (call) call.hangUp();
  isGivenUp = isDialling;
}

async function dial() {
  if (isTalking()) { endCall(); return; }
  [isDialling, isGivenUp, problem, ended, pressed] = [true, false, "", "", ""];
  show();
  try {
    const placed = await place((reason) => { [call, ended] = [null, reason]; show(); });
    call = window.telephone = placed; // the window's for a test to look at
    if (isGivenUp) placed.hangUp();
  } catch { problem = isGivenUp ? "" : "not_placed"; }
  isDialling = false;
  show();
}

async function press(key) {
  if (!isTalking()) return;
  pressed = `${pressed}${key}`.slice(-16);
  show();
  await post("/write", { kind: "keys", text: key, channel: "voice" }).catch(() => {});
}

function show() {
  const words = WORDS[language], button = byId("dial"), talks = isTalking();
  button.classList.toggle("hang-up", talks);
  button.title = talks ? words.hang_up : words.call;
  button.setAttribute("aria-label", button.title);
  button.disabled = isElsewhere();
  for (const name of ["mute", "keys"]) byId(name).disabled = !talks;
  byId("mute").setAttribute("aria-pressed", String(Boolean(call && call.isMuted)));
  for (const one of byId("quick").children) one.disabled = !canSpeak();
  if (!talks) openKeypad(false);
  tell("call-note", noteOf(words));
  showHead(words);
}

function noteOf(words) {
  if (!byId("keypad").hidden && pressed) return [...pressed].join(" ");
  if (isDialling) return words.allow_microphone;
  if (call) return call.isMuted ? words.muted : !call.hasMicrophone ? words.no_microphone : latest && !latest.listens ? words.no_ear : words.listens;
  if (isElsewhere()) return words.elsewhere;
  return problem ? words[problem] : howItEnded(words);
}

function howItEnded(words) {
  const reason = (latest && latest.reason) || ended;
  if (!reason) return words.call_hint;
  const told = known && OVER.has(known.state) && known.end_reason;
  return words.call_ended[told] || words.call_ended[reason] || words.call_ended.other;
}

// The phone's head: how far the call is, how long it lasts and what it has cost by now.
function showHead(words) {
  const live = known && known.live, rings = isDialling || (latest && latest.state === "ringing");
  byId("call").parentElement.dataset.call = rings ? "ringing" : live ? live.state : "";
  tell("presence", rings ? words.ringing : live ? words.doing[live.state] || words.doing.other : call || isElsewhere() ? words.connected : words.hung_up);
  byId("clock").hidden = byId("call-cost").hidden = !live || rings;
  if (!live) return;
  byId("clock").textContent = clock(live.seconds);
  byId("call-cost").textContent = amount(spentOn(known), 2);
  byId("call-cost").title = words.call_meter;
}

function openKeypad(isOpen) {
  byId("keypad").hidden = !isOpen;
  byId("keys").setAttribute("aria-expanded", String(isOpen));
}

function makeKeypad() {
  byId("keypad").setAttribute("aria-label", WORDS[language].keys);
  if (byId("keypad").children.length) return;
  byId("keypad").append(...[...KEYS].map((key) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = key;
    button.addEventListener("click", () => press(key));
    return button;
  }));
}

const spentOn = (one) => (one.live ? one.live.charged_millicredits + one.live.unsettled_millicredits : one.charged_millicredits);

// Beside the call: what it costs by now, and what that is made of.
export function showCallMeter({ owner, chat }, wanted) {
  [language, latest, known] = [wanted, chat.call, owner && owner.call];
  const words = WORDS[language], spent = known ? spentOn(known) : 0, figures = known && (known.live || known);
  byId("window-title").textContent = words.call_meter;
  byId("window").textContent = amount(spent, known && known.live ? 2 : 3);
  byId("window").dataset.millicredits = spent;
  if (!figures) { byId("window-note").textContent = words.call_none; return; }
  const parts = [[words.units.call_minute, figures.minutes_charged], [words.heard_tokens, figures.input_tokens], [words.spoken_tokens, figures.output_tokens]];
  const list = document.createElement("span");
  list.className = "parts";
  list.append(...parts.map(([names, number]) => {
    const part = document.createElement("span"), value = document.createElement("b");
    value.textContent = whole(number);
    part.append(value, " ", names[number === 1 ? 0 : 1]);
    return part;
  }));
  byId("window-note").replaceChildren(list);
}

// What became of the call: [step, moment if known, "done" | "now" | "bad" | ""].
export function callSteps({ owner }, wanted) {
  const words = WORDS[wanted].call_steps, one = owner && owner.call;
  if (!one) return [words.rang, words.held, words.talking, words.charge, words.over].map((word) => [word, null, ""]);
  if (one.state === "declined") return [[words.rang, one.offered_at, "done"], [words.declined[one.end_reason] || words.declined.other, null, "bad"]];
  const isOver = Boolean(one.ended_at), started = one.stream_started_at;
  return [
    [words.rang, one.offered_at, "done"],
    [words.held, null, started || !isOver ? "done" : ""],
    [words.talking, started, started ? "done" : isOver ? "" : "now"],
    [one.minutes_charged ? fill(words.charged, { amount: amount(one.charged_millicredits) }) : words.charge, null, one.minutes_charged ? "done" : ""],
    [isOver ? words.over : words.open, one.ended_at, isOver ? "done" : started ? "now" : ""],
  ];
}

export function showCall(state, wanted, how) {
  [language, post, latest, known] = [wanted, how, state && state.chat.call, state && state.owner && state.owner.call];
  if (call && latest && TALKING.has(latest.state)) ownSid = latest.sid;
  makeKeypad();
  show();
}

byId("dial").addEventListener("click", dial);
byId("mute").addEventListener("click", () => { if (call) { call.isMuted = !call.isMuted; show(); } });
byId("keys").addEventListener("click", () => {
  openKeypad(byId("keypad").hidden);
  if (!byId("keypad").hidden) byId("keypad").firstChild.focus();
  show();
});
byId("keypad").addEventListener("keydown", (event) => {
  if (event.key === "Escape") { openKeypad(false); byId("keys").focus(); show(); }
  if (KEYS.includes(event.key) && event.key.length === 1) press(event.key);
});

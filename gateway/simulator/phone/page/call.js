// A phone call as the page shows it: the buttons, what was said, and the meter that runs while one talks.
import { place } from "./microphone.js";
import { WORDS, fill } from "./words.js";

const byId = (id) => document.getElementById(id);
const KEYS = "123456789*0#";
const TALKING = new Set(["ringing", "in-progress"]);
let call = null, language = "de", post = null, latest = null, isDialling = false;

const amount = (millicredits, digits = 2) => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: 3 }).format(millicredits / 1000);
const whole = (number) => new Intl.NumberFormat(language).format(number);
const two = (value) => String(value).padStart(2, "0");
const clock = (seconds) => `${two(Math.floor(seconds / 60))}:${two(Math.floor(seconds) % 60)}`;
const isTalking = () => Boolean(call) || isDialling;

// What was said in this call, as bubbles: the caller's words and what the caller really heard.
export function spokenBubbles({ owner, chat }) {
  const known = owner && owner.call;
  const said = known ? owner.messages.filter((one) => one.call_id === known.id) : [];
  const bubbles = said.map((one) => ({ id: one.id, mine: one.direction === "in", kind: one.interrupted ? "speech cut" : "speech", text: one.text, at: Date.parse(one.created_at) / 1000 }));
  const own = chat.call.said.map((text, at) => ({ id: `${chat.call.sid}-${at}`, mine: false, kind: "carrier", text, at: Date.now() / 1000 }));
  return [...bubbles, ...own];
}

export async function sayCall(text) {
  if (isTalking()) await post("/write", { kind: "text", text, channel: "voice" });
}

export function endCall() {
  if (call) call.hangUp();
}

async function dial() {
  if (call) { call.hangUp(); return; }
  if (isDialling) return;
  isDialling = true;
  showButtons();
  try {
    call = await place(() => { call = null; showButtons(); });
    window.telephone = call; // what a test looks at
  } catch { byId("call-note").textContent = WORDS[language].done.error; }
  isDialling = false;
  showButtons();
}

function showButtons() {
  const words = WORDS[language], button = byId("dial");
  button.classList.toggle("hang-up", isTalking());
  button.title = isTalking() ? words.hang_up : words.call;
  button.setAttribute("aria-label", button.title);
  for (const name of ["mute", "keys"]) byId(name).disabled = !isTalking();
  byId("mute").setAttribute("aria-pressed", String(Boolean(call && call.isMuted)));
  byId("quick").classList.toggle("idle", !isTalking());
  if (!isTalking()) { byId("keypad").hidden = true; byId("keys").setAttribute("aria-expanded", "false"); }
  byId("call-note").textContent = noteOf(words);
}

function noteOf(words) {
  if (!isTalking()) return latest && latest.reason ? words.call_ended[latest.reason] || words.call_ended.other : words.call_hint;
  if (call && !call.hasMicrophone) return words.no_microphone;
  return latest && !latest.listens ? words.no_ear : words.listens;
}

function makeKeypad() {
  byId("keypad").setAttribute("aria-label", WORDS[language].keys);
  if (byId("keypad").children.length) return;
  byId("keypad").append(...[...KEYS].map((key) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = key;
    button.addEventListener("click", () => post("/write", { kind: "keys", text: key, channel: "voice" }).catch(() => {}));
    return button;
  }));
}

// The head's second line: how far the call is.
export function presenceOf({ owner, chat }, wanted) {
  const words = WORDS[wanted], known = owner && owner.call, live = known && known.live;
  if (chat.call.state === "ringing") return words.ringing;
  if (live) return `${clock(live.seconds)} · ${words.doing[live.state] || words.doing.other}`;
  return TALKING.has(chat.call.state) ? words.connected : words.hung_up;
}

// Beside the call: what it costs by now, and what that is made of.
export function showCallMeter({ owner, chat }, wanted) {
  language = wanted;
  const words = WORDS[language], known = owner && owner.call, live = known && known.live;
  const spent = live ? live.charged_millicredits + live.unsettled_millicredits : known ? known.charged_millicredits : 0;
  byId("window-title").textContent = words.call_meter;
  byId("window").textContent = amount(spent);
  byId("window").dataset.millicredits = spent;
  const figures = live || known;
  byId("window-note").textContent = figures
    ? fill(words.call_figures, { minutes: whole(figures.minutes_charged), heard: whole(figures.input_tokens), spoken: whole(figures.output_tokens) })
    : words.call_none;
  latest = chat.call;
}

// What became of the call: [step, moment if known, "done" | "now" | "bad" | ""].
export function callSteps({ owner, chat }, wanted) {
  const words = WORDS[wanted].call_steps, known = owner && owner.call;
  if (!known) return [words.rang, words.held, words.talking, words.charge, words.over].map((word) => [word, null, ""]);
  const isOver = Boolean(known.ended_at), started = known.stream_started_at;
  return [
    [words.rang, known.offered_at, "done"],
    [words.held, null, started || !isOver ? "done" : ""],
    [words.talking, started, started ? "done" : isOver ? "" : "now"],
    [fill(words.charged, { amount: amount(known.charged_millicredits) }), null, known.minutes_charged ? "done" : ""],
    [isOver ? words.over : words.open, known.ended_at, isOver ? "done" : started ? "now" : ""],
  ];
}

export function showCall(state, wanted, how) {
  language = wanted;
  post = how;
  latest = state ? state.chat.call : null;
  makeKeypad();
  showButtons();
}

byId("dial").addEventListener("click", dial);
byId("mute").addEventListener("click", () => { if (call) { call.isMuted = !call.isMuted; showButtons(); } });
byId("keys").addEventListener("click", () => {
  byId("keypad").hidden = !byId("keypad").hidden;
  byId("keys").setAttribute("aria-expanded", String(!byId("keypad").hidden));
});

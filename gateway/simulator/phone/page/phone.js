// The customer's side: one stream of what is so, everything else is drawn from it.
import { WORDS } from "./words.js";
import { showMeter, showWindow } from "./meter.js";
import { costOf, showCounter } from "./sms.js";
import { endCall, sayCall, showCall, spokenBubbles } from "./call.js";

const byId = (id) => document.getElementById(id);
const EMOJIS = ["😊", "👍", "🙏", "❤️", "😂", "🎉", "✂️", "💇", "💇‍♂️", "💈", "🐶", "☕"];
const SVG = "http://www.w3.org/2000/svg";
let language = localStorage.getItem("language") === "en" ? "en" : "de";
let channel = ["sms", "voice"].find((name) => name === localStorage.getItem("channel")) || "whatsapp";
let state = null, stream = null;
const REACTIONS = ["👍", "❤️", "😂", "🙏"];
const drawn = new Map(); // the bubbles on the screen, by id: they stay, so that only new ones move and are read out

const post = async (path, body) => {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(path);
  return answer;
};

function svg(name, viewBox, path) {
  const drawing = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "path");
  drawing.setAttribute("class", name);
  drawing.setAttribute("viewBox", viewBox);
  drawing.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  drawing.append(line);
  return drawing;
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

// WhatsApp's own markup: *bold*, _italic_, ~struck~.
function marked(text) {
  const whole = document.createDocumentFragment();
  for (const part of text.split(/(\*[^*\n]+\*|(?<!\w)_[^_\n]+_(?!\w)|~[^~\n]+~)/)) {
    const tag = { "*": "strong", _: "em", "~": "s" }[part[0]];
    if (tag && part.length > 2 && part.at(-1) === part[0]) whole.append(element(tag, "", part.slice(1, -1)));
    else whole.append(part);
  }
  return whole;
}

function ticks(one) {
  return svg(`ticks ${one.ticks}`, "0 0 17 11", one.ticks === "sent" ? "m4 6 3 3 6-7" : "m1 6 3 3 6-7M8 8l1 1 6-7");
}

function voiceNote(text) {
  const note = element("div", "note-voice");
  const wave = svg("", "0 0 132 26", "M3 13v0M11 8v10M19 4v18M27 9v8M35 11v4M43 5v16M51 2v22M59 8v10M67 10v6M75 4v18M83 7v12M91 11v4M99 6v14M107 9v8M115 11v4M123 13v0");
  note.append(element("span", "play"), wave, "0:04");
  return [note, element("span", "heard", text)];
}

function reacting(one) {
  const open = element("button", "react", "☺"), choice = element("span", "choice");
  open.type = "button";
  open.title = WORDS[language].react;
  open.setAttribute("aria-label", open.title);
  open.setAttribute("aria-expanded", "false");
  choice.hidden = true;
  const toggle = (isOpen) => { choice.hidden = !isOpen; open.setAttribute("aria-expanded", String(isOpen)); };
  open.addEventListener("click", () => toggle(choice.hidden));
  choice.append(...REACTIONS.map((emoji) => {
    const button = element("button", "", emoji);
    button.type = "button";
    button.addEventListener("click", async () => { toggle(false); open.focus(); await post("/react", { id: one.id, emoji }).catch(() => tell("error")); });
    return button;
  }));
  return [open, choice];
}

// A text by SMS is plain: no markup, no ticks, no reactions, but a price.
function smsBubble(one, at) {
  const li = element("li", one.mine ? "bubble sms mine" : `bubble ${one.kind}`), foot = element("div", "foot");
  foot.append(element("span", "cost", costOf(one, language)), at);
  li.append(element("span", "text", one.text), foot);
  return li;
}

// What was said in a call is plain as well, and has no price of its own.
function spokenBubble(one, at) {
  const li = element("li", one.mine ? "bubble speech mine" : `bubble ${one.kind}`), foot = element("div", "foot"), words = WORDS[language];
  const note = one.kind === "carrier" ? words.by_twilio_voice : one.kind.includes("cut") ? words.cut : "";
  foot.append(element("span", "cost", note), at);
  li.append(element("span", "text", one.text), foot);
  return li;
}

function bubble(one) {
  const at = element("time", "", new Date(one.at * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
  if (channel === "voice") return spokenBubble(one, at);
  if (one.kind === "sms" || one.kind === "carrier") return smsBubble(one, at);
  const li = element("li", one.mine ? "bubble mine" : "bubble");
  if (one.kind === "image") {
    const picture = element("img");
    picture.src = "/picture.png";
    picture.alt = WORDS[language].picture;
    li.append(picture);
  }
  if (one.kind === "voice") li.append(...voiceNote(one.text));
  else li.append(marked(one.text));
  if (one.mine) at.append(ticks(one));
  li.append(at);
  if (!one.mine) li.append(...reacting(one));
  return li;
}

function kept(one) {
  if (!drawn.has(one.id)) drawn.set(one.id, bubble(one));
  const li = drawn.get(one.id), old = li.querySelector(".ticks"), given = li.querySelector(".given");
  if (old && !old.classList.contains(one.ticks)) old.replaceWith(ticks(one));
  if ((given ? given.textContent : "") !== (one.reaction || "")) {
    if (given) given.remove();
    if (one.reaction) li.append(element("span", "given", one.reaction));
    li.classList.toggle("reacted", Boolean(one.reaction));
  }
  return li;
}

const day = element("li", "day"), empty = element("li", "empty"), dots = element("li", "typing");
dots.append(element("i"), element("i"), element("i"));
dots.setAttribute("aria-hidden", "true");

function showChat() {
  const words = WORDS[language], { typing } = state.chat, chat = byId("chat");
  const bubbles = channel === "voice" ? spokenBubbles(state) : state.chat.bubbles;
  if (channel !== "voice") byId("presence").textContent = typing ? words.typing : channel === "sms" ? state.salon_number : words.online;
  if (bubbles.length) day.textContent = new Date(bubbles[0].at * 1000).toDateString() === new Date().toDateString() ? words.today : words.yesterday;
  empty.textContent = channel === "voice" ? words.empty_call : words.empty;
  const items = bubbles.length ? [day, ...bubbles.map(kept)] : [empty];
  if (typing) items.push(dots);
  let hasNew = false;
  items.forEach((item, at) => {
    if (chat.children[at] === item) return;
    chat.insertBefore(item, chat.children[at] || null);
    hasNew = true;
  });
  while (chat.children.length > items.length) chat.lastChild.remove();
  if (hasNew) chat.scrollTop = chat.scrollHeight;
}

function show() {
  if (!state) return;
  const words = WORDS[language];
  byId("salon").textContent = state.salon;
  byId("customer").textContent = `${state.customer.name}, ${state.customer.number}`;
  byId("model").textContent = state.offline ? words.offline : state.model;
  byId("model").classList.toggle("offline", state.offline);
  const isCall = channel === "voice";
  document.querySelector("[data-act=repeat]").disabled = isCall ? !["completed", "failed"].includes(state.chat.call.state) : !state.chat.bubbles.some((one) => one.mine);
  showChat();
  if (isCall) showCall(state, language, post);
  showMeter(state, language);
}

function tell(name) { byId("said").textContent = WORDS[language].done[name]; }

async function write(kind, text) {
  try { await post("/write", { kind, text, channel }); } catch { tell("error"); }
}

async function writeTyped(kind) {
  const field = byId("text"), text = field.value.trim();
  if (!text && kind !== "image") { field.focus(); return; }
  field.value = "";
  field.style.height = "";
  count();
  await write(kind, text);
  field.focus();
}

const count = () => showCounter(channel === "sms", byId("text").value, language, post);

// Look at one channel's chat: what is drawn is of that channel alone.
function listen() {
  const isSms = channel === "sms", isCall = channel === "voice";
  if (!isCall) endCall();
  localStorage.setItem("channel", channel);
  document.body.dataset.channel = channel;
  document.querySelector(".phone").setAttribute("aria-label", isCall ? WORDS[language].phone : isSms ? "SMS" : "WhatsApp");
  for (const one of document.querySelectorAll("button[data-channel]")) one.setAttribute("aria-pressed", String(one.dataset.channel === channel));
  byId("form").hidden = isCall;
  byId("call").hidden = !isCall;
  delete document.querySelector(".screen").dataset.call;
  byId("clock").hidden = byId("call-cost").hidden = true;
  for (const one of [byId("image"), byId("voice"), document.querySelector("[data-act=late]")]) one.hidden = isSms || isCall;
  byId("text").maxLength = isSms ? 1600 : 4096;
  if (stream) stream.close();
  state = null;
  stream = new EventSource(`/events?channel=${channel}`);
  stream.addEventListener("message", (event) => { state = JSON.parse(event.data); show(); });
  speak();
}

function speak() {
  const words = WORDS[language];
  document.documentElement.lang = language;
  localStorage.setItem("language", language);
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = (channel === "voice" && words.in_call[one.dataset.word]) || words[one.dataset.word];
  for (const one of document.querySelectorAll("[data-title]")) { one.title = words[one.dataset.title]; one.setAttribute("aria-label", one.title); }
  for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", String(one.dataset.language === language));
  byId("text").placeholder = words.message;
  byId("text").setAttribute("aria-label", words.message);
  byId("said").textContent = "";
  drawn.clear();
  count();
  byId("quick").replaceChildren(...({ sms: words.quick_sms, voice: words.quick_call }[channel] || words.quick).map((text) => {
    const button = element("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => (channel === "voice" ? sayCall(text).catch(() => tell("error")) : write("text", text)));
    return button;
  }));
  if (channel === "voice") showCall(state, language, post);
  show();
}

byId("form").addEventListener("submit", (event) => { event.preventDefault(); writeTyped("text"); });
byId("voice").addEventListener("click", () => writeTyped("voice"));
byId("image").addEventListener("click", () => writeTyped("image"));
byId("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); writeTyped("text"); }
});
byId("text").addEventListener("input", ({ target }) => { target.style.height = "auto"; target.style.height = `${target.scrollHeight + 2}px`; count(); });
byId("emoji").addEventListener("click", () => {
  byId("emojis").hidden = !byId("emojis").hidden;
  byId("emoji").setAttribute("aria-expanded", String(!byId("emojis").hidden));
});
byId("emojis").append(...EMOJIS.map((emoji) => {
  const button = element("button", "", emoji);
  button.type = "button";
  button.addEventListener("click", () => { byId("text").value += emoji; byId("text").focus(); count(); });
  return button;
}));
for (const button of document.querySelectorAll("[data-language]")) button.addEventListener("click", () => { language = button.dataset.language; speak(); });
for (const button of document.querySelectorAll("button[data-channel]")) button.addEventListener("click", () => { channel = button.dataset.channel; listen(); });
for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", async () => {
    const name = button.dataset.act;
    if (name === "customer") endCall(); // who holds the phone now has called nobody
    try { await post(`/act/${name}`, { channel }); tell(name === "repeat" && channel === "voice" ? "repeat_call" : name); } catch { tell("error"); }
  });
}
addEventListener("resize", () => { byId("chat").scrollTop = byId("chat").scrollHeight; });
setInterval(() => state && showWindow(state, language), 1000);
listen();

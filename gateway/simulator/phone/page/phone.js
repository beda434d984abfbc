// The customer's side: one stream of what is so, everything else is drawn from it.
import { WORDS } from "./words.js";
import { showMeter, showWindow } from "./meter.js";

const byId = (id) => document.getElementById(id);
const EMOJIS = ["😊", "👍", "🙏", "❤️", "😂", "🎉", "✂️", "💇", "💇‍♂️", "💈", "🐶", "☕"];
const SVG = "http://www.w3.org/2000/svg";
let language = localStorage.getItem("language") === "en" ? "en" : "de";
let state = null;
let drawn = "";
const seen = new Set(); // what is on the screen already does not move again

const post = async (path, body) => {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(path);
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

function bubble(one) {
  const li = element("li", `bubble${one.mine ? " mine" : ""}${seen.has(one.id) ? "" : " new"}`);
  seen.add(one.id);
  if (one.kind === "image") {
    const picture = element("img");
    picture.src = "/picture.png";
    picture.alt = WORDS[language].send_image;
    li.append(picture);
  }
  if (one.kind === "voice") {
    const note = element("div", "note-voice");
    note.append(element("span", "play"), svg("", "0 0 132 26", "M3 13v0M11 8v10M19 4v18M27 9v8M35 11v4M43 5v16M51 2v22M59 8v10M67 10v6M75 4v18M83 7v12M91 11v4M99 6v14M107 9v8M115 11v4M123 13v0"), "0:04");
    li.append(note, element("span", "heard", one.text));
  } else li.append(marked(one.text));
  const at = element("time", "", new Date(one.at * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
  if (one.mine) at.append(svg(`ticks ${one.ticks}`, "0 0 17 11", one.ticks === "sent" ? "m4 6 3 3 6-7" : "m1 6 3 3 6-7M8 8l1 1 6-7"));
  li.append(at);
  return li;
}

function showChat() {
  const words = WORDS[language], { bubbles, typing } = state.chat, chat = byId("chat");
  byId("presence").textContent = typing ? words.typing : words.online;
  const now = JSON.stringify([state.chat, language]);
  if (now === drawn) return;
  drawn = now;
  const items = bubbles.length ? [element("li", "day", words.today), ...bubbles.map(bubble)] : [element("li", "empty", words.empty)];
  if (typing) {
    const dots = element("li", "typing");
    dots.append(element("i"), element("i"), element("i"));
    items.push(dots);
  }
  chat.replaceChildren(...items);
  chat.scrollTop = chat.scrollHeight;
}

function show() {
  if (!state) return;
  const words = WORDS[language];
  byId("salon").textContent = state.salon;
  byId("customer").textContent = `${state.customer.name}, ${state.customer.number}`;
  byId("model").textContent = state.offline ? words.offline : state.model;
  byId("model").classList.toggle("offline", state.offline);
  showChat();
  showMeter(state.owner, language);
}

async function write(kind, text) {
  try { await post("/write", { kind, text }); } catch { byId("said").textContent = WORDS[language].done.error; }
}

async function writeTyped(kind) {
  const field = byId("text"), text = field.value.trim();
  if (!text && kind !== "image") { field.focus(); return; }
  field.value = "";
  field.style.height = "";
  await write(kind, text);
  field.focus();
}

function speak() {
  const words = WORDS[language];
  document.documentElement.lang = language;
  localStorage.setItem("language", language);
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = words[one.dataset.word];
  for (const one of document.querySelectorAll("[data-title]")) { one.title = words[one.dataset.title]; one.setAttribute("aria-label", one.title); }
  for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", String(one.dataset.language === language));
  byId("text").placeholder = words.message;
  byId("text").setAttribute("aria-label", words.message);
  byId("said").textContent = "";
  byId("quick").replaceChildren(...words.quick.map((text) => {
    const button = element("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => write("text", text));
    return button;
  }));
  show();
}

byId("form").addEventListener("submit", (event) => { event.preventDefault(); writeTyped("text"); });
byId("voice").addEventListener("click", () => writeTyped("voice"));
byId("image").addEventListener("click", () => writeTyped("image"));
byId("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); writeTyped("text"); }
});
byId("text").addEventListener("input", ({ target }) => { target.style.height = "auto"; target.style.height = `${target.scrollHeight + 2}px`; });
byId("emoji").addEventListener("click", () => {
  byId("emojis").hidden = !byId("emojis").hidden;
  byId("emoji").setAttribute("aria-expanded", String(!byId("emojis").hidden));
});
byId("emojis").append(...EMOJIS.map((emoji) => {
  const button = element("button", "", emoji);
  button.type = "button";
  button.addEventListener("click", () => { byId("text").value += emoji; byId("text").focus(); });
  return button;
}));
for (const button of document.querySelectorAll("[data-language]")) button.addEventListener("click", () => { language = button.dataset.language; speak(); });
for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", async () => {
    const name = button.dataset.act;
    try { await post(`/act/${name}`, {}); byId("said").textContent = WORDS[language].done[name]; } catch { byId("said").textContent = WORDS[language].done.error; }
  });
}
new EventSource("/events").addEventListener("message", (event) => { state = JSON.parse(event.data); show(); });
addEventListener("resize", () => { byId("chat").scrollTop = byId("chat").scrollHeight; });
setInterval(() => state && showWindow(state.owner, language), 1000);
speak();

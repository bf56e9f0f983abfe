// One page of the chat. It shows what the server sends, word for word and never as markup.

const element = (id) => document.getElementById(id);
const KEPT = 500; // lines on the screen
const DELAYS = [1, 2, 4, 8]; // seconds until the next attempt to connect, the last one for ever

let socket = null;
let place = null; // {name, room} while the person wants to be in a room
let me = null;
let attempts = 0;
let retry = 0;

function connect() {
  clearTimeout(retry);
  const { name, room } = place;
  const url = new URL(`/rooms/${encodeURIComponent(room)}?${new URLSearchParams({ name })}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const opened = new WebSocket(url);
  socket = opened;
  let refusal = null;
  opened.onmessage = ({ data }) => {
    if (opened !== socket) return;
    const message = JSON.parse(data);
    if (message.type === "error" && !me) refusal = message.reason;
    else show(message);
  };
  opened.onclose = ({ code }) => {
    if (opened !== socket) return;
    if (code === 1008) leave(refusal);
    else comeBack(refusal);
  };
}

function comeBack(reason) {
  if (!me && attempts === 0) return leave(reason ?? "The server cannot be reached.");
  const delay = DELAYS[Math.min(attempts, DELAYS.length - 1)];
  attempts += 1;
  me = null;
  setState("connecting", "Connection lost. Trying again …");
  retry = setTimeout(connect, delay * 1000);
}

function show(message) {
  switch (message.type) {
    case "welcome": return enter(message);
    case "chat.joined": return addEvent(message, "joined");
    case "chat.left": return addEvent(message, "left");
    case "chat.said": return addSaid(message);
    case "error": return showError("error", message.reason);
  }
}

function enter({ person, name, room }) {
  me = person;
  attempts = 0;
  element("title").textContent = room;
  document.title = `${room} · Online chat`;
  element("door").hidden = true;
  element("inside").hidden = false;
  setState("connected", `You are here as ${name}`);
  showError("error", null);
  element("text").focus();
}

function leave(reason = null) {
  const left = socket;
  socket = null;
  place = null;
  me = null;
  attempts = 0;
  clearTimeout(retry);
  left?.close(1000);
  document.title = "Online chat";
  element("log").replaceChildren();
  element("inside").hidden = true;
  element("door").hidden = false;
  showError("door-error", reason);
  element("name").focus();
}

function say(text) {
  if (!me || socket.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify({ say: text }));
  showError("error", null);
  return true;
}

function addEvent({ person, name }, what) {
  add("event", `${person === me ? "You" : name} ${what}`);
}

function addSaid({ person, name, text, at }) {
  const line = add(person === me ? "said own" : "said");
  const by = part("div", "by");
  const time = part("time", "", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = at;
  by.append(part("b", "", name), time);
  line.append(by, part("div", "text", text));
  scroll();
}

function add(kind, text = "") {
  const line = part("li", kind, text);
  const log = element("log");
  log.append(line);
  while (log.children.length > KEPT) log.firstChild.remove();
  scroll();
  return line;
}

function part(tag, kind, text = "") {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

function scroll() {
  const log = element("log");
  log.scrollTop = log.scrollHeight;
}

function setState(state, text) {
  element("inside").dataset.state = state;
  element("status-text").textContent = text;
  element("say").querySelector("button").disabled = state !== "connected";
}

function showError(id, reason) {
  element(id).textContent = reason ?? "";
  element(id).hidden = !reason;
  scroll();
}

function join(name, room) {
  place = { name: name.trim(), room: room.trim().toLowerCase() };
  showError("door-error", null);
  connect();
}

element("join").addEventListener("submit", (event) => {
  event.preventDefault();
  join(element("name").value, element("room").value);
});

element("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (say(element("text").value)) element("text").value = "";
});

element("leave").addEventListener("click", () => leave());

// A link may name the room, and who comes: /?room=lobby&name=Ada
const asked = new URLSearchParams(location.search);
if (asked.get("room")) element("room").value = asked.get("room");
if (asked.get("name")) element("name").value = asked.get("name");
if (asked.get("room") && asked.get("name")) join(asked.get("name"), asked.get("room"));
else element("name").focus();

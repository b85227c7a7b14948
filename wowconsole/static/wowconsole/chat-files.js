// Files: uploaded as soon as they are chosen, sent with the next message.

import { $, button, failure, fill, make, words } from "./chat-words.js";

let session = null; // of whom the files are: {id, token}
let chosen = []; // {id, name, …} of what was uploaded and not sent yet

export function use(current) {
  if (session && current?.id !== session.id) take(); // another chat may not have them
  session = current;
}

// The address of a file as this customer may fetch it.
function address(url) {
  const full = new URL(url, location.href);
  if (session) full.searchParams.set("token", session.token);
  return full.href;
}

export function fileList(files) {
  const list = make("div", "sent-files");
  list.append(...files.map((file) => shown(file)));
  return list;
}

function shown(file) {
  if (!file.url) return make("span", "file", file.name);
  if (file.kind === "voice") {
    const player = make("audio");
    player.controls = true;
    player.preload = "none";
    player.src = address(file.url);
    player.setAttribute("aria-label", words.voice);
    return player;
  }
  const link = make("a", file.thumbnail ? "picture" : "file");
  link.href = address(file.url);
  link.target = "_blank";
  link.rel = "noopener";
  if (!file.thumbnail) {
    link.append(make("span", "name", file.name), make("span", "size", sizeOf(file.bytes)));
    return link;
  }
  const picture = make("img");
  picture.src = address(file.thumbnail);
  picture.alt = file.description || file.name;
  link.append(picture);
  return link;
}

const sizeOf = (bytes) =>
  (bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

export const ready = () => chosen.length > 0;

// Give what was chosen to the message that takes it along.
export function take() {
  const files = chosen;
  chosen = [];
  render();
  return files;
}

// Take back the files of a message that was refused.
export function giveBack(files) {
  chosen.push(...files);
  render();
}

function render() {
  $("files").replaceChildren(...chosen.map((file) => {
    const item = make("li", "", file.name);
    const remove = button("", "×", () => {
      chosen = chosen.filter((other) => other !== file);
      render();
      $("text").focus();
    });
    remove.setAttribute("aria-label", fill(words.remove, file));
    item.append(remove);
    return item;
  }));
}

// Files are chosen, pasted or dropped. The first one opens the session; `tell` hears how it
// goes: what is being done, and what was refused.
export function wire(asked, tell) {
  const attach = (list) => list.length && uploadAll([...list], asked, tell);
  $("attach").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", async () => {
    await attach($("file").files);
    $("file").value = "";
  });
  $("text").addEventListener("paste", (event) => attach(event.clipboardData.files));
  $("chat").addEventListener("dragover", (event) => event.preventDefault());
  $("chat").addEventListener("drop", (event) => {
    event.preventDefault();
    attach(event.dataTransfer.files);
  });
}

async function uploadAll(list, asked, tell) {
  tell(words.uploading, "");
  await asked.ensure();
  for (const file of asked.current ? list : []) {
    const stored = await upload(file, asked.address);
    if (stored?.id) chosen.push(stored);
    else tell(words.uploading, `${file.name}: ${stored?.detail ? failure(stored) : words.upload_failed}`);
    render();
  }
  tell("", "");
  $("text").focus();
}

// Return what the server says of the file: its id, or what is wrong with it.
async function upload(file, sessions) {
  const body = new FormData();
  body.append("file", file);
  const answer = await fetch(`${sessions}${session.id}/attachments/`, {
    method: "POST",
    headers: { Authorization: `Bearer ${session.token}` },
    body,
  }).catch(() => null);
  return answer?.json().catch(() => null);
}

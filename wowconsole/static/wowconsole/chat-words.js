// The page's words, in the language that the server chose, and small things to make elements.

export const words = JSON.parse(document.getElementById("words").textContent);
export const language = document.documentElement.lang;

export const $ = (id) => document.getElementById(id);

export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// A program's name as people read it: "order_id" is "Order id".
export const readable = (name) =>
  name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function button(className, text, press) {
  const element = make("button", className, text);
  element.type = "button";
  element.addEventListener("click", press);
  return element;
}

// What the server says of a failure: in the page's words where it has some, or as it came.
export function failure({ code, detail }) {
  const [number] = detail?.match(/\d+/) || [];
  return fill(words.errors[code] || detail || words.failed, { number });
}

// Whether a text of the server can be read by whom the page speaks to.
export const isOurs = (text) => Boolean(text) && (language === "en" || /[\u4e00-\u9fff]/.test(text));

// Whether a key belongs to a word that is being composed; Safari says 229 of the one that ends it.
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

// randomUUID is for secure pages only; a phone may try a console by its plain address.
export const identifier = () => crypto.randomUUID?.()
  ?? [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");

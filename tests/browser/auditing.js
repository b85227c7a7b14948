// What breaks WCAG 2.2 AA on this page and a rule can see, as sentences; an empty list is good.
// Colours are asked of a canvas, which understands every notation that a style may hold.
async (theme) => {
  document.documentElement.dataset.bsTheme = theme;
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  await frame().then(frame);
  await Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null)));
  const found = [];
  const say = (what, element) => {
    found.push(`${what}: ${element.outerHTML.replace(/\s+/g, " ").slice(0, 120)}`);
  };
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && element.getClientRects().length > 0;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary";

  // Names
  const textOf = (element) => element.textContent.trim();
  const byIds = (element, name) => (element.getAttribute(name) || "").split(/\s+/).filter(Boolean)
    .map((id) => document.getElementById(id));
  const isNamed = (element) => element.getAttribute("aria-label")
    || byIds(element, "aria-labelledby").some((other) => other && textOf(other))
    || [...(element.labels || [])].some(textOf)
    || (element.matches("a, button, summary") && (textOf(element) || element.title));
  all(CONTROLS).filter((element) => !isNamed(element)).forEach((element) => say("no name", element));
  all("img:not([alt])").forEach((image) => say("no alt", image));
  document.querySelectorAll("[aria-labelledby], [aria-describedby], [aria-controls]").forEach((element) => {
    const named = ["aria-labelledby", "aria-describedby", "aria-controls"];
    if (named.some((name) => byIds(element, name).includes(null))) say("refers to nothing", element);
  });
  document.querySelectorAll("label[for]").forEach((label) => label.control || say("labels nothing", label));
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  ids.filter((id, place) => ids.indexOf(id) !== place).forEach((id) => found.push(`id twice: ${id}`));

  // Structure
  const headings = all("h1, h2, h3, h4, h5, h6");
  if (headings.filter((heading) => heading.matches("h1")).length !== 1) found.push("not one h1");
  headings.forEach((heading, place) => {
    const before = place ? Number(headings[place - 1].tagName[1]) : 0;
    if (Number(heading.tagName[1]) > before + 1) say("skips a level", heading);
  });
  if (all("main").length !== 1) found.push("not one main");
  if (!document.documentElement.lang || !document.title) found.push("no language or title");
  const labels = all("nav").map((nav) => nav.getAttribute("aria-label") || "");
  if (labels.includes("") || new Set(labels).size < labels.length) found.push(`navs: ${labels}`);
  const LANDMARKS = "main, nav, aside, header, [role=status], .skip-link, .progress-line, dialog";
  const outside = (element) => !element.closest(LANDMARKS) && [...element.childNodes].some(
    (node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  all("body *:not(script, style)").filter(outside).forEach((element) => say("in no landmark", element));
  const isList = (element) => element?.matches("ul, ol, menu") && ["list", null].includes(element.getAttribute("role"));
  all("li").filter((item) => !isList(item.parentElement)).forEach((item) => say("in no list", item));
  all("th:not([scope])").forEach((cell) => say("no scope", cell));
  document.querySelectorAll("[tabindex]").forEach((e) => e.tabIndex > 0 && say("own tab order", e));
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) found.push(`scrolls sideways: ${scrollWidth} of ${clientWidth} px`);

  // Contrast: 4.5, or 3 for large text (24 px, or 18.66 px and bold)
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const once = (work, known = new Map()) => (key) => {
    if (!known.has(key)) known.set(key, work(key));
    return known.get(key);
  };
  const rgba = once((colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
  });
  const over = (top, ground, opacity = 1) =>
    ground.map((part, place) => top[place] * top[3] * opacity + part * (1 - top[3] * opacity));
  const ground = once((element) => element
    ? over(rgba(getComputedStyle(element).backgroundColor), ground(element.parentElement)) : [1, 1, 1]);
  const opacity = once((element) => element
    ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1);
  const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const hasText = (element) => element.matches("input:not([type=checkbox], [type=radio]), select, textarea") || [...element.childNodes]
    .some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const isIdle = (element) => element.closest(":disabled, .disabled, svg, .visually-hidden, .skip-link");
  all("body *").filter((element) => hasText(element) && !isIdle(element)).forEach((element) => {
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const below = ground(element);
    const contrast = ratio(over(rgba(style.color), below, opacity(element)), below);
    const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (contrast < (isLarge ? 3 : 4.5)) say(`contrast ${contrast.toFixed(2)}`, element);
  });

  // Targets: 24 px each way, or as much room around their middle, or within a line of text
  const isInline = (element) => getComputedStyle(element).display === "inline"
    && textOf(element.parentElement).length > textOf(element).length;
  const reach = (element) => (element.labels?.[0]?.contains(element) ? element.labels[0] : element);
  const targets = [...new Set(all(CONTROLS).filter((element) => !element.closest(".skip-link")).map(reach))];
  const boxes = new Map(targets.map((element) => [element, element.getBoundingClientRect()]));
  const gap = (at, low, high) => Math.max(low - at, 0, at - high);
  const isSmall = (box) => box.width < 23.5 || box.height < 23.5;
  targets.filter((element) => isSmall(boxes.get(element)) && !isInline(element)).forEach((element) => {
    const box = boxes.get(element);
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    const isCrowded = targets.some((other) => {
      if (other === element || other.contains(element) || element.contains(other)) return false;
      const next = boxes.get(other);
      const apart = Math.hypot(gap(x, next.left, next.right), gap(y, next.top, next.bottom));
      return apart < (isSmall(next) && !isInline(other) ? 24 - Math.min(next.width, next.height) / 2 : 12);
    });
    if (isCrowded) say(`small target ${box.width.toFixed(0)} x ${box.height.toFixed(0)}`, element);
  });
  return found;
}

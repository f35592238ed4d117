"use strict";
// The theme: what the system says, until the button is pressed.
const root = document.documentElement;
const button = document.getElementById("theme");
const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
button.hidden = false;
button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; });

// Values under the pointer. The page is complete without them.
function element(name, parent, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
for (const canvas of document.querySelectorAll("[data-tips]")) {
  const [start, end, lines] = JSON.parse(canvas.dataset.tips);
  const cursor = element("div", canvas);
  const tip = element("div", canvas);
  cursor.className = "cursor";
  tip.className = "tip";
  cursor.hidden = tip.hidden = true;
  let shown = -1;
  const hide = () => { cursor.hidden = tip.hidden = true; shown = -1; };
  const show = (event) => {
    const box = canvas.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width - start) / (end - start);
    const index = Math.floor(place * lines.length);
    if (index < 0 || index >= lines.length) return hide();
    if (index === shown) return;
    shown = index;
    tip.textContent = "";
    const [first, ...rest] = lines[index];
    element("b", tip, first);
    for (const line of rest) element("div", tip, line);
    cursor.hidden = tip.hidden = false;
    const middle = Math.min(1, start + ((index + 0.5) / lines.length) * (end - start)) * box.width;
    cursor.style.left = `${middle}px`;
    const left = middle > box.width / 2 ? middle - tip.offsetWidth - 10 : middle + 10;
    tip.style.left = `${Math.max(-40, Math.min(left, box.width - tip.offsetWidth))}px`;
  };
  canvas.addEventListener("pointermove", show);
  canvas.addEventListener("pointerdown", show);
  canvas.addEventListener("pointerleave", hide);
}

// On paper everything is open.
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });

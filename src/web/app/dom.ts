/** Elements, made without a template and never from markup: whatever is put into them is text. */

type Value = string | number | boolean | null | undefined | ((event: never) => void);
/** Attributes by name; `class`, `text`, and listeners as `onclick`. `false`, null and undefined leave one out. */
export type Props = Record<string, Value>;
export type Child = Node | string | null | undefined | false;

/** Makes an element. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (name === "text") element.textContent = String(value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The element of that id in index.html. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`#${id} is not there`);
  return element;
}

/** Sets a text only where it differs, so that what reads the page aloud has nothing to repeat. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Puts `wanted` into `parent` in this order, moving only what is not in its place. */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  let at = parent.firstElementChild;
  for (const element of wanted) {
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  while (at !== null) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
}

/** Says something to those who can't see it. */
export function announce(text: string): void {
  byId("status").textContent = text;
}

/** A message that goes away when it is closed, or after a while unless it is an error. */
export function toast(text: string, kind: "done" | "error" = "done"): void {
  const close = h("button", { class: "quiet small", type: "button", "aria-label": "Close", text: "✕" });
  const element = h(
    "div",
    { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    h("p", { text }),
    close,
  );
  close.addEventListener("click", () => element.remove());
  const all = byId("toasts");
  all.append(element);
  while (all.childElementCount > 4) all.firstElementChild?.remove();
  if (kind === "done") setTimeout(() => element.remove(), 6_000);
}

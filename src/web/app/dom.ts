/** Helpers to create and update elements. Strings always become text, never markup. */

type Value = string | number | boolean | null | undefined | ((event: never) => void);
/** Attributes by name, the content as `text`, listeners as `onclick`. `false`, `null` and `undefined` are omitted. */
export type Props = Record<string, Value>;
export type Child = Node | string | null | undefined | false;

/** Creates an element. */
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

/** The element with this id, which index.html must contain. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`#${id} is not there`);
  return element;
}

/** Sets the text if it differs, so that screen readers do not repeat it. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes `elements` the children of `parent`, in this order, moving only those that are not in place. */
export function arrange(parent: Element, elements: readonly Element[]): void {
  let at = parent.firstElementChild;
  for (const element of elements) {
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  while (at !== null) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
}

/** Announces a text to screen readers. */
export function announce(text: string): void {
  byId("status").textContent = text;
}

/** Shows a message until it is closed; one that is not an error disappears after 6 seconds. At most 4 are shown. */
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

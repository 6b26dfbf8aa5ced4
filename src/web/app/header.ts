import { announce, h, setText } from "./dom.ts";
import { time } from "./format.ts";
import { icon } from "./icons.ts";
import { because } from "./store/headline.ts";
import type { Connection, Model } from "./store/model.ts";

/** The name of the thing. */
export function brand(): HTMLElement {
  return h("a", { class: "brand", href: "#/store" }, icon("other"), h("span", { text: "petstream" }));
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark now. */
export function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen === undefined ? dark.matches : chosen === "dark";
}

/** Calls `listener` when that changes; the function that this gives ends it. */
export function onTheme(listener: () => void): () => void {
  dark.addEventListener("change", listener);
  addEventListener("petstream:theme", listener);
  return () => {
    dark.removeEventListener("change", listener);
    removeEventListener("petstream:theme", listener);
  };
}

/** Turns light to dark and back. */
export function themeButton(): HTMLElement {
  const button = h("button", { class: "quiet square", type: "button" });
  const show = (): void => {
    const label = isDark() ? "Use the light theme" : "Use the dark theme";
    button.replaceChildren(icon(isDark() ? "sun" : "moon"));
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("petstream.theme", theme);
    } catch {
      // Then it holds until the page is left.
    }
    dispatchEvent(new Event("petstream:theme"));
    show();
  });
  dark.addEventListener("change", show);
  show();
  return button;
}

/** How long it is told that everything was read anew, milliseconds. */
const TOLD = 20_000;

interface Told {
  readonly tone: "good" | "busy" | "bad";
  readonly text: string;
  readonly title: string;
}

function told({ state, rereading, reread }: Connection, now: number): Told {
  const way = state.transport === "poll" ? " (polling)" : "";
  if (state.phase === "ended") return { tone: "bad", text: "Signed out", title: state.reason ?? "" };
  if (state.phase === "offline") return { tone: "bad", text: "Offline", title: "This device has no network." };
  if (state.phase === "reconnecting") {
    const left = state.until === undefined ? null : Math.max(0, Math.ceil((state.until - now) / 1_000));
    const text = left === null ? "Reconnecting…" : `Reconnecting in ${left} s`;
    return { tone: "bad", text, title: "The connection was lost. Press to try now." };
  }
  if (state.phase === "connecting") return { tone: "busy", text: `Connecting…${way}`, title: "" };
  if (rereading !== null) return { tone: "busy", text: "Reset, refetching…", title: because(rereading) };
  if (state.phase === "catching-up")
    return { tone: "busy", text: `Catching up…${way}`, title: "Reading what was missed." };
  if (reread !== null && now - reread.at < TOLD) {
    const title = `Read anew at ${time(reread.at)}: ${because(reread.reason)}.`;
    return { tone: "good", text: "Live · reset and refetched", title };
  }
  return { tone: "good", text: `Live${way}`, title: "Changes appear as they happen." };
}

/** How the connection is, in a word, always. The function that comes with it ends it. */
export function connectionBadge(model: Model): readonly [HTMLElement, () => void] {
  const text = h("span");
  const badge = h(
    "button",
    { class: "connection", type: "button", onclick: () => model.hurry() },
    h("i", { class: "dot" }),
    text,
  );
  let spoken = "";
  const show = (): void => {
    const { tone, text: words, title } = told(model.connection, Date.now());
    setText(text, words);
    badge.dataset.tone = tone;
    badge.dataset.phase = model.connection.state.phase;
    badge.title = title;
    badge.setAttribute("aria-label", `Connection: ${words}`);
    // Not every second of a countdown.
    const plain = words.replace(/ in \d+ s|…/g, "");
    if (spoken !== "" && spoken !== plain) announce(plain);
    spoken = plain;
  };
  const end = model.listen("connection", show);
  const ticking = setInterval(show, 500);
  show();
  return [
    badge,
    () => {
      end();
      clearInterval(ticking);
    },
  ];
}

import { announce, h, setText } from "./dom.ts";
import { time } from "./format.ts";
import { icon } from "./icons.ts";
import { resetReason } from "./store/headline.ts";
import type { ConnectionStatus, Model } from "./store/model.ts";

/** The product's name, a link to the store. */
export function brand(): HTMLElement {
  return h("a", { class: "brand", href: "#/store" }, icon("other"), h("span", { text: "petstream" }));
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page currently uses the dark theme. */
export function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen === undefined ? systemDark.matches : chosen === "dark";
}

/** Calls `listener` when the theme changes, until the returned function is called. */
export function onTheme(listener: () => void): () => void {
  systemDark.addEventListener("change", listener);
  addEventListener("petstream:theme", listener);
  return () => {
    systemDark.removeEventListener("change", listener);
    removeEventListener("petstream:theme", listener);
  };
}

/** A button that switches between the light and the dark theme. */
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
      // Without local storage, the choice lasts until the page is left.
    }
    dispatchEvent(new Event("petstream:theme"));
    show();
  });
  systemDark.addEventListener("change", show);
  show();
  return button;
}

/** How long the badge mentions a reset after it is over, milliseconds. */
const RESET_NOTICE_MS = 20_000;

interface BadgeText {
  readonly tone: "good" | "busy" | "bad";
  readonly text: string;
  readonly title: string;
}

function badgeText({ state, resetting, lastReset }: ConnectionStatus, now: number): BadgeText {
  const suffix = state.transport === "poll" ? " (polling)" : "";
  if (state.phase === "ended") return { tone: "bad", text: "Signed out", title: state.reason ?? "" };
  if (state.phase === "offline") return { tone: "bad", text: "Offline", title: "This device has no network." };
  if (state.phase === "reconnecting") {
    const left = state.until === undefined ? null : Math.max(0, Math.ceil((state.until - now) / 1_000));
    const text = left === null ? "Reconnecting…" : `Reconnecting in ${left} s`;
    return { tone: "bad", text, title: "The connection was lost. Press to try now." };
  }
  if (state.phase === "connecting") return { tone: "busy", text: `Connecting…${suffix}`, title: "" };
  if (resetting !== null) return { tone: "busy", text: "Reset, refetching…", title: resetReason(resetting) };
  if (state.phase === "catching-up")
    return { tone: "busy", text: `Catching up…${suffix}`, title: "Reading what was missed." };
  if (lastReset !== null && now - lastReset.at < RESET_NOTICE_MS) {
    const title = `Read anew at ${time(lastReset.at)}: ${resetReason(lastReset.reason)}.`;
    return { tone: "good", text: "Live · reset and refetched", title };
  }
  return { tone: "good", text: `Live${suffix}`, title: "Changes appear as they happen." };
}

/** A badge with the state of the connection, and a function that ends its updates. */
export function connectionBadge(model: Model): readonly [HTMLElement, () => void] {
  const text = h("span");
  const badge = h(
    "button",
    { class: "connection", type: "button", onclick: () => model.hurry() },
    h("i", { class: "dot" }),
    text,
  );
  let announced = "";
  const show = (): void => {
    const { tone, text: words, title } = badgeText(model.connection, Date.now());
    setText(text, words);
    badge.dataset.tone = tone;
    badge.dataset.phase = model.connection.state.phase;
    badge.title = title;
    badge.setAttribute("aria-label", `Connection: ${words}`);
    // The seconds of a countdown are not announced.
    const stable = words.replace(/ in \d+ s|…/g, "");
    if (announced !== "" && announced !== stable) announce(stable);
    announced = stable;
  };
  const unlisten = model.listen("connection", show);
  const interval = setInterval(show, 500);
  show();
  return [
    badge,
    () => {
      unlisten();
      clearInterval(interval);
    },
  ];
}

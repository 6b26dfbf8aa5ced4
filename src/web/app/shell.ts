import { chat } from "./chat/view.ts";
import { byId, h } from "./dom.ts";
import { brand, connectionBadge, themeButton } from "./header.ts";
import { icon } from "./icons.ts";
import type { Session } from "./session.ts";
import { Model } from "./store/model.ts";
import { store } from "./store/view.ts";
import { traffic } from "./traffic/view.ts";
import type { View } from "./view.ts";

const VIEWS = { store, chat, traffic } as const satisfies Record<string, View>;
type Name = keyof typeof VIEWS;
const NAMES = Object.keys(VIEWS) as Name[];

function wanted(): Name {
  const name = location.hash.replace(/^#\//, "");
  return NAMES.find((known) => known === name) ?? "store";
}

/** What `?transport=` and the browser say about how events come. */
function transport(): "sse" | "poll" {
  const asked = new URLSearchParams(location.search).get("transport");
  return asked === "poll" || typeof EventSource === "undefined" ? "poll" : "sse";
}

/** The frame around the views, as long as somebody is signed in. */
export class Shell {
  private readonly model: Model | null;
  private readonly links = new Map<Name, HTMLAnchorElement>();
  private readonly endBadge: () => void = () => {};
  /** Views stay once they were shown: what was typed, and what still runs, is there when one comes back. */
  private readonly views = new Map<Name, { readonly root: HTMLElement; readonly end: () => void }>();
  private shown: Name | null = null;

  constructor(
    private readonly session: Session,
    leave: () => void,
  ) {
    this.model = session.may("store:read") ? new Model(session, transport()) : null;
    for (const name of NAMES) {
      this.links.set(name, h("a", { href: `#/${name}` }, icon(name), h("span", { text: VIEWS[name].title })));
    }
    const tools = h("div", { class: "tools" });
    if (this.model !== null) {
      const [badge, end] = connectionBadge(this.model);
      this.endBadge = end;
      tools.append(badge);
    }
    tools.append(themeButton());
    if (session.key !== null) {
      const label = `Sign out ${session.name}`;
      const out = h("button", {
        class: "quiet square",
        type: "button",
        "aria-label": label,
        title: label,
        onclick: leave,
      });
      out.append(icon("out"));
      tools.append(out);
    }
    byId("main").replaceChildren();
    byId("top").replaceChildren(brand(), h("nav", { "aria-label": "Views" }, ...this.links.values()), tools);
    addEventListener("hashchange", this.show);
    this.show();
  }

  close(): void {
    removeEventListener("hashchange", this.show);
    for (const { end } of this.views.values()) end();
    this.endBadge();
    this.model?.close();
  }

  private readonly show = (): void => {
    // The link that skips the header is no view.
    if (location.hash === "#main" || this.shown === wanted()) return;
    const name = wanted();
    this.shown = name;
    for (const [other, link] of this.links) {
      if (other === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${VIEWS[name].title} · petstream`;
    const main = byId("main");
    if (!this.views.has(name)) {
      const root = h("div", { class: `view ${name}` });
      main.append(root);
      this.views.set(name, { root, end: VIEWS[name].mount(root, { session: this.session, model: this.model }) });
    }
    for (const [other, { root }] of this.views) root.hidden = other !== name;
    scrollTo(0, 0);
    // Who moves by keyboard goes on from the top of the new view.
    main.focus({ preventScroll: true });
  };
}

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

function viewFromHash(): Name {
  const name = location.hash.replace(/^#\//, "");
  return NAMES.find((known) => known === name) ?? "store";
}

/** The transport of events: polling with `?transport=poll`, or if the browser has no `EventSource`. */
function chooseTransport(): "sse" | "poll" {
  const requested = new URLSearchParams(location.search).get("transport");
  return requested === "poll" || typeof EventSource === "undefined" ? "poll" : "sse";
}

/** The header and the views of a signed-in session. */
export class Shell {
  private readonly model: Model | null;
  private readonly links = new Map<Name, HTMLAnchorElement>();
  private readonly closeBadge: () => void = () => {};
  /** Views are kept after their first use, with what was typed and what is still running in them. */
  private readonly views = new Map<Name, { readonly root: HTMLElement; readonly close: () => void }>();
  private current: Name | null = null;

  constructor(
    private readonly session: Session,
    leave: () => void,
  ) {
    this.model = session.hasScope("store:read") ? new Model(session, chooseTransport()) : null;
    for (const name of NAMES) {
      this.links.set(name, h("a", { href: `#/${name}` }, icon(name), h("span", { text: VIEWS[name].title })));
    }
    const tools = h("div", { class: "tools" });
    if (this.model !== null) {
      const [badge, close] = connectionBadge(this.model);
      this.closeBadge = close;
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
    for (const { close } of this.views.values()) close();
    this.closeBadge();
    this.model?.close();
  }

  private readonly show = (): void => {
    // `#main` is the target of the link that skips the header, not a view.
    if (location.hash === "#main" || this.current === viewFromHash()) return;
    const name = viewFromHash();
    this.current = name;
    for (const [other, link] of this.links) {
      if (other === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${VIEWS[name].title} · petstream`;
    const main = byId("main");
    if (!this.views.has(name)) {
      const root = h("div", { class: `view ${name}` });
      main.append(root);
      this.views.set(name, { root, close: VIEWS[name].mount(root, { session: this.session, model: this.model }) });
    }
    for (const [other, { root }] of this.views) root.hidden = other !== name;
    scrollTo(0, 0);
    // Keyboard navigation continues at the top of the new view.
    main.focus({ preventScroll: true });
  };
}

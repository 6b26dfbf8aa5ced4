import { h, setText } from "../dom.ts";
import { time } from "../format.ts";
import { headline } from "./headline.ts";
import { type Model, type News, RESET } from "./model.ts";

/** Entries that are drawn. */
const MOST = 60;
const KINDS: Readonly<Record<string, string>> = {
  "pet-update": "pet",
  "pet-status-changed": "pet",
  "order-created": "order",
  "order-status-changed": "order",
  "inventory-changed": "count",
  notification: "note",
  reset: "reset",
};

/** What happens, the newest first: when, what, and the id of the event. */
export class NewsList {
  readonly element: HTMLElement;
  private readonly list = h("ol", {
    class: "news",
    id: "events",
    tabindex: "0",
    "aria-label": "Events, the newest first",
  });
  private readonly none = h("p", { class: "empty", text: "Changes appear here as they happen." });
  private readonly drawn = new Map<string, HTMLElement>();

  constructor(private readonly model: Model) {
    this.element = h(
      "section",
      { class: "card events-part", "aria-labelledby": "news-title" },
      h("div", { class: "title" }, h("h2", { id: "news-title", text: "Events" })),
      this.list,
      this.none,
    );
  }

  draw(): void {
    const news = this.model.news.slice(0, MOST);
    this.none.hidden = news.length > 0;
    this.list.hidden = news.length === 0;
    const fresh = news.filter(({ id }) => !this.drawn.has(id));
    // The oldest of them first, so that each is put before those that are older.
    for (const entry of fresh.toReversed()) this.list.prepend(this.entry(entry));
    while (this.list.childElementCount > MOST) this.list.lastElementChild?.remove();
    const wanted = new Set(news.map(({ id }) => id));
    for (const [id, element] of this.drawn) {
      if (wanted.has(id)) continue;
      element.remove();
      this.drawn.delete(id);
    }
  }

  private entry(news: News): HTMLElement {
    const what = h("span", { class: "what" });
    const kind = KINDS[news.data.type] ?? news.data.type;
    setText(what, headline(news, this.model));
    const element = h(
      "li",
      { class: news.past ? "past" : "flash", "data-id": news.id },
      h("time", { datetime: news.data.time, text: time(news.data.time) }),
      h("span", { class: "kind", "data-kind": kind, text: kind }),
      what,
      news.data.type === RESET ? null : h("code", { text: news.id, title: `${news.data.type} ${news.id}` }),
    );
    this.drawn.set(news.id, element);
    return element;
  }
}

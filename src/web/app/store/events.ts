import { h, setText } from "../dom.ts";
import { time } from "../format.ts";
import { headline } from "./headline.ts";
import { type EventEntry, type Model, RESET } from "./model.ts";

/** The most entries that are shown. */
const MAX_DRAWN = 60;
const KINDS: Readonly<Record<string, string>> = {
  "pet-update": "pet",
  "pet-status-changed": "pet",
  "order-created": "order",
  "order-status-changed": "order",
  "inventory-changed": "count",
  notification: "note",
  reset: "reset",
};

/** The list of events, the newest first: time, description and id. */
export class EventList {
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
    const events = this.model.events.slice(0, MAX_DRAWN);
    this.none.hidden = events.length > 0;
    this.list.hidden = events.length === 0;
    const fresh = events.filter(({ id }) => !this.drawn.has(id));
    // Prepended from the oldest to the newest.
    for (const entry of fresh.toReversed()) this.list.prepend(this.entry(entry));
    while (this.list.childElementCount > MAX_DRAWN) this.list.lastElementChild?.remove();
    const wanted = new Set(events.map(({ id }) => id));
    for (const [id, element] of this.drawn) {
      if (wanted.has(id)) continue;
      element.remove();
      this.drawn.delete(id);
    }
  }

  private entry(events: EventEntry): HTMLElement {
    const what = h("span", { class: "what" });
    const kind = KINDS[events.data.type] ?? events.data.type;
    setText(what, headline(events, this.model));
    const element = h(
      "li",
      { class: events.past ? "past" : "flash", "data-id": events.id },
      h("time", { datetime: events.data.time, text: time(events.data.time) }),
      h("span", { class: "kind", "data-kind": kind, text: kind }),
      what,
      events.data.type === RESET ? null : h("code", { text: events.id, title: `${events.data.type} ${events.id}` }),
    );
    this.drawn.set(events.id, element);
    return element;
  }
}

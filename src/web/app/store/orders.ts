import type { Order } from "../api.ts";
import { arrange, h, setText } from "../dom.ts";
import { humanize, money, time } from "../format.ts";
import { type Actions, TRANSITIONS } from "./actions.ts";
import type { Model } from "./model.ts";
import { flash } from "./pets.ts";

/** The most orders that are shown. */
const MAX_DRAWN = 50;

/** The list of orders, the newest first, with buttons for their transitions. */
export class OrderList {
  readonly element: HTMLElement;
  private readonly list = h("ul", { class: "orders", id: "orders" });
  private readonly none = h("p", { class: "empty" });
  private readonly closed = h("input", { type: "checkbox" });
  private readonly rows = new Map<string, Row>();

  constructor(
    private readonly model: Model,
    private readonly actions: Actions,
  ) {
    this.closed.addEventListener("change", () => this.draw(new Set(), false));
    this.element = h(
      "section",
      { class: "card orders-part", "aria-labelledby": "orders-title" },
      h(
        "div",
        { class: "title" },
        h("h2", { id: "orders-title", text: "Orders" }),
        h("label", { class: "check" }, this.closed, "Closed ones too"),
      ),
      this.list,
      this.none,
    );
  }

  draw(changed: ReadonlySet<string>, all: boolean): void {
    const isOpen = ({ status }: Order): boolean => TRANSITIONS[status].length > 0;
    // An order that has just been closed stays in the list until the next snapshot.
    const isShown = ({ id, status }: Order): boolean =>
      this.closed.checked || TRANSITIONS[status].length > 0 || (!all && this.rows.has(id));
    const orders = [...this.model.orders.values()].filter(isShown).sort((a, b) => (a.id < b.id ? 1 : -1));
    const drawn = orders.slice(0, MAX_DRAWN).map((order) => this.row(order));
    arrange(
      this.list,
      drawn.map((row) => row.element),
    );
    for (const id of changed) {
      const row = this.rows.get(id);
      if (row !== undefined) flash(row.element);
    }
    for (const [id, row] of this.rows) if (!drawn.includes(row)) this.rows.delete(id);
    this.none.hidden = orders.length > 0;
    setText(this.none, [...this.model.orders.values()].some(isOpen) || !this.model.loaded ? "" : "No order is open.");
  }

  private row(order: Order): Row {
    let row = this.rows.get(order.id);
    if (row === undefined) {
      row = new Row(order.id, this.actions);
      this.rows.set(order.id, row);
    }
    row.draw(order, this.model.pets.get(order.petId)?.name ?? "A pet that is gone");
    return row;
  }
}

class Row {
  readonly element: HTMLLIElement;
  private readonly name = h("strong");
  private readonly details = h("span", { class: "muted" });
  private readonly status = h("span", { class: "badge" });
  private readonly moves = h("div", { class: "moves" });
  private drawn = "";
  private isBusy = false;

  constructor(
    id: string,
    private readonly actions: Actions,
  ) {
    this.element = h(
      "li",
      { "data-id": id },
      h("div", { class: "line" }, this.name, this.status),
      h("div", { class: "line" }, this.details, this.moves),
    );
  }

  draw(order: Order, pet: string): void {
    const key = `${order.version} ${pet}`;
    if (key === this.drawn) return;
    this.drawn = key;
    setText(this.name, pet);
    setText(this.details, `${money(order.price, order.currency)} · ${time(order.createdAt)}`);
    setText(this.status, humanize(order.status));
    this.status.dataset.status = order.status;
    if (!this.actions.allowed) return;
    const focused = this.moves.contains(document.activeElement);
    const buttons = TRANSITIONS[order.status].map(({ to, label }) => {
      const style = to === "CANCELLED" ? "quiet small" : "small";
      const button = h("button", {
        type: "button",
        class: style,
        text: label,
        "aria-label": `${label} the order of ${pet}`,
      });
      button.addEventListener("click", () => {
        // The button is not disabled meanwhile, since it would lose the focus.
        if (this.isBusy) return;
        this.isBusy = true;
        void this.actions.transition(order, to).finally(() => {
          this.isBusy = false;
        });
      });
      return button;
    });
    this.moves.replaceChildren(...buttons);
    if (focused) buttons[0]?.focus();
  }
}

import type { Order } from "../api.ts";
import { arrange, h, setText } from "../dom.ts";
import { money, time, word } from "../format.ts";
import { type Actions, MOVES } from "./actions.ts";
import type { Model } from "./model.ts";
import { flash } from "./pets.ts";

/** Orders that are drawn. */
const MOST = 50;

/** The orders, the newest first, and how they can be moved on. */
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
    const open = ({ status }: Order): boolean => MOVES[status].length > 0;
    // What has just been closed stays for a look.
    const wanted = ({ id, status }: Order): boolean =>
      this.closed.checked || MOVES[status].length > 0 || (!all && this.rows.has(id));
    const orders = [...this.model.orders.values()].filter(wanted).sort((a, b) => (a.id < b.id ? 1 : -1));
    const drawn = orders.slice(0, MOST).map((order) => this.row(order));
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
    setText(this.none, [...this.model.orders.values()].some(open) || !this.model.loaded ? "" : "No order is open.");
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
  private moving = false;

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
    setText(this.status, word(order.status));
    this.status.dataset.status = order.status;
    if (!this.actions.allowed) return;
    const focused = this.moves.contains(document.activeElement);
    const buttons = MOVES[order.status].map(({ to, label }) => {
      const style = to === "CANCELLED" ? "quiet small" : "small";
      const button = h("button", {
        type: "button",
        class: style,
        text: label,
        "aria-label": `${label} the order of ${pet}`,
      });
      button.addEventListener("click", () => {
        // Not disabled meanwhile: it would lose the focus.
        if (this.moving) return;
        this.moving = true;
        void this.actions.move(order, to).finally(() => {
          this.moving = false;
        });
      });
      return button;
    });
    this.moves.replaceChildren(...buttons);
    if (focused) buttons[0]?.focus();
  }
}

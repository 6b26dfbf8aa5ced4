import { PET_STATUSES } from "../api.ts";
import { h, setText } from "../dom.ts";
import { count, humanize } from "../format.ts";
import { icon } from "../icons.ts";
import { type Context, throttleToFrames, type View } from "../view.ts";
import { Actions } from "./actions.ts";
import { addPet } from "./add.ts";
import { EventList } from "./events.ts";
import { Filters } from "./filters.ts";
import type { Changes, Model } from "./model.ts";
import { OrderList } from "./orders.ts";
import { PetGrid } from "./pets.ts";

/** The pets, orders and events of the store, live. */
export const store: View = {
  title: "Store",

  mount(root: HTMLElement, { session, model }: Context): () => void {
    root.append(h("h1", { class: "hidden", text: "Store" }));
    if (model === null) {
      root.append(h("p", { class: "notice", text: "This key may not read the store: it lacks the scope store:read." }));
      return () => {};
    }
    const actions = new Actions(session, model);
    const counts = new Counts();
    const filters = new Filters();
    const grid = new PetGrid(model, actions);
    const orders = new OrderList(model, actions);
    const events = new EventList(model);
    const shown = h("p", { class: "muted shown", role: "status" });
    const add = h(
      "button",
      { class: "primary", type: "button", onclick: () => addPet(session, model) },
      icon("plus"),
      "Add a pet",
    );
    add.hidden = !actions.allowed;

    root.append(
      counts.element,
      partSwitch(),
      h(
        "div",
        { class: "columns", id: "columns", "data-part": "pets" },
        h(
          "section",
          { class: "pets", "aria-labelledby": "pets-title" },
          h("div", { class: "title" }, h("h2", { id: "pets-title", text: "Pets" }), shown, add),
          filters.element,
          grid.element,
        ),
        h("div", { class: "side" }, orders.element, events.element),
      ),
    );

    let changed: { pets: Set<string>; orders: Set<string>; all: boolean } = {
      pets: new Set(),
      orders: new Set(),
      all: true,
    };
    const draw = (): void => {
      const { pets, orders: changedOrders, all } = changed;
      changed = { pets: new Set(), orders: new Set(), all: false };
      counts.draw(model);
      const visible = filters.choose(model.pets.values());
      grid.draw(visible, pets);
      orders.draw(changedOrders, all);
      events.draw();
      const loaded = model.partial ? `the first ${count(model.pets.size, "pet")}` : count(model.pets.size, "pet");
      setText(shown, model.loaded ? `${visible.length} of ${loaded}` : "Loading…");
    };
    const redraw = throttleToFrames(draw);
    const unlisten = model.listen("changes", (changes: Changes) => {
      for (const id of changes.pets) changed.pets.add(id);
      for (const id of changes.orders) changed.orders.add(id);
      changed.all ||= changes.all;
      redraw();
    });
    filters.onchange = redraw;
    draw();
    return unlisten;
  },
};

/** Buttons that choose the visible part on small screens. */
function partSwitch(): HTMLElement {
  const names = ["pets", "orders", "events"] as const;
  const buttons = names.map((name) =>
    h("button", { type: "button", "aria-controls": "columns", text: humanize(name) }),
  );
  const show = (shown: number): void => {
    buttons.forEach((button, index) => {
      button.setAttribute("aria-pressed", String(index === shown));
    });
    const columns = document.getElementById("columns");
    if (columns !== null) columns.dataset.part = names[shown] ?? "pets";
  };
  buttons.forEach((button, index) => {
    button.addEventListener("click", () => show(index));
  });
  show(0);
  return h("div", { class: "parts", role: "group", "aria-label": "Part of the store" }, ...buttons);
}

/** The numbers of pets by status. */
class Counts {
  readonly element = h("dl", { class: "counts" });
  private readonly values = new Map<string, HTMLElement>();

  constructor() {
    for (const name of ["TOTAL", ...PET_STATUSES]) {
      const value = h("dd", { text: "–" });
      this.values.set(name, value);
      const label = name === "TOTAL" ? "Pets" : humanize(name);
      this.element.append(h("div", { class: `count ${name.toLowerCase()}` }, h("dt", { text: label }), value));
    }
  }

  draw({ inventory }: Model): void {
    if (inventory === null) return;
    for (const [name, element] of this.values) {
      const value = name === "TOTAL" ? inventory.total : inventory.byStatus[name as keyof typeof inventory.byStatus];
      setText(element, String(value));
    }
  }
}

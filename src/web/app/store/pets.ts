import { PET_STATUSES, type Pet, type PetStatus } from "../api.ts";
import { arrange, h, setText } from "../dom.ts";
import { age, humanize, money } from "../format.ts";
import { icon, speciesIcon } from "../icons.ts";
import type { Actions } from "./actions.ts";
import type { Model } from "./model.ts";

/** The number of cards that are shown at first, and that "Show more" adds. */
const PAGE_SIZE = 24;

/** Highlights an element that has just changed. */
export function flash(element: Element): void {
  element.classList.remove("flash");
  // A layout without the class is needed to restart the animation.
  void (element as HTMLElement).offsetWidth;
  element.classList.add("flash");
}

/** The filtered pets as cards. */
export class PetGrid {
  readonly element: HTMLElement;
  private readonly list = h("ul", { class: "grid", id: "pets" });
  private readonly none = h("p", { class: "empty" });
  private readonly more = h("button", { type: "button", class: "wide", onclick: () => this.showMore() });
  private readonly cards = new Map<string, Card>();
  private visible: readonly Pet[] = [];
  private limit = PAGE_SIZE;

  constructor(
    private readonly model: Model,
    private readonly actions: Actions,
  ) {
    this.element = h("div", {}, this.list, this.none, this.more);
  }

  /** Shows `visible` and highlights those in `changed`. */
  draw(visible: readonly Pet[], changed: ReadonlySet<string>): void {
    this.visible = visible;
    const drawn = visible.slice(0, this.limit);
    arrange(
      this.list,
      drawn.map((pet) => this.card(pet).element),
    );
    const left = visible.length - drawn.length;
    this.more.hidden = left === 0;
    setText(this.more, `Show more (${left})`);
    this.none.hidden = visible.length > 0;
    setText(this.none, this.model.loaded ? "No pet is like that." : "Loading the pets…");
    for (const id of changed) {
      const card = this.cards.get(id);
      if (card !== undefined && this.model.pets.has(id)) flash(card.element);
    }
    for (const id of this.cards.keys()) if (!this.model.pets.has(id)) this.cards.delete(id);
  }

  private card(pet: Pet): Card {
    let card = this.cards.get(pet.id);
    if (card === undefined) {
      card = new Card(pet, this.actions);
      this.cards.set(pet.id, card);
    }
    card.draw(pet);
    return card;
  }

  private showMore(): void {
    const before = this.limit;
    this.limit += PAGE_SIZE;
    this.draw(this.visible, new Set());
    // The button may be hidden now, so the focus moves to the first new card.
    this.list.children[before]?.querySelector<HTMLElement>("button, select")?.focus();
  }
}

class Card {
  readonly element = h("li", { class: "pet" });
  private readonly name = h("h3");
  private readonly breed = h("p", { class: "breed" });
  private readonly facts = h("p", { class: "facts" });
  private readonly text = h("p", { class: "about" });
  private readonly price = h("span", { class: "price" });
  private readonly kids = h(
    "span",
    { class: "kids", title: "Good with kids" },
    icon("kids"),
    h("span", { class: "hidden", text: "Good with kids" }),
  );
  private readonly status = h("select", { class: "status" });
  private readonly badge = h("span", { class: "status" });
  private readonly order = h("button", { type: "button", class: "small" }, "Order");
  private version = 0;
  private isOrdering = false;

  constructor(
    private pet: Pet,
    private readonly actions: Actions,
  ) {
    this.element.dataset.id = pet.id;
    const picture = h("div", { class: `picture ${pet.species.toLowerCase()}` }, speciesIcon(pet.species));
    for (const status of PET_STATUSES) this.status.append(h("option", { value: status, text: humanize(status) }));
    this.status.addEventListener("change", () => void this.changeStatus());
    this.order.addEventListener("click", () => void this.placeOrder());
    [this.status.hidden, this.badge.hidden] = [!actions.allowed, actions.allowed];
    this.element.append(
      h("div", { class: "head" }, picture, h("div", { class: "grow" }, this.name, this.breed), this.kids),
      this.facts,
      this.text,
      h("div", { class: "foot" }, this.price, this.status, this.badge, this.order),
    );
  }

  draw(pet: Pet): void {
    if (pet.version === this.version) return;
    [this.pet, this.version] = [pet, pet.version];
    setText(this.name, pet.name);
    setText(this.breed, pet.breed);
    const gender = pet.gender === "UNKNOWN" ? [] : [humanize(pet.gender)];
    setText(this.facts, [age(pet.ageMonths), humanize(pet.size), pet.color, ...gender].join(" · "));
    setText(this.text, pet.description);
    this.text.title = pet.description;
    setText(this.price, money(pet.price, pet.currency));
    this.kids.hidden = !pet.goodWithKids;
    this.element.dataset.status = pet.status;
    this.status.value = pet.status;
    this.status.setAttribute("aria-label", `Status of ${pet.name}`);
    setText(this.badge, humanize(pet.status));
    const focused = this.order === document.activeElement;
    this.order.hidden = !this.actions.allowed || pet.status !== "AVAILABLE";
    // Keeps the focus at this pet.
    if (focused && this.order.hidden) this.status.focus();
    this.order.setAttribute("aria-label", `Order ${pet.name}`);
  }

  private async changeStatus(): Promise<void> {
    const done = await this.actions.status(this.pet, this.status.value as PetStatus);
    if (!done) this.status.value = this.pet.status;
  }

  private async placeOrder(): Promise<void> {
    // The button is not disabled meanwhile, since it would lose the focus.
    if (this.isOrdering) return;
    this.isOrdering = true;
    await this.actions.order(this.pet);
    this.isOrdering = false;
  }
}

import { PET_STATUSES, type Pet, SIZES, SPECIES } from "../api.ts";
import { h } from "../dom.ts";
import { word } from "../format.ts";
import { icon } from "../icons.ts";

const SORTS: Readonly<Record<string, readonly [string, (a: Pet, b: Pet) => number]>> = {
  newest: ["Newest", (a, b) => (a.id < b.id ? 1 : -1)],
  name: ["Name", (a, b) => a.name.localeCompare(b.name)],
  cheap: ["Cheapest", (a, b) => Number(a.price) - Number(b.price)],
  dear: ["Dearest", (a, b) => Number(b.price) - Number(a.price)],
  young: ["Youngest", (a, b) => a.ageMonths - b.ageMonths],
};

/** Which pets are shown, and in which order. */
export class Filters {
  readonly element: HTMLElement;
  onchange: () => void = () => {};
  private readonly text = h("input", {
    type: "search",
    id: "f-text",
    placeholder: "Name, breed, colour…",
    autocomplete: "off",
  });
  private readonly species = select("f-species", "Any species", SPECIES);
  private readonly status = select("f-status", "Any status", PET_STATUSES);
  private readonly size = select("f-size", "Any size", SIZES);
  private readonly most = h("input", {
    type: "number",
    id: "f-most",
    min: "0",
    inputmode: "numeric",
    placeholder: "Any",
  });
  private readonly kids = h("input", { type: "checkbox", id: "f-kids" });
  private readonly sort = h("select", { id: "f-sort" });

  constructor() {
    for (const [value, [label]] of Object.entries(SORTS)) this.sort.append(h("option", { value, text: label }));
    const clear = h("button", {
      class: "quiet small clear",
      type: "button",
      text: "Clear",
      onclick: () => this.clear(),
    });
    // On a phone the pets come first.
    const unfold = h("button", { class: "unfold", type: "button", text: "Filters", "aria-expanded": "false" });
    unfold.addEventListener("click", () => {
      unfold.setAttribute("aria-expanded", String(this.element.classList.toggle("open")));
    });
    this.element = h(
      "form",
      {
        class: "filters",
        role: "search",
        "aria-label": "Filter pets",
        onsubmit: (event: Event) => event.preventDefault(),
      },
      field("Search", this.text, "search", icon("search")),
      unfold,
      field("Species", this.species),
      field("Status", this.status),
      field("Size", this.size),
      field("At most $", this.most, "narrow"),
      field("Sort by", this.sort),
      h("label", { class: "check" }, this.kids, "Good with kids"),
      clear,
    );
    this.element.addEventListener("input", () => this.onchange());
  }

  /** Those that are wanted, in the order that is. */
  choose(pets: Iterable<Pet>): Pet[] {
    const words = this.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const [species, status, size, most] = [this.species.value, this.status.value, this.size.value, this.most.value];
    const wanted = (pet: Pet): boolean => {
      if (species !== "" && pet.species !== species) return false;
      if (status !== "" && pet.status !== status) return false;
      if (size !== "" && pet.size !== size) return false;
      if (most !== "" && Number(pet.price) > Number(most)) return false;
      if (this.kids.checked && !pet.goodWithKids) return false;
      const text = `${pet.name} ${pet.breed} ${pet.color} ${pet.species} ${pet.description}`.toLowerCase();
      return words.every((part) => text.includes(part));
    };
    return [...pets].filter(wanted).sort(SORTS[this.sort.value]?.[1]);
  }

  private clear(): void {
    (this.element as HTMLFormElement).reset();
    this.onchange();
  }
}

function select(id: string, any: string, values: readonly string[]): HTMLSelectElement {
  const options = values.map((value) => h("option", { value, text: word(value) }));
  return h("select", { id }, h("option", { value: "", text: any }), ...options);
}

function field(label: string, control: HTMLElement, style = "", more: Node | null = null): HTMLElement {
  return h("div", { class: `field ${style}` }, h("label", { for: control.id, text: label }), more, control);
}

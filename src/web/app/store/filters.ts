import { PET_STATUSES, type Pet, SIZES, SPECIES } from "../api.ts";
import { h } from "../dom.ts";
import { humanize } from "../format.ts";
import { icon } from "../icons.ts";

const SORTS: Readonly<Record<string, readonly [string, (a: Pet, b: Pet) => number]>> = {
  newest: ["Newest", (a, b) => (a.id < b.id ? 1 : -1)],
  name: ["Name", (a, b) => a.name.localeCompare(b.name)],
  cheap: ["Cheapest", (a, b) => Number(a.price) - Number(b.price)],
  dear: ["Dearest", (a, b) => Number(b.price) - Number(a.price)],
  young: ["Youngest", (a, b) => a.ageMonths - b.ageMonths],
};

/** The form that filters and sorts the pets. */
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
  private readonly maxPrice = h("input", {
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
    // On small screens, the filters are collapsed.
    const toggle = h("button", { class: "unfold", type: "button", text: "Filters", "aria-expanded": "false" });
    toggle.addEventListener("click", () => {
      toggle.setAttribute("aria-expanded", String(this.element.classList.toggle("open")));
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
      toggle,
      field("Species", this.species),
      field("Status", this.status),
      field("Size", this.size),
      field("At most $", this.maxPrice, "narrow"),
      field("Sort by", this.sort),
      h("label", { class: "check" }, this.kids, "Good with kids"),
      clear,
    );
    this.element.addEventListener("input", () => this.onchange());
  }

  /** The pets that match the filters, in the chosen order. */
  choose(pets: Iterable<Pet>): Pet[] {
    const words = this.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const [species, status, size, maxPrice] = [
      this.species.value,
      this.status.value,
      this.size.value,
      this.maxPrice.value,
    ];
    const matches = (pet: Pet): boolean => {
      if (species !== "" && pet.species !== species) return false;
      if (status !== "" && pet.status !== status) return false;
      if (size !== "" && pet.size !== size) return false;
      if (maxPrice !== "" && Number(pet.price) > Number(maxPrice)) return false;
      if (this.kids.checked && !pet.goodWithKids) return false;
      const text = `${pet.name} ${pet.breed} ${pet.color} ${pet.species} ${pet.description}`.toLowerCase();
      return words.every((part) => text.includes(part));
    };
    return [...pets].filter(matches).sort(SORTS[this.sort.value]?.[1]);
  }

  private clear(): void {
    (this.element as HTMLFormElement).reset();
    this.onchange();
  }
}

function select(id: string, any: string, values: readonly string[]): HTMLSelectElement {
  const options = values.map((value) => h("option", { value, text: humanize(value) }));
  return h("select", { id }, h("option", { value: "", text: any }), ...options);
}

function field(label: string, control: HTMLElement, style = "", extra: Node | null = null): HTMLElement {
  return h("div", { class: `field ${style}` }, h("label", { for: control.id, text: label }), extra, control);
}

import { ApiError, explain, GENDERS, type Pet, SIZES, SPECIES } from "../api.ts";
import { announce, h, toast } from "../dom.ts";
import { humanize } from "../format.ts";
import type { Session } from "../session.ts";
import type { Model } from "./model.ts";

interface Field {
  readonly name: string;
  readonly label: string;
  readonly control: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
  readonly error: HTMLElement;
  readonly read: () => unknown;
}

/** The value of a text field; undefined if it is empty, so that the server reports that it is missing. */
const optionalText = (text: string): string | undefined => (text === "" ? undefined : text);

function fields(): Field[] {
  const make = (name: string, label: string, control: Field["control"], read?: () => unknown): Field => {
    control.id = `add-${name}`;
    const error = h("p", { class: "error-text", id: `add-${name}-error` });
    control.setAttribute("aria-describedby", error.id);
    return { name, label, control, error, read: read ?? (() => optionalText(control.value)) };
  };
  const choice = (values: readonly string[]): HTMLSelectElement =>
    h("select", {}, ...values.map((value) => h("option", { value, text: humanize(value) })));
  const months = h("input", { inputmode: "numeric", autocomplete: "off" });
  const number = (): unknown =>
    /^-?\d+$/.test(months.value.trim()) ? Number(months.value) : optionalText(months.value);
  return [
    make("name", "Name", h("input", { autocomplete: "off" })),
    make("species", "Species", choice(SPECIES)),
    make("breed", "Breed", h("input", { autocomplete: "off" })),
    make("color", "Colour", h("input", { autocomplete: "off" })),
    make("ageMonths", "Age in months", months, number),
    make("price", "Price in USD", h("input", { inputmode: "decimal", autocomplete: "off", placeholder: "149.99" })),
    make("size", "Size", choice(SIZES)),
    make("gender", "Gender", choice(GENDERS)),
    make("description", "Description", h("textarea", { rows: "2" })),
  ];
}

/** Shows a dialog for a new pet. Errors that the server reports are shown at their fields. */
export function addPet(session: Session, model: Model): void {
  const all = fields();
  const kids = h("input", { type: "checkbox" });
  const general = h("p", { class: "error-text", role: "alert" });
  const save = h("button", { class: "primary", type: "submit", text: "Add the pet" });
  const close = (): void => dialog.close();
  // A prefix of the idempotency key, so that a repeated request creates one pet.
  const formId = crypto.getRandomValues(new Uint32Array(4)).join("-");

  const showErrors = (failure: unknown): void => {
    const errors = failure instanceof ApiError ? failure.errors : [];
    const unassigned = errors.filter(({ field }) => !all.some(({ name }) => name === field));
    for (const { field, detail } of errors) {
      const target = all.find(({ name }) => name === field);
      if (target === undefined) continue;
      target.error.textContent = `${target.label} ${detail}.`;
      target.control.setAttribute("aria-invalid", "true");
    }
    if (errors.length === 0) general.textContent = explain(failure);
    else if (unassigned.length > 0)
      general.textContent = unassigned.map(({ field, detail }) => `${field} ${detail}`).join("; ");
    all.find(({ control }) => control.getAttribute("aria-invalid") === "true")?.control.focus();
  };

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    save.disabled = true;
    general.textContent = "";
    for (const { control, error } of all) {
      control.removeAttribute("aria-invalid");
      error.textContent = "";
    }
    try {
      const body = { ...Object.fromEntries(all.map(({ name, read }) => [name, read()])), goodWithKids: kids.checked };
      const headers = { "idempotency-key": `${formId}-${hash(JSON.stringify(body))}` };
      const pet = await session.send<Pet>("POST", "api/pets", body, headers);
      model.update({ pet });
      announce(`${pet.name} is in the store.`);
      toast(`${pet.name} is in the store.`);
      close();
    } catch (failure) {
      showErrors(failure);
    } finally {
      save.disabled = false;
    }
  };

  const dialog = h(
    "dialog",
    { class: "card", "aria-labelledby": "add-title", onclose: () => dialog.remove() },
    h(
      "form",
      { novalidate: true, onsubmit: (event: SubmitEvent) => void submit(event) },
      h("h2", { id: "add-title", text: "Add a pet" }),
      h(
        "div",
        { class: "fields" },
        ...all.map(({ label, control, error, name }) =>
          h(
            "div",
            { class: name === "description" ? "field wide" : "field" },
            h("label", { for: control.id, text: label }),
            control,
            error,
          ),
        ),
        h("label", { class: "check" }, kids, "Good with kids"),
      ),
      general,
      h("div", { class: "buttons" }, h("button", { type: "button", text: "Cancel", onclick: close }), save),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

/** A hash of the form's content: an idempotency key may only be repeated with the same content. */
function hash(text: string): string {
  let value = 2166136261;
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 16777619);
  return (value >>> 0).toString(36);
}

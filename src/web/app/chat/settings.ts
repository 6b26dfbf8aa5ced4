import { explain } from "../api.ts";
import { h } from "../dom.ts";
import type { Session } from "../session.ts";
import { type ChatRequest, models } from "./stream.ts";

const LOCAL = "petstore-ai";

/** The settings of a request: model, system prompt and options. */
export class Settings {
  readonly element: HTMLElement;
  private readonly names = h("select", { id: "c-model" }, h("option", { value: LOCAL, text: LOCAL }));
  private readonly prompt = h("textarea", { id: "c-system", rows: "3", placeholder: "None" });
  private readonly temperature = number("c-temperature", { min: "0", max: "2", step: "0.1" });
  private readonly maxTokens = number("c-most", { min: "1", step: "1" });
  private readonly error = h("p", { class: "error-text", role: "alert" });

  constructor(private readonly session: Session) {
    this.element = h(
      "div",
      { class: "settings" },
      h("h2", { text: "Settings" }),
      field("Model", this.names, this.error),
      field("System prompt", this.prompt),
      h("div", { class: "pair" }, field("Temperature", this.temperature), field("Max tokens", this.maxTokens)),
    );
    void this.load();
  }

  model(): string {
    return this.names.value;
  }

  system(): string {
    return this.prompt.value.trim();
  }

  options(): Pick<ChatRequest, "temperature" | "max_tokens"> {
    const [temperature, maxTokens] = [this.temperature.valueAsNumber, this.maxTokens.valueAsNumber];
    return {
      ...(Number.isNaN(temperature) ? {} : { temperature }),
      ...(Number.isNaN(maxTokens) ? {} : { max_tokens: maxTokens }),
    };
  }

  private async load(): Promise<void> {
    try {
      const names = await models(this.session);
      this.names.replaceChildren(...names.map((name) => h("option", { value: name, text: name })));
      this.names.value = names.includes(LOCAL) ? LOCAL : (names[0] ?? "");
    } catch (failure) {
      this.error.textContent = `The models can't be listed: ${explain(failure)}`;
    }
  }
}

function number(id: string, limits: Record<string, string>): HTMLInputElement {
  return h("input", { type: "number", id, placeholder: "Default", inputmode: "decimal", ...limits });
}

function field(label: string, control: HTMLElement, extra: Node | null = null): HTMLElement {
  return h("div", { class: "field" }, h("label", { for: control.id, text: label }), control, extra);
}

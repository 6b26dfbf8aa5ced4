import { h, setText } from "../dom.ts";
import { count, dateTime } from "../format.ts";
import type { Configuration } from "./data.ts";

/** A notice while the configuration file has errors, or settings that need a restart. */
export class ConfigurationNotice {
  private readonly summary = h("p", { role: "status" });
  private readonly errors = h("ul");
  readonly element = h(
    "section",
    { class: "card configuration", "aria-label": "Configuration" },
    this.summary,
    this.errors,
  );

  constructor() {
    this.element.hidden = true;
  }

  draw(configuration: Configuration | null): void {
    const text = configuration === null ? "" : summary(configuration);
    this.element.hidden = text === "";
    setText(this.summary, text);
    const errors = configuration?.errors ?? [];
    this.errors.hidden = errors.length === 0;
    if (this.errors.textContent !== errors.join("")) {
      this.errors.replaceChildren(...errors.map((error) => h("li", { text: error })));
    }
  }
}

function summary({ loadedAt, errorCount, needsRestart }: Configuration): string {
  if (errorCount > 0) {
    return `The configuration file has ${count(errorCount, "error")}. The server goes on with the settings of ${dateTime(loadedAt)}.`;
  }
  return needsRestart.length === 0 ? "" : `Changed settings need a restart: ${needsRestart.join(", ")}.`;
}

import { arrange, h } from "../dom.ts";
import { dateTime, duration, humanize, number, time } from "../format.ts";
import type { RecentRequest, Refusals, Replica, Upstream } from "./data.ts";

type Cells = readonly (string | Node)[];

/** A table that renders only changed rows again. */
class Table<T> {
  readonly element: HTMLElement;
  private readonly body = h("tbody");
  private readonly none: HTMLElement;
  private readonly rows = new Map<string, { readonly element: HTMLElement; readonly key: string }>();

  constructor(
    title: string,
    id: string,
    columns: readonly string[],
    /** The index of the first column with numbers. */
    private readonly numbers: number,
    none: string,
    private readonly read: (entry: T) => { readonly name: string; readonly cells: Cells },
  ) {
    this.none = h("p", { class: "empty", text: none });
    const head = h(
      "tr",
      {},
      ...columns.map((text, column) => h("th", { scope: "col", class: column >= numbers ? "right" : null, text })),
    );
    const table = h("table", { id }, h("thead", {}, head), this.body);
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": `${id}-title` },
      h("div", { class: "title" }, h("h2", { id: `${id}-title`, text: title })),
      h("div", { class: "scroll", tabindex: "0", role: "group", "aria-labelledby": `${id}-title` }, table),
      this.none,
    );
  }

  draw(entries: readonly T[]): void {
    const rows = entries.map((entry) => this.row(entry));
    arrange(this.body, rows);
    for (const [name, { element }] of this.rows) if (!element.isConnected) this.rows.delete(name);
    this.none.hidden = entries.length > 0;
    (this.none.previousElementSibling as HTMLElement).hidden = entries.length === 0;
  }

  private row(entry: T): HTMLElement {
    const { name, cells } = this.read(entry);
    const key = cells.map((cell) => (typeof cell === "string" ? cell : cell.textContent)).join("\u0000");
    const existing = this.rows.get(name);
    if (existing?.key === key) return existing.element;
    const element = h(
      "tr",
      {},
      ...cells.map((cell, column) => h("td", { class: column >= this.numbers ? "right" : null }, cell)),
    );
    this.rows.set(name, { element, key });
    return element;
  }
}

function badge(text: string, tone: "good" | "busy" | "bad" | "plain", title = ""): HTMLElement {
  return h("span", { class: "badge", "data-tone": tone, title: title || null, text });
}

export function replicas(): Table<Replica> {
  const columns = [
    "Replica",
    "Version",
    "Running since",
    "Requests a second",
    "Streams",
    "Tokens out a second",
    "Event streams",
  ];
  const none = "What the other replicas do is not known: Redis can't be reached.";
  return new Table("Replicas", "replicas", columns, 3, none, ({ replica, version, started, subscribers, sample }) => {
    const shown = (value: number | undefined): string => (value === undefined ? "–" : number(value));
    const cells = [
      replica,
      version ?? "–",
      started === undefined ? "–" : dateTime(started),
      shown(sample?.requests),
      shown(sample?.streams),
      shown(sample?.completionTokens),
      shown(subscribers),
    ];
    return { name: replica, cells };
  });
}

export function upstreams(): Table<Upstream> {
  const columns = ["Model", "Target", "State", "In flight", "Failures in a row", "Idle connections"];
  return new Table(
    "Upstreams",
    "upstreams",
    columns,
    3,
    "No upstream is configured: petstore-ai alone answers.",
    (upstream) => {
      const { model, target, state, outUntil, inFlight, failuresInARow, idleConnections } = upstream;
      const until = outUntil === null ? "" : ` until ${time(outUntil)}`;
      const tone = state === "in" ? "good" : state === "out" ? "bad" : "busy";
      const cells = [
        model,
        target,
        badge(`${humanize(state)}${until}`, tone),
        String(inFlight),
        String(failuresInARow),
        String(idleConnections),
      ];
      return { name: `${model} ${target}`, cells };
    },
  );
}

export function limits(): Table<Refusals> {
  return new Table(
    "Limits hit",
    "limits",
    ["Limit", "Whose", "Refused since the start"],
    2,
    "No limit has refused anything.",
    (entry) => {
      const cells = [
        humanize(entry.limit),
        entry.whose === "key" ? "A key's" : humanize(entry.whose),
        number(entry.refused),
      ];
      return { name: `${entry.limit} ${entry.whose}`, cells };
    },
  );
}

const TONES: Readonly<Record<string, "good" | "busy" | "bad" | "plain">> = {
  completed: "good",
  refused: "busy",
  failed: "bad",
  client_gone: "plain",
  client_stalled: "bad",
  budget_spent: "busy",
  shutdown: "busy",
};

export function recent(): Table<RecentRequest> {
  const columns = [
    "Time",
    "Key",
    "Model",
    "Target",
    "Ended",
    "Status",
    "Tokens in",
    "Tokens out",
    "First token",
    "Duration",
    "Attempts",
  ];
  return new Table("Recent requests", "recent", columns, 5, "Nobody has asked for a completion yet.", (entry) => {
    const ended = badge(humanize(entry.terminal), TONES[entry.terminal] ?? "plain", entry.reason ?? "");
    const outcome =
      entry.reason === null || entry.reason === entry.terminal ? ended : h("span", {}, ended, ` ${entry.reason}`);
    const approximate = entry.source === null || entry.source === "exact" ? "" : " ≈";
    const cells = [
      time(entry.at),
      entry.key,
      entry.model,
      entry.target ?? (entry.status < 400 ? "local" : "–"),
      outcome,
      String(entry.status),
      number(entry.promptTokens),
      `${number(entry.completionTokens)}${approximate}`,
      duration(entry.firstTokenMs),
      duration(entry.durationMs),
      String(entry.attempts),
    ];
    return { name: entry.id ?? `${entry.at} ${entry.key}`, cells };
  });
}

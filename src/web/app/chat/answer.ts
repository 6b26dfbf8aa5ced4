import { ApiError, explain } from "../api.ts";
import { announce, h, setText } from "../dom.ts";
import { duration, number } from "../format.ts";
import { everyFrame } from "../view.ts";
import { Markdown } from "./markdown.ts";
import type { Piece, Usage } from "./stream.ts";

/** An answer as it comes: its text, and how it came. */
export class Answer {
  readonly element: HTMLElement;
  text = "";
  private readonly body = h("div", { class: "markdown" });
  private readonly facts = h("dl", { class: "facts" });
  private readonly problems = h("div");
  private readonly markdown = new Markdown(this.body);
  private readonly draw = everyFrame(() => this.markdown.draw(this.text));
  private readonly began = performance.now();
  private first: number | null = null;
  private last = 0;
  private chunks = 0;
  private usage: Usage | null = null;
  private finish: string | null = null;
  private failed = false;

  constructor(model: string) {
    this.element = h(
      "article",
      { class: "message assistant busy", "aria-busy": "true" },
      h("h2", { text: model }),
      this.body,
      this.problems,
      this.facts,
    );
    this.tell("waiting");
  }

  take(piece: Piece): void {
    if (piece.kind === "text") {
      this.last = performance.now();
      this.first ??= this.last;
      this.chunks += 1;
      this.text += piece.text;
      this.draw();
      this.tell("streaming");
    } else if (piece.kind === "finish") {
      this.finish = piece.reason;
    } else if (piece.kind === "usage") {
      this.usage = piece.usage;
    } else {
      this.fail(piece.error);
    }
  }

  /** What went wrong, as what it is. */
  fail(failure: unknown): void {
    this.failed = true;
    const words = h("p", { text: explain(failure) });
    const names: string[] = [];
    if (failure instanceof ApiError) {
      if (failure.status > 0) names.push(`HTTP ${failure.status}`);
      names.push(failure.title, ...(failure.code !== null && failure.code !== failure.title ? [failure.code] : []));
    }
    const kind = h("p", { class: "error-kind", text: names.join(" · ") || "no connection" });
    this.problems.append(h("div", { class: "problem", role: "alert" }, kind, words));
  }

  /** Nothing more comes. */
  end(stopped: boolean): void {
    this.markdown.draw(this.text);
    this.element.classList.remove("busy");
    this.element.removeAttribute("aria-busy");
    this.tell(stopped ? "stopped by you" : this.failed ? "failed" : (this.finish ?? "ended"));
    if (stopped) announce("Stopped.");
    else if (!this.failed) announce(`Answer: ${this.body.textContent?.slice(0, 500) ?? ""}`);
  }

  private tell(state: string): void {
    const tokens = this.usage?.completion_tokens ?? this.chunks;
    const seconds = this.first === null ? 0 : (this.last - this.first) / 1_000;
    const rate = seconds > 0.005 && tokens > 1 ? number((tokens - 1) / seconds) : "–";
    const facts: readonly (readonly [string, string, string])[] = [
      ["finish", "Finish", state],
      ["ttft", "First token", this.first === null ? "–" : duration(this.first - this.began)],
      ["rate", "Tokens/s", rate],
      ["usage", "Usage", this.counts(tokens)],
    ];
    if (this.facts.childElementCount === 0) {
      for (const [name, label] of facts) {
        this.facts.append(h("div", {}, h("dt", { text: label }), h("dd", { "data-fact": name })));
      }
    }
    for (const [name, , value] of facts) {
      const place = this.facts.querySelector(`[data-fact="${name}"]`);
      if (place !== null) setText(place, value);
    }
  }

  private counts(tokens: number): string {
    if (this.usage === null) return tokens === 0 ? "–" : `≈ ${tokens} out`;
    const { prompt_tokens, completion_tokens } = this.usage;
    return `${prompt_tokens} in, ${completion_tokens} out`;
  }
}

import { ApiError, explain } from "../api.ts";
import { announce, h, setText } from "../dom.ts";
import { duration, number } from "../format.ts";
import { throttleToFrames } from "../view.ts";
import { Markdown } from "./markdown.ts";
import type { CompletionPart, Usage } from "./stream.ts";

/** An answer while it is streamed: its text, and facts about the stream. */
export class Answer {
  readonly element: HTMLElement;
  text = "";
  private readonly body = h("div", { class: "markdown" });
  private readonly facts = h("dl", { class: "facts" });
  private readonly problems = h("div");
  private readonly markdown = new Markdown(this.body);
  private readonly draw = throttleToFrames(() => this.markdown.draw(this.text));
  private readonly startedAt = performance.now();
  private firstAt: number | null = null;
  private lastAt = 0;
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
    this.showFacts("waiting");
  }

  add(piece: CompletionPart): void {
    if (piece.kind === "text") {
      this.lastAt = performance.now();
      this.firstAt ??= this.lastAt;
      this.chunks += 1;
      this.text += piece.text;
      this.draw();
      this.showFacts("streaming");
    } else if (piece.kind === "finish") {
      this.finish = piece.reason;
    } else if (piece.kind === "usage") {
      this.usage = piece.usage;
    } else {
      this.fail(piece.error);
    }
  }

  /** Shows an error with its kind. */
  fail(failure: unknown): void {
    this.failed = true;
    const words = h("p", { text: explain(failure) });
    const labels: string[] = [];
    if (failure instanceof ApiError) {
      if (failure.status > 0) labels.push(`HTTP ${failure.status}`);
      labels.push(failure.title, ...(failure.code !== null && failure.code !== failure.title ? [failure.code] : []));
    }
    const kind = h("p", { class: "error-kind", text: labels.join(" · ") || "no connection" });
    this.problems.append(h("div", { class: "problem", role: "alert" }, kind, words));
  }

  /** Marks the answer as complete. */
  end(stopped: boolean): void {
    this.markdown.draw(this.text);
    this.element.classList.remove("busy");
    this.element.removeAttribute("aria-busy");
    this.showFacts(stopped ? "stopped by you" : this.failed ? "failed" : (this.finish ?? "ended"));
    if (stopped) announce("Stopped.");
    else if (!this.failed) announce(`Answer: ${this.body.textContent?.slice(0, 500) ?? ""}`);
  }

  private showFacts(state: string): void {
    const tokens = this.usage?.completion_tokens ?? this.chunks;
    const seconds = this.firstAt === null ? 0 : (this.lastAt - this.firstAt) / 1_000;
    const rate = seconds > 0.005 && tokens > 1 ? number((tokens - 1) / seconds) : "–";
    const facts: readonly (readonly [string, string, string])[] = [
      ["finish", "Finish", state],
      ["ttft", "First token", this.firstAt === null ? "–" : duration(this.firstAt - this.startedAt)],
      ["rate", "Tokens/s", rate],
      ["usage", "Usage", this.usageText(tokens)],
    ];
    if (this.facts.childElementCount === 0) {
      for (const [name, label] of facts) {
        this.facts.append(h("div", {}, h("dt", { text: label }), h("dd", { "data-fact": name })));
      }
    }
    for (const [name, , value] of facts) {
      const field = this.facts.querySelector(`[data-fact="${name}"]`);
      if (field !== null) setText(field, value);
    }
  }

  private usageText(tokens: number): string {
    if (this.usage === null) return tokens === 0 ? "–" : `≈ ${tokens} out`;
    const { prompt_tokens, completion_tokens } = this.usage;
    return `${prompt_tokens} in, ${completion_tokens} out`;
  }
}

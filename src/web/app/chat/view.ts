import { h, setText } from "../dom.ts";
import { time } from "../format.ts";
import { icon } from "../icons.ts";
import type { Session } from "../session.ts";
import { headline } from "../store/headline.ts";
import type { Model } from "../store/model.ts";
import type { Context, View } from "../view.ts";
import { Answer } from "./answer.ts";
import { Settings } from "./settings.ts";
import { snippets } from "./snippets.ts";
import { type ChatRequest, complete, type Message } from "./stream.ts";

/** A conversation with a model. */
export const chat: View = {
  title: "Chat",

  mount(root: HTMLElement, { session, model }: Context): () => void {
    root.append(h("h1", { class: "hidden", text: "Chat" }));
    if (!session.hasScope("chat")) {
      root.append(h("p", { class: "notice", text: "This key may not chat: it lacks the scope chat." }));
      return () => {};
    }
    const conversation = new Conversation(root, session, model);
    return () => conversation.close();
  },
};

const EXAMPLES = [
  "Small dogs under $500 that are good with kids?",
  "Which cats are available?",
  "What is the cheapest pet?",
];

class Conversation {
  private readonly history: Message[] = [];
  private readonly settings: Settings;
  private readonly log = h("div", {
    class: "log",
    id: "log",
    role: "log",
    "aria-live": "off",
    "aria-label": "Conversation",
    tabindex: "0",
  });
  private readonly empty: HTMLElement;
  private readonly draft = h("textarea", { id: "draft", rows: "2", placeholder: "Ask something…" });
  private readonly send = h("button", { class: "primary", type: "submit" }, icon("send"), "Send");
  private readonly stop = h("button", { class: "stop", type: "button", hidden: true }, icon("stop"), "Stop");
  private readonly storeNotice = h("p", { class: "strip", hidden: true });
  private running: AbortController | null = null;
  private readonly unlisten: () => void;
  private readonly refresh: () => void;

  constructor(
    root: HTMLElement,
    private readonly session: Session,
    model: Model | null,
  ) {
    this.settings = new Settings(session);
    this.empty = h(
      "div",
      { class: "welcome" },
      h("p", { class: "muted", text: "petstore-ai answers from the store as it is at this moment. Try:" }),
      ...EXAMPLES.map((text) => h("button", { type: "button", text, onclick: () => this.ask(text) })),
    );
    this.log.append(this.empty);
    this.stop.addEventListener("click", () => this.running?.abort());
    this.draft.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
    const startOver = h("button", {
      type: "button",
      class: "quiet small",
      text: "New conversation",
      onclick: () => this.clear(),
    });
    const form = h(
      "form",
      { class: "composer" },
      h("label", { class: "hidden", for: "draft", text: "Message" }),
      this.draft,
      h("div", { class: "buttons" }, this.send, this.stop),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    const [snippetsElement, refresh] = snippets(() => this.request(this.draft.value.trim()), session.key !== null);
    root.append(
      h("section", { class: "conversation", "aria-label": "Conversation" }, this.log, this.storeNotice, form),
      h("section", { class: "side card", "aria-label": "Settings" }, this.settings.element, snippetsElement, startOver),
    );
    root.addEventListener("input", refresh);
    this.refresh = refresh;
    this.unlisten = model?.listen("changes", ({ all }) => this.showStoreEvent(model, all)) ?? (() => {});
  }

  close(): void {
    this.running?.abort();
    this.unlisten();
  }

  /** The request with `text` as the next question; if it is empty, with the last question. */
  private request(text: string): ChatRequest {
    const system = this.settings.system();
    const systemMessages: Message[] = system === "" ? [] : [{ role: "system", content: system }];
    const messages: Message[] = [...this.history];
    if (text !== "") messages.push({ role: "user", content: text });
    else while (messages.at(-1)?.role === "assistant") messages.pop();
    if (messages.length === 0) messages.push({ role: "user", content: EXAMPLES[0] ?? "" });
    return {
      model: this.settings.model(),
      messages: [...systemMessages, ...messages],
      ...this.settings.options(),
      stream: true,
      stream_options: { include_usage: true },
    };
  }

  private submit(): void {
    const text = this.draft.value.trim();
    if (text === "" || this.running !== null) return;
    this.draft.value = "";
    this.ask(text);
  }

  private ask(text: string): void {
    if (this.running !== null) return;
    this.empty.remove();
    this.log.append(
      h("article", { class: "message user" }, h("h2", { class: "hidden", text: "You" }), h("p", { text })),
    );
    void this.answer(text);
  }

  private async answer(text: string): Promise<void> {
    const request = this.request(text);
    const answer = new Answer(request.model);
    this.log.append(answer.element);
    this.log.scrollTop = this.log.scrollHeight;
    const running = new AbortController();
    this.setRunning(running);
    try {
      for await (const piece of complete(this.session, request, running.signal)) {
        const isAtEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
        answer.add(piece);
        if (isAtEnd) requestAnimationFrame(() => this.log.scrollTo({ top: this.log.scrollHeight }));
      }
    } catch (failure) {
      if (!running.signal.aborted) answer.fail(failure);
    }
    answer.end(running.signal.aborted);
    // A new conversation was started meanwhile.
    if (this.running !== running) return;
    this.history.push({ role: "user", content: text });
    if (answer.text !== "") this.history.push({ role: "assistant", content: answer.text });
    this.log.scrollTop = this.log.scrollHeight;
    this.setRunning(null);
    this.refresh();
  }

  private setRunning(running: AbortController | null): void {
    const focused = this.stop === document.activeElement;
    this.running = running;
    this.send.hidden = running !== null;
    this.stop.hidden = running === null;
    if (focused) this.draft.focus();
  }

  private clear(): void {
    this.running?.abort();
    this.setRunning(null);
    this.history.length = 0;
    this.log.replaceChildren(this.empty);
    this.draft.focus();
  }

  /** Shows the latest change in the store; the next answer is based on it. */
  private showStoreEvent(model: Model, all: boolean): void {
    const latest = model.events.find(({ data }) => data.type.startsWith("pet-"));
    if (all || latest === undefined || latest.past) return;
    this.storeNotice.hidden = false;
    setText(this.storeNotice, `Just now in the store · ${headline(latest, model)} · ${time(latest.data.time)}`);
  }
}

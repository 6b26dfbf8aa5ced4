import { backoff, type Connection, retryAfter, type Sink, Timer } from "./connection.ts";
import { cursor, type LiveEvent, type Spec, type State, written } from "./protocol.ts";

/** Events of a page. */
const LIMIT = 500;
/** How long the server may keep us waiting for one, seconds. */
const WAIT = 25;

interface Page {
  readonly events: readonly LiveEvent[];
  readonly cursor: string;
  readonly reset: { readonly reason: string } | null;
}

/** The same cursors without a stream: one question after another, each answered when there is something to tell. */
export class Poll implements Connection {
  private readonly retry = new Timer();
  private asking = new AbortController();
  private failures = 0;
  private closed = false;
  private online = true;

  constructor(
    private readonly spec: Spec,
    private readonly sink: Sink,
  ) {
    this.state({ phase: "connecting" });
    void this.ask();
  }

  close(): void {
    this.closed = true;
    this.drop();
  }

  hurry(): void {
    if (this.closed || this.failures === 0) return;
    this.drop();
    this.state({ phase: "connecting" });
    void this.ask();
  }

  network(online: boolean): void {
    if (online === this.online || this.closed) return;
    this.online = online;
    this.drop();
    this.state({ phase: online ? "connecting" : "offline" });
    if (online) void this.ask();
  }

  private drop(): void {
    this.retry.clear();
    this.asking.abort();
  }

  private state(state: Omit<State, "transport">): void {
    this.sink.state({ ...state, transport: "poll" });
  }

  private async ask(): Promise<void> {
    this.asking = new AbortController();
    const { signal } = this.asking;
    while (!signal.aborted) {
      let least = 0;
      try {
        const response = await this.next(signal);
        if (signal.aborted) return;
        if (response.ok) {
          this.take((await response.json()) as Page);
          this.failures = 0;
          continue;
        }
        if (response.status === 401 || response.status === 403) {
          this.close();
          return this.state({ phase: "ended", reason: "The key is no longer good for this." });
        }
        least = retryAfter(response);
      } catch {
        // The connection failed, or it was told to stop.
      }
      if (signal.aborted) return;
      const wait = Math.max(least, backoff(this.failures));
      this.failures += 1;
      this.state({ phase: "reconnecting", until: Date.now() + wait });
      await new Promise<void>((resolve) => this.retry.set(wait, resolve));
      if (!signal.aborted) this.state({ phase: "connecting" });
    }
  }

  private next(signal: AbortSignal): Promise<Response> {
    const at = this.sink.position();
    // After a failure the server is asked not to wait: its answer tells that it is there.
    const wait = at === null || this.failures > 0 ? 0 : WAIT;
    const query = new URLSearchParams({ topics: this.spec.topics, wait: String(wait), limit: String(LIMIT) });
    if (at !== null) query.set("after", written(at));
    const headers = new Headers(this.spec.key === null ? {} : { authorization: `Bearer ${this.spec.key}` });
    const late = AbortSignal.timeout((WAIT + 20) * 1_000);
    return fetch(new URL(`api/events?${query}`, this.spec.base), {
      headers,
      cache: "no-store",
      signal: AbortSignal.any([signal, late]),
    });
  }

  private take(page: Page): void {
    const at = cursor(page.cursor);
    if (at === null) throw new Error(`no cursor: ${page.cursor}`);
    if (page.reset !== null) {
      this.sink.reset(at, page.reset.reason);
    } else {
      const [first] = page.events;
      if (this.sink.position() === null && first === undefined) this.sink.connected(at);
      page.events.forEach((event) => {
        this.sink.event(event);
      });
      this.sink.passed(at);
    }
    this.state({ phase: page.events.length >= LIMIT ? "catching-up" : "live" });
  }
}

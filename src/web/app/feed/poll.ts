import { backoff, type EventConnection, retryAfter, type Sink, Timer } from "./connection.ts";
import { type ConnectionSpec, type ConnectionState, formatCursor, type LiveEvent, parseCursor } from "./protocol.ts";

/** The most events of a page. */
const PAGE_LIMIT = 500;
/** How long the server may hold a request until there is an event, seconds. */
const LONG_POLL_SECONDS = 25;

interface Page {
  readonly events: readonly LiveEvent[];
  readonly cursor: string;
  readonly reset: { readonly reason: string } | null;
}

/** Events by long polling: one request after another, each answered when there are events. */
export class PollConnection implements EventConnection {
  private readonly retryTimer = new Timer();
  private request = new AbortController();
  private failures = 0;
  private closed = false;
  private online = true;

  constructor(
    private readonly spec: ConnectionSpec,
    private readonly sink: Sink,
  ) {
    this.state({ phase: "connecting" });
    void this.run();
  }

  close(): void {
    this.closed = true;
    this.abort();
  }

  hurry(): void {
    if (this.closed || this.failures === 0) return;
    this.abort();
    this.state({ phase: "connecting" });
    void this.run();
  }

  network(online: boolean): void {
    if (online === this.online || this.closed) return;
    this.online = online;
    this.abort();
    this.state({ phase: online ? "connecting" : "offline" });
    if (online) void this.run();
  }

  private abort(): void {
    this.retryTimer.clear();
    this.request.abort();
  }

  private state(state: Omit<ConnectionState, "transport">): void {
    this.sink.state({ ...state, transport: "poll" });
  }

  private async run(): Promise<void> {
    this.request = new AbortController();
    const { signal } = this.request;
    while (!signal.aborted) {
      let minWait = 0;
      try {
        const response = await this.requestPage(signal);
        if (signal.aborted) return;
        if (response.ok) {
          this.handle((await response.json()) as Page);
          this.failures = 0;
          continue;
        }
        if (response.status === 401 || response.status === 403) {
          this.close();
          return this.state({ phase: "ended", reason: "The key is no longer good for this." });
        }
        minWait = retryAfter(response);
      } catch {
        // The connection failed or was aborted.
      }
      if (signal.aborted) return;
      const wait = Math.max(minWait, backoff(this.failures));
      this.failures += 1;
      this.state({ phase: "reconnecting", until: Date.now() + wait });
      await new Promise<void>((resolve) => this.retryTimer.set(wait, resolve));
      if (!signal.aborted) this.state({ phase: "connecting" });
    }
  }

  private requestPage(signal: AbortSignal): Promise<Response> {
    const at = this.sink.position();
    // After a failure the server should answer at once, to show that it is reachable again.
    const wait = at === null || this.failures > 0 ? 0 : LONG_POLL_SECONDS;
    const query = new URLSearchParams({ topics: this.spec.topics, wait: String(wait), limit: String(PAGE_LIMIT) });
    if (at !== null) query.set("after", formatCursor(at));
    const headers = new Headers(this.spec.key === null ? {} : { authorization: `Bearer ${this.spec.key}` });
    const timeout = AbortSignal.timeout((LONG_POLL_SECONDS + 20) * 1_000);
    return fetch(new URL(`api/events?${query}`, this.spec.base), {
      headers,
      cache: "no-store",
      signal: AbortSignal.any([signal, timeout]),
    });
  }

  private handle(page: Page): void {
    const at = parseCursor(page.cursor);
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
    this.state({ phase: page.events.length >= PAGE_LIMIT ? "catching-up" : "live" });
  }
}

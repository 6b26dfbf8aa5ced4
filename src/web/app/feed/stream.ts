import { backoff, type EventConnection, retryAfter, type Sink, Timer } from "./connection.ts";
import { type ConnectionSpec, type Cursor, type EventData, formatCursor, parseCursor } from "./protocol.ts";

/** How long the browser's own reconnect may take before this class reconnects itself, milliseconds. */
const BROWSER_RETRY_TIMEOUT = 20_000;
/** The same if the server ended the stream before its first event, since it then sends a longer `retry:`. */
const REJECTED_RETRY_TIMEOUT = 90_000;
/** Silence after which a connection is considered dead, milliseconds. By default, heartbeats come every 15 s. */
const SILENCE_TIMEOUT = 45_000;
const MAX_SILENCE_TIMEOUT = 16 * 60_000;

/** The failure to get a ticket. */
class NoTicket {
  constructor(
    /** How long to wait before the next attempt, milliseconds. */
    readonly wait: number,
    /** Why no further attempt can succeed; null: a later one may. */
    readonly reason: string | null,
  ) {}
}

/**
 * Events by a stream, through an `EventSource`.
 *
 * After a broken stream the browser reconnects first, since it has the server's `retry:`. When its attempt fails, or
 * when it stops reconnecting (at every status but 200), this class reconnects, with waits that the page can show.
 */
export class StreamConnection implements EventConnection {
  private source: EventSource | null = null;
  private readonly retryTimer = new Timer();
  private readonly watchdog = new Timer();
  private silenceTimeout = SILENCE_TIMEOUT;
  private failures = 0;
  private closed = false;
  private online = true;
  private generation = 0;

  constructor(
    private readonly spec: ConnectionSpec,
    private readonly sink: Sink,
  ) {
    this.state("connecting");
    void this.open();
  }

  close(): void {
    this.closed = true;
    this.disconnect();
  }

  hurry(): void {
    if (!this.closed && this.source?.readyState !== EventSource.OPEN) this.reconnect();
  }

  network(online: boolean): void {
    if (online === this.online || this.closed) return;
    this.online = online;
    if (online) {
      this.failures = 0;
      this.reconnect();
    } else {
      this.disconnect();
      this.state("offline");
    }
  }

  private reconnect(): void {
    this.disconnect();
    this.state("connecting");
    void this.open();
  }

  private disconnect(): void {
    this.generation += 1;
    this.retryTimer.clear();
    this.watchdog.clear();
    this.source?.close();
    this.source = null;
  }

  private state(phase: "connecting" | "catching-up" | "live" | "reconnecting" | "offline", until?: number): void {
    this.sink.state({ phase, transport: "sse", ...(until === undefined ? {} : { until }) });
  }

  private end(reason: string): void {
    this.close();
    this.sink.state({ phase: "ended", transport: "sse", reason });
  }

  private async open(): Promise<void> {
    const generation = this.generation;
    const query = new URLSearchParams({ topics: this.spec.topics, named: "false" });
    if (this.spec.key !== null) {
      const ticket = await this.ticket();
      if (generation !== this.generation) return;
      if (ticket instanceof NoTicket)
        return ticket.reason === null ? this.retryLater(ticket.wait) : this.end(ticket.reason);
      query.set("ticket", ticket);
    }
    const at = this.sink.position();
    if (at !== null) query.set("last_event_id", formatCursor(at));
    this.listen(new EventSource(new URL(`api/events?${query}`, this.spec.base)));
  }

  /**
   * Exchanges the key for a ticket, which may be part of a URL. It is valid for one connection; the server then sets a
   * cookie, with which the browser reconnects. Every attempt of this class gets a new ticket, since the cookie may
   * belong to another key.
   */
  private async ticket(): Promise<string | NoTicket> {
    try {
      const headers = { authorization: `Bearer ${this.spec.key}` };
      const response = await fetch(new URL("api/events/tickets", this.spec.base), { method: "POST", headers });
      if (response.ok) return ((await response.json()) as { ticket: string }).ticket;
      if (response.status === 401) return new NoTicket(0, "The key is no longer good.");
      if (response.status === 403) return new NoTicket(0, "The key may not read the store.");
      return new NoTicket(retryAfter(response), null);
    } catch {
      return new NoTicket(0, null);
    }
  }

  /** Reconnects after a backoff of at least `minWait` milliseconds. */
  private retryLater(minWait: number): void {
    this.disconnect();
    const wait = Math.max(minWait, backoff(this.failures));
    this.failures += 1;
    this.state("reconnecting", Date.now() + wait);
    this.retryTimer.set(wait, () => this.reconnect());
  }

  private listen(source: EventSource): void {
    this.source = source;
    // Since the last failure: whether the response started, and whether the `connected` event arrived.
    let [accepted, connected] = [false, false];
    const advance = (event: MessageEvent<string>): void => {
      this.restartWatchdog();
      const at = parseCursor(event.lastEventId);
      if (!connected || at === null) return;
      this.sink.passed(at);
      this.updatePhase();
    };
    this.restartWatchdog();
    source.addEventListener("open", () => {
      accepted = true;
      this.restartWatchdog();
    });
    source.addEventListener("connected", (event: MessageEvent<string>) => {
      this.restartWatchdog();
      [connected, this.failures] = [true, 0];
      this.onConnected(event);
    });
    source.addEventListener("stream-reset", (event: MessageEvent<string>) => {
      this.restartWatchdog();
      const at = parseCursor(event.lastEventId);
      if (at !== null) this.sink.reset(at, (JSON.parse(event.data) as { reason: string }).reason);
      this.head = null;
      this.state("live");
    });
    source.addEventListener("heartbeat", advance);
    source.addEventListener("message", (event: MessageEvent<string>) => {
      const data = JSON.parse(event.data) as EventData;
      if (data.type === "stats") {
        advance(event);
        this.sink.stats(data);
      } else {
        this.restartWatchdog();
        this.sink.event({ id: event.lastEventId, data });
        this.updatePhase();
      }
    });
    source.addEventListener("error", () => {
      if (this.closed || this.source !== source) return;
      this.watchdog.clear();
      if (accepted && source.readyState !== EventSource.CLOSED) {
        this.state("reconnecting");
        this.retryTimer.set(connected ? BROWSER_RETRY_TIMEOUT : REJECTED_RETRY_TIMEOUT, () => this.retryLater(0));
      } else {
        this.retryLater(0);
      }
      [accepted, connected] = [false, false];
    });
  }

  /** The head of the log when the stream started; null once it has been reached. */
  private head: Cursor | null = null;

  private onConnected(event: MessageEvent<string>): void {
    const { resumed, epoch, head } = JSON.parse(event.data) as { resumed: boolean; epoch: string; head: number };
    this.retryTimer.clear();
    const at = parseCursor(event.lastEventId);
    // If the stream does not continue from the last id, a reset follows.
    if (at !== null && (resumed || this.sink.position() === null)) this.sink.connected(at);
    this.head = { epoch, seq: head };
    this.state("catching-up");
    this.updatePhase();
  }

  private updatePhase(): void {
    const [at, head] = [this.sink.position(), this.head];
    if (head === null) return;
    if (at !== null && at.epoch === head.epoch && at.seq >= head.seq) {
      this.head = null;
      this.state("live");
    }
  }

  /** Called at every sign of life of the connection. */
  private restartWatchdog(): void {
    this.watchdog.set(this.silenceTimeout, () => {
      // Heartbeats may be configured to be less frequent, so the timeout grows.
      this.silenceTimeout = Math.min(this.silenceTimeout * 2, MAX_SILENCE_TIMEOUT);
      this.retryLater(0);
    });
  }
}

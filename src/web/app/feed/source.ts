import { backoff, type Connection, retryAfter, type Sink, Timer } from "./connection.ts";
import { type Cursor, cursor, type EventData, type Spec, written } from "./protocol.ts";

/** How long the browser's own reconnect may take before it is done here, milliseconds. */
const LEASH = 20_000;
/** The same after a stream that was refused: those come with a long wait. */
const LONG_LEASH = 90_000;
/** Silence after which a connection is taken for dead. The server says something every 15 s, unless configured. */
const SILENCE = 45_000;
const MOST_SILENCE = 16 * 60_000;

/** Why there is no ticket. */
class Refused {
  constructor(
    /** How long to stay away, milliseconds. */
    readonly wait: number,
    /** Why there will never be one. */
    readonly reason: string | null,
  ) {}
}

/**
 * The stream, through an `EventSource`.
 *
 * A stream that breaks is first left to the browser, which knows how long the server wants it to wait. When its attempt
 * fails, or when it gives up, as it does at every status but 200, attempts are made here, with waits that can be shown.
 */
export class Source implements Connection {
  private source: EventSource | null = null;
  private readonly retry = new Timer();
  private readonly watch = new Timer();
  private silence = SILENCE;
  private failures = 0;
  private closed = false;
  private online = true;
  private generation = 0;

  constructor(
    private readonly spec: Spec,
    private readonly sink: Sink,
  ) {
    this.state("connecting");
    void this.open();
  }

  close(): void {
    this.closed = true;
    this.drop();
  }

  hurry(): void {
    if (!this.closed && this.source?.readyState !== EventSource.OPEN) this.anew();
  }

  network(online: boolean): void {
    if (online === this.online || this.closed) return;
    this.online = online;
    if (online) {
      this.failures = 0;
      this.anew();
    } else {
      this.drop();
      this.state("offline");
    }
  }

  private anew(): void {
    this.drop();
    this.state("connecting");
    void this.open();
  }

  private drop(): void {
    this.generation += 1;
    this.retry.clear();
    this.watch.clear();
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
      if (ticket instanceof Refused) return ticket.reason === null ? this.later(ticket.wait) : this.end(ticket.reason);
      query.set("ticket", ticket);
    }
    const at = this.sink.position();
    if (at !== null) query.set("last_event_id", written(at));
    this.listen(new EventSource(new URL(`api/events?${query}`, this.spec.base)));
  }

  /**
   * Exchanges the key for what may stand in an address. It is good for one connection, and becomes a cookie, with which
   * the browser reconnects. Asked for anew at each attempt made here: the cookie is that of whoever came in last.
   */
  private async ticket(): Promise<string | Refused> {
    try {
      const headers = { authorization: `Bearer ${this.spec.key}` };
      const response = await fetch(new URL("api/events/tickets", this.spec.base), { method: "POST", headers });
      if (response.ok) return ((await response.json()) as { ticket: string }).ticket;
      if (response.status === 401) return new Refused(0, "The key is no longer good.");
      if (response.status === 403) return new Refused(0, "The key may not read the store.");
      return new Refused(retryAfter(response), null);
    } catch {
      return new Refused(0, null);
    }
  }

  /** Comes back after a while, at least `least` milliseconds. */
  private later(least: number): void {
    this.drop();
    const wait = Math.max(least, backoff(this.failures));
    this.failures += 1;
    this.state("reconnecting", Date.now() + wait);
    this.retry.set(wait, () => this.anew());
  }

  private listen(source: EventSource): void {
    this.source = source;
    // Whether the server has accepted us since the last failure, and whether it has greeted us.
    let [accepted, greeted] = [false, false];
    const heard = (event: MessageEvent<string>): void => {
      this.hark();
      const at = cursor(event.lastEventId);
      if (!greeted || at === null) return;
      this.sink.passed(at);
      this.caughtUp();
    };
    this.hark();
    source.addEventListener("open", () => {
      accepted = true;
      this.hark();
    });
    source.addEventListener("connected", (event: MessageEvent<string>) => {
      this.hark();
      [greeted, this.failures] = [true, 0];
      this.greeted(event);
    });
    source.addEventListener("stream-reset", (event: MessageEvent<string>) => {
      this.hark();
      const at = cursor(event.lastEventId);
      if (at !== null) this.sink.reset(at, (JSON.parse(event.data) as { reason: string }).reason);
      this.head = null;
      this.state("live");
    });
    source.addEventListener("heartbeat", heard);
    source.addEventListener("message", (event: MessageEvent<string>) => {
      const data = JSON.parse(event.data) as EventData;
      if (data.type === "stats") {
        heard(event);
        this.sink.stats(data);
      } else {
        this.hark();
        this.sink.event({ id: event.lastEventId, data });
        this.caughtUp();
      }
    });
    source.addEventListener("error", () => {
      if (this.closed || this.source !== source) return;
      this.watch.clear();
      if (accepted && source.readyState !== EventSource.CLOSED) {
        this.state("reconnecting");
        this.retry.set(greeted ? LEASH : LONG_LEASH, () => this.later(0));
      } else {
        this.later(0);
      }
      [accepted, greeted] = [false, false];
    });
  }

  /** The head of the log when the stream began: until then it is catching up. */
  private head: Cursor | null = null;

  private greeted(event: MessageEvent<string>): void {
    const { resumed, epoch, head } = JSON.parse(event.data) as { resumed: boolean; epoch: string; head: number };
    this.retry.clear();
    const at = cursor(event.lastEventId);
    // Where it does not go on from where we were, a reset follows.
    if (at !== null && (resumed || this.sink.position() === null)) this.sink.connected(at);
    this.head = { epoch, seq: head };
    this.state("catching-up");
    this.caughtUp();
  }

  private caughtUp(): void {
    const [at, head] = [this.sink.position(), this.head];
    if (head === null) return;
    if (at !== null && at.epoch === head.epoch && at.seq >= head.seq) {
      this.head = null;
      this.state("live");
    }
  }

  /** Something was heard: the connection is not dead. */
  private hark(): void {
    this.watch.set(this.silence, () => {
      // Where heartbeats come more rarely than that, the next silence may be longer.
      this.silence = Math.min(this.silence * 2, MOST_SILENCE);
      this.later(0);
    });
  }
}

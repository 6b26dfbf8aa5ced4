import { ApiError } from "../api.ts";
import { type Link, link } from "./link.ts";
import { type Cursor, cursor, type FromHost, type LiveEvent, type Spec, type State, written } from "./protocol.ts";

/** What a reader of events has to be able to do. */
export interface Reader {
  /** Reads everything anew; the cursor that all of it is consistent with. */
  load(signal: AbortSignal): Promise<string>;
  /** The events behind a cursor, asked of the server itself; null where it can't tell. */
  fetchSince(at: string, signal: AbortSignal): Promise<{ events: readonly LiveEvent[]; cursor: string } | null>;
  /** Takes in events, in their order, each of them once. */
  apply(events: readonly LiveEvent[]): void;
  stats(data: unknown): void;
  state(state: State): void;
  /** What was known is being read anew, for that reason; null: it has been. */
  rereading(reason: string | null): void;
}

/** How long to wait before what could not be read is asked for again, milliseconds, at least and at most. */
const AGAIN = 1_000;
const MOST_AGAIN = 30_000;

/** The wait after a failure; `n` of them came before. */
function wait(failure: unknown, n: number): number {
  const told = failure instanceof ApiError ? Number(failure.retryAfter ?? 0) * 1_000 : 0;
  return Math.max(Number.isFinite(told) ? told : 0, Math.min(MOST_AGAIN, AGAIN * 2 ** n));
}

/**
 * Keeps a reader in step with the log. Snapshots are read by the tab itself, events come from the host; what came while
 * a snapshot was being read is held back, what it missed is asked for, and an event is taken in only behind the one
 * before it.
 */
export class Sync {
  private readonly link: Link;
  private at: Cursor | null = null;
  /** Events that can't be taken in yet. */
  private held: LiveEvent[] | null = [];
  private asked = 0;
  /** How often in a row the host could not tell. */
  private unknown = 0;
  private work = new AbortController();

  constructor(
    private readonly spec: Spec,
    private readonly reader: Reader,
  ) {
    this.link = link(spec, (message) => this.hear(message));
    addEventListener("online", this.network);
    addEventListener("offline", this.network);
    addEventListener("pageshow", this.awake);
    addEventListener("pagehide", this.asleep);
    document.addEventListener("resume", this.awake);
    this.hello();
    if (!navigator.onLine) this.network();
    void this.reload();
  }

  close(): void {
    this.work.abort();
    removeEventListener("online", this.network);
    removeEventListener("offline", this.network);
    removeEventListener("pageshow", this.awake);
    removeEventListener("pagehide", this.asleep);
    document.removeEventListener("resume", this.awake);
    this.link.close();
  }

  /** Tries to connect now. */
  hurry(): void {
    this.link.send({ t: "hurry" });
  }

  private readonly network = (): void => this.link.send({ t: "network", online: navigator.onLine });

  private readonly asleep = (): void => this.link.send({ t: "bye" });

  /** Back from the cache of pages, or from being frozen: what was said meanwhile may never arrive. */
  private readonly awake = (event: Event): void => {
    if (event instanceof PageTransitionEvent && !event.persisted) return;
    this.hello();
    this.resume();
  };

  private hello(): void {
    this.link.send({ t: "hello", spec: this.spec, from: this.at === null ? null : written(this.at) });
  }

  private hear(message: FromHost): void {
    switch (message.t) {
      case "state":
        return this.reader.state(message.state);
      case "stats":
        return this.reader.stats(message.data);
      case "alive?":
        return this.link.send({ t: "alive" });
      case "reset":
        this.reader.rereading(message.reason);
        return void this.reload();
      case "anew":
        this.hello();
        return this.resume();
      case "events":
        return this.take(message.events);
      case "replay":
        return this.replay(message);
    }
  }

  private take(events: readonly LiveEvent[]): void {
    if (this.held !== null) this.held.push(...events);
    else if (!this.apply(events)) this.resume();
  }

  /** Asks what came behind where we are, unless a snapshot is on its way, after which it is asked anyway. */
  private resume(): void {
    if (this.at === null) return;
    this.held ??= [];
    this.asked += 1;
    this.link.send({ t: "since", n: this.asked, cursor: written(this.at) });
  }

  private replay({ n, events }: Extract<FromHost, { t: "replay" }>): void {
    if (n !== this.asked || this.at === null || this.held === null) return;
    if (events === null) return void this.fill();
    const held = this.held;
    this.held = null;
    this.unknown = 0;
    if (!this.apply([...events, ...held])) this.resume();
    else this.reader.rereading(null);
  }

  /** Takes in what is new among `events`; whether it all followed on what we have. */
  private apply(events: readonly LiveEvent[]): boolean {
    const fresh: LiveEvent[] = [];
    let whole = true;
    for (const event of events) {
      const id = cursor(event.id);
      if (id === null || this.at === null || id.epoch !== this.at.epoch) {
        whole = false;
        break;
      }
      if (id.seq <= this.at.seq) continue;
      if (event.data.prev > this.at.seq) {
        whole = false;
        break;
      }
      this.at = id;
      fresh.push(event);
    }
    if (fresh.length > 0) this.reader.apply(fresh);
    return whole;
  }

  /** Reads the snapshot, however often it takes. */
  private async reload(): Promise<void> {
    const signal = this.begin();
    this.held ??= [];
    this.at = null;
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        const at = cursor(await this.reader.load(signal));
        if (signal.aborted) return;
        this.at = at;
        return this.resume();
      } catch (failure) {
        await pause(wait(failure, failures), signal);
      }
    }
  }

  /** Asks the server itself for what the host can't tell. */
  private async fill(): Promise<void> {
    const signal = this.begin();
    for (let failures = 0; !signal.aborted && this.at !== null; ) {
      try {
        const page = await this.reader.fetchSince(written(this.at), signal);
        if (signal.aborted) return;
        if (page === null) return void this.reload();
        this.apply(page.events);
        this.at = cursor(page.cursor) ?? this.at;
        failures = 0;
        if (page.events.length > 0) continue;
        // A host that knows another log than the server, or none: it will find out.
        await pause(Math.min(AGAIN, 50 * 2 ** this.unknown), signal);
        this.unknown += 1;
        if (!signal.aborted) this.resume();
        return;
      } catch (failure) {
        await pause(wait(failure, failures), signal);
        failures += 1;
      }
    }
  }

  /** The work that is going on is done with. */
  private begin(): AbortSignal {
    this.work.abort();
    this.work = new AbortController();
    return this.work.signal;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const id = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(id);
      resolve();
    });
  });
}

import { ApiError } from "../api.ts";
import { connectToHost, type HostLink } from "./link.ts";
import {
  type ConnectionSpec,
  type ConnectionState,
  type Cursor,
  type FromHost,
  formatCursor,
  type LiveEvent,
  parseCursor,
} from "./protocol.ts";

/** Uses the events that [Sync] delivers. */
export interface EventConsumer {
  /** Loads a snapshot. Returns the cursor after which events apply to it. */
  load(signal: AbortSignal): Promise<string>;
  /** Fetches the events after a cursor from the server; null if the server no longer has them. */
  fetchSince(at: string, signal: AbortSignal): Promise<{ events: readonly LiveEvent[]; cursor: string } | null>;
  /** Applies events, in order and each once. */
  apply(events: readonly LiveEvent[]): void;
  stats(data: unknown): void;
  state(state: ConnectionState): void;
  /** A new snapshot is being loaded for this reason; null: it has been loaded. */
  resetting(reason: string | null): void;
}

/** The bounds of the wait after a failed request, milliseconds. */
const MIN_RETRY_WAIT = 1_000;
const MAX_RETRY_WAIT = 30_000;

/** The wait after a failure with `n` failures before it: the server's `retry-after` or an exponential backoff. */
function retryWait(failure: unknown, n: number): number {
  const retryAfter = failure instanceof ApiError ? Number(failure.retryAfter ?? 0) * 1_000 : 0;
  return Math.max(Number.isFinite(retryAfter) ? retryAfter : 0, Math.min(MAX_RETRY_WAIT, MIN_RETRY_WAIT * 2 ** n));
}

/**
 * Keeps a consumer in sync with the event log. The tab loads snapshots itself; events come from the host. Events that
 * arrive while a snapshot is loading wait, missed ones are requested, and an event is applied only after its
 * predecessor.
 */
export class Sync {
  private readonly link: HostLink;
  private at: Cursor | null = null;
  /** Events that can't be applied yet; null: events can be applied at once. */
  private pending: LiveEvent[] | null = [];
  private lastRequest = 0;
  /** How many times in a row the host did not have the events. */
  private misses = 0;
  private task = new AbortController();

  constructor(
    private readonly spec: ConnectionSpec,
    private readonly consumer: EventConsumer,
  ) {
    this.link = connectToHost(spec, (message) => this.receive(message));
    addEventListener("online", this.reportNetwork);
    addEventListener("offline", this.reportNetwork);
    addEventListener("pageshow", this.onPageShow);
    addEventListener("pagehide", this.onPageHide);
    document.addEventListener("resume", this.onPageShow);
    this.hello();
    if (!navigator.onLine) this.reportNetwork();
    void this.reload();
  }

  close(): void {
    this.task.abort();
    removeEventListener("online", this.reportNetwork);
    removeEventListener("offline", this.reportNetwork);
    removeEventListener("pageshow", this.onPageShow);
    removeEventListener("pagehide", this.onPageHide);
    document.removeEventListener("resume", this.onPageShow);
    this.link.close();
  }

  /** Connects now instead of waiting. */
  hurry(): void {
    this.link.send({ t: "hurry" });
  }

  private readonly reportNetwork = (): void => this.link.send({ t: "network", online: navigator.onLine });

  private readonly onPageHide = (): void => this.link.send({ t: "bye" });

  /** The page is back from the back/forward cache or was frozen: messages may have been lost meanwhile. */
  private readonly onPageShow = (event: Event): void => {
    if (event instanceof PageTransitionEvent && !event.persisted) return;
    this.hello();
    this.resume();
  };

  private hello(): void {
    this.link.send({ t: "hello", spec: this.spec, from: this.at === null ? null : formatCursor(this.at) });
  }

  private receive(message: FromHost): void {
    switch (message.t) {
      case "state":
        return this.consumer.state(message.state);
      case "stats":
        return this.consumer.stats(message.data);
      case "alive?":
        return this.link.send({ t: "alive" });
      case "reset":
        this.consumer.resetting(message.reason);
        return void this.reload();
      case "anew":
        this.hello();
        return this.resume();
      case "events":
        return this.receiveEvents(message.events);
      case "replay":
        return this.replay(message);
    }
  }

  private receiveEvents(events: readonly LiveEvent[]): void {
    if (this.pending !== null) this.pending.push(...events);
    else if (!this.apply(events)) this.resume();
  }

  /** Requests the events after the current position; without one, a snapshot is loading, after which this runs. */
  private resume(): void {
    if (this.at === null) return;
    this.pending ??= [];
    this.lastRequest += 1;
    this.link.send({ t: "since", n: this.lastRequest, cursor: formatCursor(this.at) });
  }

  private replay({ n, events }: Extract<FromHost, { t: "replay" }>): void {
    if (n !== this.lastRequest || this.at === null || this.pending === null) return;
    if (events === null) return void this.fetchMissing();
    const pending = this.pending;
    this.pending = null;
    this.misses = 0;
    if (!this.apply([...events, ...pending])) this.resume();
    else this.consumer.resetting(null);
  }

  /** Applies the new ones of `events`. Returns false if one did not follow the current position. */
  private apply(events: readonly LiveEvent[]): boolean {
    const fresh: LiveEvent[] = [];
    let contiguous = true;
    for (const event of events) {
      const id = parseCursor(event.id);
      if (id === null || this.at === null || id.epoch !== this.at.epoch) {
        contiguous = false;
        break;
      }
      if (id.seq <= this.at.seq) continue;
      if (event.data.prev > this.at.seq) {
        contiguous = false;
        break;
      }
      this.at = id;
      fresh.push(event);
    }
    if (fresh.length > 0) this.consumer.apply(fresh);
    return contiguous;
  }

  /** Loads the snapshot, with retries until it succeeds. */
  private async reload(): Promise<void> {
    const signal = this.startTask();
    this.pending ??= [];
    this.at = null;
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        const at = parseCursor(await this.consumer.load(signal));
        if (signal.aborted) return;
        this.at = at;
        return this.resume();
      } catch (failure) {
        await pause(retryWait(failure, failures), signal);
      }
    }
  }

  /** Fetches from the server the events that the host does not have. */
  private async fetchMissing(): Promise<void> {
    const signal = this.startTask();
    for (let failures = 0; !signal.aborted && this.at !== null; ) {
      try {
        const page = await this.consumer.fetchSince(formatCursor(this.at), signal);
        if (signal.aborted) return;
        if (page === null) return void this.reload();
        this.apply(page.events);
        this.at = parseCursor(page.cursor) ?? this.at;
        failures = 0;
        if (page.events.length > 0) continue;
        // The host is behind the server or follows another log; it will catch up or reset.
        await pause(Math.min(MIN_RETRY_WAIT, 50 * 2 ** this.misses), signal);
        this.misses += 1;
        if (!signal.aborted) this.resume();
        return;
      } catch (failure) {
        await pause(retryWait(failure, failures), signal);
        failures += 1;
      }
    }
  }

  /** Aborts the current task; returns the signal for a new one. */
  private startTask(): AbortSignal {
    this.task.abort();
    this.task = new AbortController();
    return this.task.signal;
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

import type { EventConnection, Sink } from "./connection.ts";
import { PollConnection } from "./poll.ts";
import {
  type ConnectionSpec,
  type ConnectionState,
  type Cursor,
  type FromHost,
  type LiveEvent,
  parseCursor,
  type ToHost,
} from "./protocol.ts";
import { StreamConnection } from "./stream.ts";

/** Number of events kept for tabs that connect later or were suspended. */
const MAX_KEPT_EVENTS = 2_000;

/** The state of a tab at its host. */
export interface HostedTab {
  send(message: FromHost): void;
}

/** Owns the connection that tabs share and distributes its events to them. */
export class Host implements Sink {
  private readonly tabs = new Set<HostedTab>();
  private readonly waitingRequests = new Map<HostedTab, Extract<ToHost, { t: "since" }>>();
  private readonly connection: EventConnection;
  private lastState: ConnectionState;
  /** The position before the first event of `kept`. */
  private base: Cursor | null;
  private at: Cursor | null;
  private kept: LiveEvent[] = [];
  private batch: LiveEvent[] = [];

  /** Starts after the cursor `from`, or with the next event if it is null. */
  constructor(spec: ConnectionSpec, from: string | null) {
    this.base = from === null ? null : parseCursor(from);
    this.at = this.base;
    this.lastState = { phase: "connecting", transport: spec.transport };
    this.connection = spec.transport === "poll" ? new PollConnection(spec, this) : new StreamConnection(spec, this);
  }

  /** Adds a tab; one that is known gets the state again. */
  join(tab: HostedTab): void {
    this.tabs.add(tab);
    tab.send({ t: "state", state: this.lastState });
  }

  /** Removes a tab. Returns whether others are left. */
  leave(tab: HostedTab): boolean {
    this.tabs.delete(tab);
    this.waitingRequests.delete(tab);
    return this.tabs.size > 0;
  }

  receive(tab: HostedTab, message: ToHost): void {
    if (message.t === "since") this.since(tab, message);
    else if (message.t === "hurry") this.connection.hurry();
    else if (message.t === "network") this.connection.network(message.online);
  }

  close(): void {
    this.connection.close();
    this.tabs.clear();
  }

  position(): Cursor | null {
    return this.at;
  }

  connected(from: Cursor): void {
    if (this.at === null) {
      this.base = from;
      this.at = from;
    }
    for (const [tab, request] of this.waitingRequests) this.since(tab, request);
  }

  event(event: LiveEvent): void {
    const id = parseCursor(event.id);
    if (id === null) return;
    const at = this.at;
    if (at !== null && id.epoch === at.epoch) {
      if (id.seq <= at.seq) return;
      // The event before this one must be at or before `at`; otherwise an event was lost.
      if (event.data.prev > at.seq) return this.reset(id, "gap");
    } else if (at !== null) {
      return this.reset(id, "other-epoch");
    }
    this.base ??= { epoch: id.epoch, seq: event.data.prev };
    this.at = id;
    this.keep(event);
    if (this.batch.push(event) === 1) queueMicrotask(() => this.flush());
  }

  passed(to: Cursor): void {
    if (this.at === null) return this.connected(to);
    if (to.epoch === this.at.epoch && to.seq > this.at.seq) this.at = to;
  }

  reset(at: Cursor, reason: string): void {
    this.flush();
    [this.base, this.at, this.kept] = [at, at, []];
    this.waitingRequests.clear();
    this.broadcast({ t: "reset", reason });
  }

  stats(data: unknown): void {
    this.broadcast({ t: "stats", data });
  }

  state(state: ConnectionState): void {
    if (JSON.stringify(state) === JSON.stringify(this.lastState)) return;
    this.lastState = state;
    this.flush();
    this.broadcast({ t: "state", state });
  }

  private keep(event: LiveEvent): void {
    this.kept.push(event);
    if (this.kept.length <= MAX_KEPT_EVENTS * 1.25) return;
    const dropped = this.kept.splice(0, this.kept.length - MAX_KEPT_EVENTS);
    this.base = parseCursor(dropped.at(-1)?.id ?? "") ?? this.base;
  }

  private flush(): void {
    const events = this.batch;
    this.batch = [];
    if (events.length > 0) this.broadcast({ t: "events", events });
  }

  private broadcast(message: FromHost): void {
    for (const tab of this.tabs) tab.send(message);
  }

  private since(tab: HostedTab, request: Extract<ToHost, { t: "since" }>): void {
    if (this.at === null || this.base === null) {
      this.waitingRequests.set(tab, request);
      return;
    }
    this.waitingRequests.delete(tab);
    this.flush();
    const [after, { epoch, seq: base }] = [parseCursor(request.cursor), this.base];
    const isKept = after !== null && after.epoch === epoch && after.seq >= base;
    const isAfter = (event: LiveEvent): boolean => (parseCursor(event.id)?.seq ?? 0) > (after?.seq ?? 0);
    tab.send({ t: "replay", n: request.n, events: isKept ? this.kept.filter(isAfter) : null });
  }
}

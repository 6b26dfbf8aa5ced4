import type { Connection, Sink } from "./connection.ts";
import { Poll } from "./poll.ts";
import { type Cursor, cursor, type FromHost, type LiveEvent, type Spec, type State, type ToHost } from "./protocol.ts";
import { Source } from "./source.ts";

/** Events that are kept for tabs that come later, or that were asleep. */
const KEPT = 2_000;

/** A tab, as the host knows it. */
export interface Member {
  send(message: FromHost): void;
}

/** Holds the one connection that tabs share, and tells them all what it hears. */
export class Host implements Sink {
  private readonly members = new Set<Member>();
  private readonly waiting = new Map<Member, Extract<ToHost, { t: "since" }>>();
  private readonly connection: Connection;
  private last: State;
  /** The event before the first of `kept`. */
  private base: Cursor | null;
  private at: Cursor | null;
  private kept: LiveEvent[] = [];
  private batch: LiveEvent[] = [];

  /** A host whose stream begins behind `from`, or with what happens next. */
  constructor(spec: Spec, from: string | null) {
    this.base = from === null ? null : cursor(from);
    this.at = this.base;
    this.last = { phase: "connecting", transport: spec.transport };
    this.connection = spec.transport === "poll" ? new Poll(spec, this) : new Source(spec, this);
  }

  /** Takes a tab in, or greets it again. */
  join(member: Member): void {
    this.members.add(member);
    member.send({ t: "state", state: this.last });
  }

  /** Lets a tab go; whether others are left. */
  leave(member: Member): boolean {
    this.members.delete(member);
    this.waiting.delete(member);
    return this.members.size > 0;
  }

  hear(member: Member, message: ToHost): void {
    if (message.t === "since") this.since(member, message);
    else if (message.t === "hurry") this.connection.hurry();
    else if (message.t === "network") this.connection.network(message.online);
  }

  close(): void {
    this.connection.close();
    this.members.clear();
  }

  position(): Cursor | null {
    return this.at;
  }

  connected(from: Cursor): void {
    if (this.at === null) {
      this.base = from;
      this.at = from;
    }
    for (const [member, asked] of this.waiting) this.since(member, asked);
  }

  event(event: LiveEvent): void {
    const id = cursor(event.id);
    if (id === null) return;
    const at = this.at;
    if (at !== null && id.epoch === at.epoch) {
      if (id.seq <= at.seq) return;
      // Whoever has seen everything up to `at` has seen the event before this one, or it got lost.
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
    this.waiting.clear();
    this.tell({ t: "reset", reason });
  }

  stats(data: unknown): void {
    this.tell({ t: "stats", data });
  }

  state(state: State): void {
    if (JSON.stringify(state) === JSON.stringify(this.last)) return;
    this.last = state;
    this.flush();
    this.tell({ t: "state", state });
  }

  private keep(event: LiveEvent): void {
    this.kept.push(event);
    if (this.kept.length <= KEPT * 1.25) return;
    const gone = this.kept.splice(0, this.kept.length - KEPT);
    this.base = cursor(gone.at(-1)?.id ?? "") ?? this.base;
  }

  private flush(): void {
    const events = this.batch;
    this.batch = [];
    if (events.length > 0) this.tell({ t: "events", events });
  }

  private tell(message: FromHost): void {
    for (const member of this.members) member.send(message);
  }

  private since(member: Member, asked: Extract<ToHost, { t: "since" }>): void {
    if (this.at === null || this.base === null) {
      this.waiting.set(member, asked);
      return;
    }
    this.waiting.delete(member);
    this.flush();
    const [wanted, { epoch, seq: base }] = [cursor(asked.cursor), this.base];
    const known = wanted !== null && wanted.epoch === epoch && wanted.seq >= base;
    const behind = (event: LiveEvent): boolean => (cursor(event.id)?.seq ?? 0) > (wanted?.seq ?? 0);
    member.send({ t: "replay", n: asked.n, events: known ? this.kept.filter(behind) : null });
  }
}

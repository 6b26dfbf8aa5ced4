/** The messages between tabs and the host of their connection. */

/** A position in the event log: everything up to and including `seq` is known. */
export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

/** Parses `<epoch>.<seq>`. */
export function parseCursor(text: string): Cursor | null {
  const [, epoch, seq] = /^([a-z0-9]+)\.(\d+)$/.exec(text) ?? [];
  return epoch === undefined || seq === undefined ? null : { epoch, seq: Number(seq) };
}

export function formatCursor(at: Cursor): string {
  return `${at.epoch}.${at.seq}`;
}

/** An event of the log. */
export interface LiveEvent {
  readonly id: string;
  readonly data: EventData;
}

export interface EventData {
  readonly type: string;
  /** The resource's id. */
  readonly id: string;
  readonly version: number;
  /** The sequence number of the preceding event of this stream's topics. */
  readonly prev: number;
  readonly time: string;
  readonly resource: unknown;
  readonly old?: string;
  readonly new?: string;
}

/** The phase of the connection. */
export type Phase = "connecting" | "catching-up" | "live" | "reconnecting" | "offline" | "ended";

export interface ConnectionState {
  readonly phase: Phase;
  readonly transport: Transport;
  /** The time of the next attempt, if known, milliseconds since 1970. */
  readonly until?: number;
  /** Why the connection ended for good. */
  readonly reason?: string;
}

export type Transport = "sse" | "poll";

/** Describes a connection. Tabs with equal specs share it. */
export interface ConnectionSpec {
  /** The page's URL. */
  readonly base: string;
  readonly key: string | null;
  readonly topics: string;
  readonly transport: Transport;
}

export function specId(spec: ConnectionSpec): string {
  return JSON.stringify([spec.transport, spec.base, spec.topics, spec.key]);
}

export type ToHost =
  /** Joins the host; sent again by a tab that was suspended. `from` is its position, if any. */
  | { readonly t: "hello"; readonly spec: ConnectionSpec; readonly from: string | null }
  /** Requests the events after a cursor. */
  | { readonly t: "since"; readonly n: number; readonly cursor: string }
  | { readonly t: "alive" }
  /** Connect now instead of waiting. */
  | { readonly t: "hurry" }
  | { readonly t: "network"; readonly online: boolean }
  | { readonly t: "bye" };

export type FromHost =
  | { readonly t: "state"; readonly state: ConnectionState }
  | { readonly t: "events"; readonly events: readonly LiveEvent[] }
  /** The answer to `since`; null: the host does not have these events. */
  | { readonly t: "replay"; readonly n: number; readonly events: readonly LiveEvent[] | null }
  /** The tab must load a new snapshot. */
  | { readonly t: "reset"; readonly reason: string }
  | { readonly t: "stats"; readonly data: unknown }
  | { readonly t: "alive?" }
  /** There is a new host, to which tabs must send `hello`. */
  | { readonly t: "anew" };

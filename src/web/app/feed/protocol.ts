/** What tabs and the one who holds their connection say to each other. */

/** A place in the log: everything up to and including `seq` has been seen. */
export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

/** Reads `<epoch>.<seq>`. */
export function cursor(text: string): Cursor | null {
  const [, epoch, seq] = /^([a-z0-9]+)\.(\d+)$/.exec(text) ?? [];
  return epoch === undefined || seq === undefined ? null : { epoch, seq: Number(seq) };
}

export function written(at: Cursor): string {
  return `${at.epoch}.${at.seq}`;
}

/** An event of the log. */
export interface LiveEvent {
  readonly id: string;
  readonly data: EventData;
}

export interface EventData {
  readonly type: string;
  /** Of the resource. */
  readonly id: string;
  readonly version: number;
  /** The number of the event before it among the topics of this stream. */
  readonly prev: number;
  readonly time: string;
  readonly resource: unknown;
  readonly old?: string;
  readonly new?: string;
}

/** How the connection is. */
export type Phase = "connecting" | "catching-up" | "live" | "reconnecting" | "offline" | "ended";

export interface State {
  readonly phase: Phase;
  readonly transport: Transport;
  /** When the next attempt is made, where that is known: milliseconds since 1970. */
  readonly until?: number;
  /** Why it ended for good. */
  readonly reason?: string;
}

export type Transport = "sse" | "poll";

/** Which connection. Tabs that ask for the same one share it. */
export interface Spec {
  /** Where the page is. */
  readonly base: string;
  readonly key: string | null;
  readonly topics: string;
  readonly transport: Transport;
}

export function specId(spec: Spec): string {
  return JSON.stringify([spec.transport, spec.base, spec.topics, spec.key]);
}

export type ToHost =
  /** Also said again by a tab that was asleep. `from` is where it stands, if anywhere. */
  | { readonly t: "hello"; readonly spec: Spec; readonly from: string | null }
  /** Which events came after this cursor? */
  | { readonly t: "since"; readonly n: number; readonly cursor: string }
  | { readonly t: "alive" }
  /** Somebody does not want to wait. */
  | { readonly t: "hurry" }
  | { readonly t: "network"; readonly online: boolean }
  | { readonly t: "bye" };

export type FromHost =
  | { readonly t: "state"; readonly state: State }
  | { readonly t: "events"; readonly events: readonly LiveEvent[] }
  /** The answer to `since`; null: it is not known here what came after that. */
  | { readonly t: "replay"; readonly n: number; readonly events: readonly LiveEvent[] | null }
  /** What is known has to be read anew. */
  | { readonly t: "reset"; readonly reason: string }
  | { readonly t: "stats"; readonly data: unknown }
  | { readonly t: "alive?" }
  /** There is another host now: say hello. */
  | { readonly t: "anew" };

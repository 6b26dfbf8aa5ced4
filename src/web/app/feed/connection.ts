import type { ConnectionState, Cursor, LiveEvent } from "./protocol.ts";

/** Receives what a connection delivers. */
export interface Sink {
  /** The position reached; null before the first connection. */
  position(): Cursor | null;
  /** The stream continues after `from`. */
  connected(from: Cursor): void;
  event(event: LiveEvent): void;
  /** The stream has reached this position without an event, by a heartbeat. */
  passed(cursor: Cursor): void;
  /** The stream continues from here; events before may be lost. */
  reset(at: Cursor, reason: string): void;
  stats(data: unknown): void;
  state(state: ConnectionState): void;
}

/** A connection that delivers events, by a stream or by polling. */
export interface EventConnection {
  close(): void;
  /** Connects now instead of waiting. */
  hurry(): void;
  network(online: boolean): void;
}

const MIN_BACKOFF = 1_000;
const MAX_BACKOFF = 30_000;

/** The wait before attempt `n`, milliseconds: exponential, with 25 % jitter. */
export function backoff(n: number): number {
  return Math.min(MAX_BACKOFF, MIN_BACKOFF * 2 ** n) * (0.75 + Math.random() / 2);
}

/** The `retry-after` of a response, milliseconds; 0 if none, at most 600 s. */
export function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("retry-after"));
  return Number.isFinite(seconds) ? Math.min(seconds, 600) * 1_000 : 0;
}

/** A timer with at most one pending callback. */
export class Timer {
  private id: ReturnType<typeof setTimeout> | undefined;

  set(ms: number, run: () => void): void {
    clearTimeout(this.id);
    this.id = setTimeout(run, ms);
  }

  clear(): void {
    clearTimeout(this.id);
    this.id = undefined;
  }
}

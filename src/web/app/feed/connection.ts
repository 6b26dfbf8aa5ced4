import type { Cursor, LiveEvent, State } from "./protocol.ts";

/** Where a connection puts what it hears. */
export interface Sink {
  /** What has been heard so far; null before the first connection. */
  position(): Cursor | null;
  /** The stream goes on behind `from`. */
  connected(from: Cursor): void;
  event(event: LiveEvent): void;
  /** Everything up to here has been heard, though there was no event to tell so. */
  passed(cursor: Cursor): void;
  /** The stream goes on from here, and what was before may be lost. */
  reset(at: Cursor, reason: string): void;
  stats(data: unknown): void;
  state(state: State): void;
}

/** A way to hear of events. */
export interface Connection {
  close(): void;
  /** Tries now rather than later. */
  hurry(): void;
  network(online: boolean): void;
}

const FIRST = 1_000;
const LAST = 30_000;

/** The wait before attempt `n`, milliseconds: twice as long each time, and not the same for everybody. */
export function backoff(n: number): number {
  return Math.min(LAST, FIRST * 2 ** n) * (0.75 + Math.random() / 2);
}

/** The wait that a refusal asks for, milliseconds; 0 if none. */
export function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("retry-after"));
  return Number.isFinite(seconds) ? Math.min(seconds, 600) * 1_000 : 0;
}

/** A timer of which there is one at most. */
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

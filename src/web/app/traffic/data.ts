import { type ApiError, explain } from "../api.ts";
import type { Session } from "../session.ts";
import type { Model } from "../store/model.ts";

export interface Percentiles {
  readonly p50: number | null;
  readonly p99: number | null;
}

export interface Sample {
  /** Milliseconds since 1970. */
  readonly t: number;
  readonly requests: number;
  readonly streams: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly firstToken: Percentiles;
  readonly gap: Percentiles;
}

export interface Upstream {
  readonly model: string;
  readonly target: string;
  readonly state: "in" | "out" | "probing";
  readonly outUntil: string | null;
  readonly inFlight: number;
  readonly failuresInARow: number;
  readonly idleConnections: number;
}

export interface Refusals {
  readonly limit: string;
  readonly whose: string;
  readonly refused: number;
}

export interface Recent {
  readonly id: string | null;
  readonly at: string;
  readonly key: string;
  readonly model: string;
  readonly target: string | null;
  readonly streamed: boolean;
  readonly status: number;
  readonly terminal: string;
  readonly reason: string | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly source: string | null;
  readonly firstTokenMs: number | null;
  readonly durationMs: number;
  readonly attempts: number;
}

interface Present {
  readonly upstreams: readonly Upstream[];
  readonly limits: readonly Refusals[];
  readonly recent: readonly Recent[];
  readonly subscribers: number;
}
type Tick = Present & { readonly sample: Sample };
type Whole = Present & { readonly samples: readonly Sample[]; readonly started: string; readonly version: string };

const MOST_SAMPLES = 300;
const MOST_RECENT = 100;
/** A tick was missed, milliseconds. */
const MISSED = 2_500;
/** Between two questions where nothing tells us, milliseconds. */
const POLL = 2_000;
/** No tick for so long: nothing tells us. */
const SILENT = 5_000;

/** What the server does: the last five minutes, and on from there. */
export class Stats {
  samples: Sample[] = [];
  recent: Recent[] = [];
  present: Omit<Present, "recent"> = { upstreams: [], limits: [], subscribers: 0 };
  server: { readonly started: string; readonly version: string } | null = null;
  /** Why there is nothing new. */
  trouble: string | null = null;
  private ticked = 0;
  private asking = false;
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly unlisten: () => void;

  constructor(
    private readonly session: Session,
    model: Model | null,
    private readonly onchange: () => void,
    /** Whether anybody looks. */
    private readonly watched: () => boolean,
  ) {
    // First listen, then ask: so nothing is missed.
    this.unlisten = model?.listen("stats", (data) => this.tick(data as Tick)) ?? (() => {});
    void this.ask();
    this.timer = setInterval(() => {
      if (Date.now() - this.ticked > SILENT && this.watched()) void this.ask();
    }, POLL);
  }

  close(): void {
    clearInterval(this.timer);
    this.unlisten();
  }

  private tick(tick: Tick): void {
    this.ticked = Date.now();
    const last = this.samples.at(-1);
    this.take(tick, [tick.sample]);
    if (last !== undefined && tick.sample.t - last.t > MISSED) void this.ask();
  }

  private async ask(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      const whole = await this.session.json<Whole>("api/stats");
      this.server = { started: whole.started, version: whole.version };
      this.trouble = null;
      this.take(whole, whole.samples);
    } catch (failure) {
      this.trouble = explain(failure as ApiError);
      this.onchange();
    } finally {
      this.asking = false;
    }
  }

  private take(present: Present, samples: readonly Sample[]): void {
    const known = new Map(this.samples.map((sample) => [sample.t, sample]));
    for (const sample of samples) known.set(sample.t, sample);
    this.samples = [...known.values()].sort((a, b) => a.t - b.t).slice(-MOST_SAMPLES);
    const name = ({ id, at, key }: Recent): string => id ?? `${at} ${key}`;
    const ended = new Map([...present.recent, ...this.recent].map((entry) => [name(entry), entry]));
    this.recent = [...ended.values()].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, MOST_RECENT);
    this.present = present;
    this.onchange();
  }
}

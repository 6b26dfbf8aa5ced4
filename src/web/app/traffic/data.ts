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

export interface RecentRequest {
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

/** The configuration in force, and what was found when it was read last. */
export interface Configuration {
  readonly loadedAt: string;
  /** None: the settings in force are those of the file. */
  readonly errorCount: number;
  /** At most 20 of them. */
  readonly errors: readonly string[];
  readonly needsRestart: readonly string[];
}

/** The last sample of a replica. Another version of the server may leave parts out. */
export interface Replica {
  readonly replica: string;
  readonly started?: string;
  readonly version?: string;
  readonly subscribers?: number;
  readonly sample?: Sample | null;
}

interface CurrentStats {
  /** The name of the replica that answers, and the number of replicas. */
  readonly replica: string;
  readonly liveReplicas: number;
  readonly upstreams: readonly Upstream[];
  readonly limits: readonly Refusals[];
  readonly recent: readonly RecentRequest[];
  readonly subscribers: number;
  readonly configuration: Configuration | null;
}
type Tick = CurrentStats & { readonly sample: Sample };
type StatsSnapshot = CurrentStats & {
  readonly samples: readonly Sample[];
  /** Null while Redis can't be reached. */
  readonly replicas: readonly Replica[] | null;
  readonly started: string;
  readonly version: string;
};

const MAX_SAMPLES = 300;
const MAX_RECENT = 100;
/** Samples farther apart than this mean that a tick was missed, milliseconds. */
const MISSED_TICK_MS = 2_500;
/** The interval of requests without ticks, milliseconds. */
const POLL_INTERVAL = 2_000;
/** Without a tick for this long, the statistics are requested, milliseconds. */
const SILENCE_TIMEOUT = 5_000;

/** The server's statistics: the last five minutes, updated by ticks or polling. */
export class Stats {
  samples: Sample[] = [];
  recent: RecentRequest[] = [];
  current: Omit<CurrentStats, "recent"> = {
    replica: "",
    liveReplicas: 1,
    upstreams: [],
    limits: [],
    subscribers: 0,
    configuration: null,
  };
  /** None while they are not known. */
  replicas: readonly Replica[] = [];
  server: { readonly started: string; readonly version: string } | null = null;
  /** Why the last request failed. */
  error: string | null = null;
  private lastTick = 0;
  private isLoading = false;
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly unlisten: () => void;

  constructor(
    private readonly session: Session,
    model: Model | null,
    private readonly onchange: () => void,
    /** Whether the view is visible. */
    private readonly isVisible: () => boolean,
  ) {
    // Listens before it requests the snapshot, so that no tick is missed.
    this.unlisten = model?.listen("stats", (data) => this.tick(data as Tick)) ?? (() => {});
    void this.load();
    this.timer = setInterval(() => {
      // Ticks have the activity of one replica.
      const isIncomplete = this.current.liveReplicas > 1 || Date.now() - this.lastTick > SILENCE_TIMEOUT;
      if (isIncomplete && this.isVisible()) void this.load();
    }, POLL_INTERVAL);
  }

  close(): void {
    clearInterval(this.timer);
    this.unlisten();
  }

  private tick(tick: Tick): void {
    this.lastTick = Date.now();
    const last = this.samples.at(-1);
    this.merge(tick, [tick.sample]);
    // After a failed request too: it may have failed while ticks came again, which would hide it from the timer.
    const isIncomplete = last !== undefined && tick.sample.t - last.t > MISSED_TICK_MS;
    if (isIncomplete || this.error !== null) void this.load();
  }

  private async load(): Promise<void> {
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      const snapshot = await this.session.json<StatsSnapshot>("api/stats?replicas=all");
      this.replicas = snapshot.replicas ?? [];
      this.server = { started: snapshot.started, version: snapshot.version };
      this.error = null;
      this.merge(snapshot, snapshot.samples);
    } catch (failure) {
      this.error = explain(failure as ApiError);
      this.onchange();
    } finally {
      this.isLoading = false;
    }
  }

  private merge(current: CurrentStats, samples: readonly Sample[]): void {
    const known = new Map(this.samples.map((sample) => [sample.t, sample]));
    for (const sample of samples) known.set(sample.t, sample);
    this.samples = [...known.values()].sort((a, b) => a.t - b.t).slice(-MAX_SAMPLES);
    const keyOf = ({ id, at, key }: RecentRequest): string => id ?? `${at} ${key}`;
    const byRequest = new Map([...current.recent, ...this.recent].map((entry) => [keyOf(entry), entry]));
    this.recent = [...byRequest.values()].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, MAX_RECENT);
    this.current = current;
    this.onchange();
  }
}

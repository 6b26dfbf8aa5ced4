import type { Inventory, Order, Page, Pet } from "../api.ts";
import type { ConnectionSpec, ConnectionState, EventData, LiveEvent } from "../feed/protocol.ts";
import { type EventConsumer, Sync } from "../feed/sync.ts";
import { BASE, type Session } from "../session.ts";

/** The most pets and the most open orders that are loaded; filters apply to these. */
const MAX_ROWS = 2_000;
/** The most orders with closed ones, which are loaded last. */
const MAX_ROWS_WITH_CLOSED = 3_000;
const OPEN = "PLACED,APPROVED,SHIPPED";
const CLOSED = "DELIVERED,CANCELLED";
/** The most events that are kept for the list. */
const MAX_EVENTS = 200;
/** The most events from before the page was opened. */
const INITIAL_EVENTS = 60;

/** The type of an entry that marks a reset: events before it may be missing. */
export const RESET = "reset";

/** An entry of the list of events. */
export interface EventEntry {
  readonly id: string;
  readonly data: EventData;
  /** Whether it happened before the page was opened. */
  readonly past: boolean;
}

export interface Changes {
  readonly pets: ReadonlySet<string>;
  readonly orders: ReadonlySet<string>;
  /** A new snapshot was loaded: anything may have changed. */
  readonly all: boolean;
}

export interface ConnectionStatus {
  readonly state: ConnectionState;
  /** Why a new snapshot is being loaded. */
  readonly resetting: string | null;
  /** The time of the last reset, and its reason. */
  readonly lastReset: { readonly at: number; readonly reason: string } | null;
}

type Listeners = {
  changes: Set<(changes: Changes) => void>;
  connection: Set<(connection: ConnectionStatus) => void>;
  stats: Set<(data: unknown) => void>;
};

/** Rows by id. The newest version of a row wins; removed rows are remembered with their version. */
class VersionedTable<T extends { readonly id: string; readonly version: number }> {
  rows = new Map<string, T>();
  private removed = new Map<string, number>();

  put(row: T): boolean {
    const [known, removed] = [this.rows.get(row.id), this.removed.get(row.id)];
    if ((known !== undefined && known.version >= row.version) || (removed !== undefined && removed >= row.version))
      return false;
    this.rows.set(row.id, row);
    return true;
  }

  remove(id: string, version: number): void {
    this.removed.set(id, version);
    this.rows.delete(id);
  }
}

/** The state of the store in this tab, kept up to date by events. */
export class Model implements EventConsumer {
  private petTable = new VersionedTable<Pet>();
  private orderTable = new VersionedTable<Order>();
  inventory: Inventory | null = null;
  /** The newest first. */
  events: EventEntry[] = [];
  /** Whether there are more rows than are loaded. */
  partial = false;
  loaded = false;
  connection: ConnectionStatus;
  private readonly listeners: Listeners = { changes: new Set(), connection: new Set(), stats: new Set() };
  private readonly sync: Sync;

  constructor(
    private readonly session: Session,
    transport: ConnectionSpec["transport"],
  ) {
    const topics = ["pets", "orders", "inventory", "notifications"];
    // Ephemeral events: they have no cursor, so polling can't deliver them.
    if (session.hasScope("stats") && transport === "sse") topics.push("stats");
    this.connection = { state: { phase: "connecting", transport }, resetting: null, lastReset: null };
    this.sync = new Sync({ base: BASE, key: session.key, topics: topics.join(","), transport }, this);
  }

  get pets(): ReadonlyMap<string, Pet> {
    return this.petTable.rows;
  }

  get orders(): ReadonlyMap<string, Order> {
    return this.orderTable.rows;
  }

  /** Calls `listener` at every change of this kind, until the returned function is called. */
  listen<K extends keyof Listeners>(kind: K, listener: Listeners[K] extends Set<infer F> ? F : never): () => void {
    const listeners = this.listeners[kind] as Set<typeof listener>;
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  close(): void {
    this.sync.close();
  }

  hurry(): void {
    this.sync.hurry();
  }

  /** Applies the response to a change, which may arrive before the event. */
  update(row: { pet?: Pet; order?: Order }): void {
    const [pets, orders] = [new Set<string>(), new Set<string>()];
    if (row.pet !== undefined && this.petTable.put(row.pet)) pets.add(row.pet.id);
    if (row.order !== undefined && this.orderTable.put(row.order)) orders.add(row.order.id);
    this.changed({ pets, orders, all: false });
  }

  async load(signal: AbortSignal): Promise<string> {
    const [pets, orders] = [new VersionedTable<Pet>(), new VersionedTable<Order>()];
    // The oldest cursor counts: events that the later responses contain already are ignored by their version.
    const inventory = await this.session.json<Inventory & { cursor: string }>("api/inventory", { signal });
    const morePets = await this.pages<Pet>("api/pets?limit=100", pets, signal);
    const moreOrders = await this.pages<Order>(`api/orders?limit=100&status=${OPEN}`, orders, signal);
    await this.pages<Order>(`api/orders?limit=100&status=${CLOSED}`, orders, signal, MAX_ROWS_WITH_CLOSED);
    const past = this.events.length === 0 ? await this.pastEvents(inventory.cursor, signal) : [];
    signal.throwIfAborted();
    [this.petTable, this.orderTable, this.inventory] = [pets, orders, inventory];
    this.partial = morePets || moreOrders;
    this.loaded = true;
    this.addEvents(past.map((event) => ({ ...event, past: true })));
    this.changed({ pets: new Set(), orders: new Set(), all: true });
    return inventory.cursor;
  }

  /** Loads pages into `table`, up to `max` rows. Returns whether there are more. */
  private async pages<T extends Pet | Order>(
    first: string,
    table: VersionedTable<T>,
    signal: AbortSignal,
    max = MAX_ROWS,
  ): Promise<boolean> {
    let next: string | null = first;
    while (next !== null && table.rows.size < max) {
      const page: Page<T> = await this.session.json<Page<T>>(next, { signal });
      for (const row of page.data) table.put(row);
      // Only the query is used, since a proxy may serve the API under another path.
      next = page.next === null ? null : first.replace(/\?.*/, page.next.replace(/^[^?]*/, ""));
    }
    return next !== null;
  }

  /** The last events before `cursor`, if they are still kept. */
  private async pastEvents(cursor: string, signal: AbortSignal): Promise<readonly LiveEvent[]> {
    const [epoch, seq] = cursor.split(".");
    const from = `${epoch}.${Math.max(0, Number(seq) - INITIAL_EVENTS)}`;
    const page = await this.fetchSince(from, signal, INITIAL_EVENTS).catch(() => null);
    return (page?.events ?? []).filter(({ id }) => Number(id.split(".")[1]) <= Number(seq));
  }

  async fetchSince(at: string, signal: AbortSignal, limit = 500): ReturnType<EventConsumer["fetchSince"]> {
    const path = `api/events?after=${at}&wait=0&limit=${limit}`;
    const page = await this.session.json<{ events: LiveEvent[]; cursor: string; reset: unknown }>(path, { signal });
    return page.reset === null ? page : null;
  }

  apply(events: readonly LiveEvent[]): void {
    const [pets, orders] = [new Set<string>(), new Set<string>()];
    for (const { data } of events) {
      if (data.type.startsWith("pet-")) {
        if (data.resource === null) this.petTable.remove(data.id, data.version);
        else if (!this.petTable.put(data.resource as Pet)) continue;
        pets.add(data.id);
      } else if (data.type.startsWith("order-")) {
        if (this.orderTable.put(data.resource as Order)) orders.add(data.id);
      } else if (data.type === "inventory-changed" && data.version > (this.inventory?.version ?? 0)) {
        this.inventory = data.resource as Inventory;
      }
    }
    this.addEvents(events.map((event) => ({ ...event, past: false })));
    this.changed({ pets, orders, all: false });
  }

  stats(data: unknown): void {
    for (const listener of this.listeners.stats) listener(data);
  }

  state(state: ConnectionState): void {
    this.setConnection({ ...this.connection, state });
    if (state.phase === "ended") this.session.onUnauthorized();
  }

  resetting(reason: string | null): void {
    const before = this.connection.resetting;
    if (reason === before) return;
    if (reason !== null || before === null) return this.setConnection({ ...this.connection, resetting: reason });
    const [at, none] = [Date.now(), new Set<string>()];
    const data = { type: RESET, id: before, version: 0, prev: 0, time: new Date(at).toISOString(), resource: null };
    this.addEvents([{ id: `${RESET} ${at}`, data, past: false }]);
    this.changed({ pets: none, orders: none, all: false });
    this.setConnection({ ...this.connection, resetting: null, lastReset: { at, reason: before } });
  }

  private addEvents(entries: readonly EventEntry[]): void {
    this.events = [...entries.toReversed(), ...this.events].slice(0, MAX_EVENTS);
  }

  private changed(changes: Changes): void {
    for (const listener of this.listeners.changes) listener(changes);
  }

  private setConnection(connection: ConnectionStatus): void {
    this.connection = connection;
    for (const listener of this.listeners.connection) listener(connection);
  }
}

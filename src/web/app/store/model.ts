import type { Inventory, Order, Page, Pet } from "../api.ts";
import type { EventData, LiveEvent, Spec, State } from "../feed/protocol.ts";
import { type Reader, Sync } from "../feed/sync.ts";
import { BASE, type Session } from "../session.ts";

/** Most pets and most orders that are loaded. Filters look among those. */
const MOST = 2_000;
/** Closed orders matter less. */
const MOST_CLOSED = 3_000;
const OPEN = "PLACED,APPROVED,SHIPPED";
const CLOSED = "DELIVERED,CANCELLED";
/** Events that are shown. */
const MOST_NEWS = 200;
/** Events of before that are shown at first. */
const PAST = 60;

/** The type of an entry that is no event: events may be missing before it. */
export const RESET = "reset";

/** Something that happened, for the list. */
export interface News {
  readonly id: string;
  readonly data: EventData;
  /** Whether it was there before this page was. */
  readonly past: boolean;
}

export interface Changes {
  readonly pets: ReadonlySet<string>;
  readonly orders: ReadonlySet<string>;
  /** Everything was read anew. */
  readonly all: boolean;
}

export interface Connection {
  readonly state: State;
  /** Why everything is being read anew. */
  readonly rereading: string | null;
  /** When everything was last read anew, and why. */
  readonly reread: { readonly at: number; readonly reason: string } | null;
}

type Listeners = {
  changes: Set<(changes: Changes) => void>;
  connection: Set<(connection: Connection) => void>;
  stats: Set<(data: unknown) => void>;
};

/** Rows by their ids, of which the newest version wins, and those that are gone. */
class Table<T extends { readonly id: string; readonly version: number }> {
  rows = new Map<string, T>();
  private gone = new Map<string, number>();

  put(row: T): boolean {
    const [known, gone] = [this.rows.get(row.id), this.gone.get(row.id)];
    if ((known !== undefined && known.version >= row.version) || (gone !== undefined && gone >= row.version))
      return false;
    this.rows.set(row.id, row);
    return true;
  }

  remove(id: string, version: number): void {
    this.gone.set(id, version);
    this.rows.delete(id);
  }
}

/** The store as this tab knows it, live. */
export class Model implements Reader {
  private petTable = new Table<Pet>();
  private orderTable = new Table<Order>();
  inventory: Inventory | null = null;
  /** The newest first. */
  news: News[] = [];
  /** Whether there is more than `MOST`. */
  partial = false;
  loaded = false;
  connection: Connection;
  private readonly on: Listeners = { changes: new Set(), connection: new Set(), stats: new Set() };
  private readonly sync: Sync;

  constructor(
    private readonly session: Session,
    transport: Spec["transport"],
  ) {
    const topics = ["pets", "orders", "inventory", "notifications"];
    // Those are of the moment: no cursor leads to them.
    if (session.may("stats") && transport === "sse") topics.push("stats");
    this.connection = { state: { phase: "connecting", transport }, rereading: null, reread: null };
    this.sync = new Sync({ base: BASE, key: session.key, topics: topics.join(","), transport }, this);
  }

  get pets(): ReadonlyMap<string, Pet> {
    return this.petTable.rows;
  }

  get orders(): ReadonlyMap<string, Order> {
    return this.orderTable.rows;
  }

  /** Calls `listener` at every change of that kind; the function that this gives ends it. */
  listen<K extends keyof Listeners>(kind: K, listener: Listeners[K] extends Set<infer F> ? F : never): () => void {
    const listeners = this.on[kind] as Set<typeof listener>;
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  close(): void {
    this.sync.close();
  }

  hurry(): void {
    this.sync.hurry();
  }

  /** Takes in what an answer to a request says, which may be here before its event. */
  learn(row: { pet?: Pet; order?: Order }): void {
    const [pets, orders] = [new Set<string>(), new Set<string>()];
    if (row.pet !== undefined && this.petTable.put(row.pet)) pets.add(row.pet.id);
    if (row.order !== undefined && this.orderTable.put(row.order)) orders.add(row.order.id);
    this.changed({ pets, orders, all: false });
  }

  async load(signal: AbortSignal): Promise<string> {
    const [pets, orders] = [new Table<Pet>(), new Table<Order>()];
    // The oldest cursor first: what the others know already is not taken in twice.
    const inventory = await this.session.json<Inventory & { cursor: string }>("api/inventory", { signal });
    const morePets = await this.pages<Pet>("api/pets?limit=100", pets, signal);
    const moreOrders = await this.pages<Order>(`api/orders?limit=100&status=${OPEN}`, orders, signal);
    await this.pages<Order>(`api/orders?limit=100&status=${CLOSED}`, orders, signal, MOST_CLOSED);
    const past = this.news.length === 0 ? await this.past(inventory.cursor, signal) : [];
    signal.throwIfAborted();
    [this.petTable, this.orderTable, this.inventory] = [pets, orders, inventory];
    this.partial = morePets || moreOrders;
    this.loaded = true;
    this.tell(past.map((event) => ({ ...event, past: true })));
    this.changed({ pets: new Set(), orders: new Set(), all: true });
    return inventory.cursor;
  }

  /** Reads all pages into `table`; whether there are more than that. */
  private async pages<T extends Pet | Order>(
    first: string,
    table: Table<T>,
    signal: AbortSignal,
    most = MOST,
  ): Promise<boolean> {
    let next: string | null = first;
    while (next !== null && table.rows.size < most) {
      const page: Page<T> = await this.session.json<Page<T>>(next, { signal });
      for (const row of page.data) table.put(row);
      // Only the question: a proxy may have put another path in front of it than the server knows.
      next = page.next === null ? null : first.replace(/\?.*/, page.next.replace(/^[^?]*/, ""));
    }
    return next !== null;
  }

  /** The last events before `cursor`, if they are still kept. */
  private async past(cursor: string, signal: AbortSignal): Promise<readonly LiveEvent[]> {
    const [epoch, seq] = cursor.split(".");
    const from = `${epoch}.${Math.max(0, Number(seq) - PAST)}`;
    const page = await this.fetchSince(from, signal, PAST).catch(() => null);
    return (page?.events ?? []).filter(({ id }) => Number(id.split(".")[1]) <= Number(seq));
  }

  async fetchSince(at: string, signal: AbortSignal, limit = 500): ReturnType<Reader["fetchSince"]> {
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
    this.tell(events.map((event) => ({ ...event, past: false })));
    this.changed({ pets, orders, all: false });
  }

  stats(data: unknown): void {
    for (const listener of this.on.stats) listener(data);
  }

  state(state: State): void {
    this.tellConnection({ ...this.connection, state });
    if (state.phase === "ended") this.session.onrefused();
  }

  rereading(reason: string | null): void {
    const before = this.connection.rereading;
    if (reason === before) return;
    if (reason !== null || before === null) return this.tellConnection({ ...this.connection, rereading: reason });
    const [at, none] = [Date.now(), new Set<string>()];
    const data = { type: RESET, id: before, version: 0, prev: 0, time: new Date(at).toISOString(), resource: null };
    this.tell([{ id: `${RESET} ${at}`, data, past: false }]);
    this.changed({ pets: none, orders: none, all: false });
    this.tellConnection({ ...this.connection, rereading: null, reread: { at, reason: before } });
  }

  private tell(news: readonly News[]): void {
    this.news = [...news.toReversed(), ...this.news].slice(0, MOST_NEWS);
  }

  private changed(changes: Changes): void {
    for (const listener of this.on.changes) listener(changes);
  }

  private tellConnection(connection: Connection): void {
    this.connection = connection;
    for (const listener of this.on.connection) listener(connection);
  }
}

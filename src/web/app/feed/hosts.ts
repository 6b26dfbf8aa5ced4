import { Timer } from "./connection.ts";
import { Host, type HostedTab } from "./host.ts";
import { type FromHost, specId, type ToHost } from "./protocol.ts";

/** The interval of pings to tabs, milliseconds. A tab that misses several is considered closed. */
const PING_INTERVAL = 20_000;
const MAX_UNANSWERED_PINGS = 3;
/** How long a connection outlives its last tab, milliseconds, so that a reload can reuse it. */
const LINGER_MS = 4_000;

interface Tab extends HostedTab {
  host: SharedHost | null;
  unansweredPings: number;
}

interface SharedHost {
  readonly host: Host;
  readonly linger: Timer;
}

/** All hosts by their connection, and the tabs of each. */
export class Hosts {
  private readonly shared = new Map<string, SharedHost>();
  private readonly tabs = new Set<Tab>();

  private readonly pings = setInterval(() => this.ping(), PING_INTERVAL);

  /** Ends all connections. */
  close(): void {
    clearInterval(this.pings);
    for (const { host, linger } of this.shared.values()) {
      linger.clear();
      host.close();
    }
    this.shared.clear();
    this.tabs.clear();
  }

  /** Registers a tab, to which `send` sends messages. Returns a function that handles the tab's messages. */
  tab(send: (message: FromHost) => void): (message: ToHost) => void {
    const tab: Tab = { send, host: null, unansweredPings: 0 };
    return (message) => {
      tab.unansweredPings = 0;
      if (message.t === "hello") this.hello(tab, message);
      else if (message.t === "bye") this.bye(tab);
      else if (message.t !== "alive") tab.host?.host.receive(tab, message);
    };
  }

  private hello(tab: Tab, { spec, from }: Extract<ToHost, { t: "hello" }>): void {
    const id = specId(spec);
    let shared = this.shared.get(id);
    if (shared === undefined) {
      shared = { host: new Host(spec, from), linger: new Timer() };
      this.shared.set(id, shared);
    }
    if (tab.host !== shared) this.bye(tab);
    shared.linger.clear();
    tab.host = shared;
    this.tabs.add(tab);
    shared.host.join(tab);
  }

  private bye(tab: Tab): void {
    this.tabs.delete(tab);
    const shared = tab.host;
    tab.host = null;
    if (shared === null || shared.host.leave(tab)) return;
    shared.linger.set(LINGER_MS, () => {
      shared.host.close();
      for (const [id, other] of this.shared) if (other === shared) this.shared.delete(id);
    });
  }

  private ping(): void {
    for (const tab of this.tabs) {
      tab.unansweredPings += 1;
      if (tab.unansweredPings > MAX_UNANSWERED_PINGS) this.bye(tab);
      else tab.send({ t: "alive?" });
    }
  }
}

import { Timer } from "./connection.ts";
import { Host, type Member } from "./host.ts";
import { type FromHost, specId, type ToHost } from "./protocol.ts";

/** How often tabs are asked whether they are there, milliseconds. Those who don't answer three times are not. */
const ASK = 20_000;
const MOST_UNANSWERED = 3;
/** How long a connection outlives its last tab: one that is reloaded is back by then. */
const LINGER = 4_000;

interface Tab extends Member {
  host: Shared | null;
  unanswered: number;
}

interface Shared {
  readonly host: Host;
  readonly linger: Timer;
}

/** Hosts by what they are connected to, and the tabs that belong to them. */
export class Hosts {
  private readonly shared = new Map<string, Shared>();
  private readonly tabs = new Set<Tab>();

  private readonly asking = setInterval(() => this.ask(), ASK);

  /** Ends all connections. */
  close(): void {
    clearInterval(this.asking);
    for (const { host, linger } of this.shared.values()) {
      linger.clear();
      host.close();
    }
    this.shared.clear();
    this.tabs.clear();
  }

  /** A new tab, which is reached through `send`; what it says goes to the function that this gives. */
  tab(send: (message: FromHost) => void): (message: ToHost) => void {
    const tab: Tab = { send, host: null, unanswered: 0 };
    return (message) => {
      tab.unanswered = 0;
      if (message.t === "hello") this.hello(tab, message);
      else if (message.t === "bye") this.bye(tab);
      else if (message.t !== "alive") tab.host?.host.hear(tab, message);
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
    shared.linger.set(LINGER, () => {
      shared.host.close();
      for (const [id, other] of this.shared) if (other === shared) this.shared.delete(id);
    });
  }

  private ask(): void {
    for (const tab of this.tabs) {
      tab.unanswered += 1;
      if (tab.unanswered > MOST_UNANSWERED) this.bye(tab);
      else tab.send({ t: "alive?" });
    }
  }
}

import { Hosts } from "./hosts.ts";
import { type FromHost, type Spec, specId, type ToHost } from "./protocol.ts";

/** The way from a tab to its host. */
export interface Link {
  send(message: ToHost): void;
  close(): void;
}

type Hear = (message: FromHost) => void;

/** The name of the worker's file, put in by the build. */
declare const WORKER: string;

/** A link to the host of `spec`, which is in a worker, in another tab, or in this one, as the browser can. */
export function link(spec: Spec, hear: Hear): Link {
  if (typeof SharedWorker !== "undefined") return new WorkerLink(spec, hear);
  if (typeof BroadcastChannel !== "undefined" && "locks" in navigator) return new ElectedLink(spec, hear);
  return own(hear);
}

/** To the worker. */
class WorkerLink implements Link {
  private readonly port: MessagePort;

  constructor(spec: Spec, hear: Hear) {
    const worker = new SharedWorker(new URL(`assets/${WORKER}`, spec.base), { name: "petstream" });
    this.port = worker.port;
    this.port.addEventListener("message", ({ data }: MessageEvent<FromHost>) => hear(data));
    this.port.start();
  }

  send(message: ToHost): void {
    this.port.postMessage(message);
  }

  close(): void {
    this.send({ t: "bye" });
    this.port.close();
  }
}

/** To a host of this tab alone. */
function own(hear: Hear): Link {
  const hosts = new Hosts();
  const send = hosts.tab((message) => queueMicrotask(() => hear(message)));
  return { send, close: () => hosts.close() };
}

type Note =
  | { readonly from: string; readonly to: "host"; readonly message: ToHost }
  | { readonly to: string; readonly message: FromHost };

/**
 * To the tab that was elected: the one that holds a lock, which the browser passes on when that tab goes. Tabs talk over
 * a channel, on which keys are never said: only those who have the same key know its name.
 */
class ElectedLink implements Link {
  private readonly channel: BroadcastChannel;
  private readonly me = crypto.getRandomValues(new Uint32Array(4)).join("-");
  private readonly gone = new AbortController();
  /** To the host, if it is here. */
  private local: ((message: ToHost) => void) | null = null;
  private lastHello: Extract<ToHost, { t: "hello" }> | null = null;

  constructor(
    private readonly spec: Spec,
    private readonly hear: Hear,
  ) {
    const name = `petstream ${digest(specId(spec))}`;
    this.channel = new BroadcastChannel(name);
    this.channel.addEventListener("message", ({ data }: MessageEvent<Note>) => {
      if (data.to === this.me || data.to === "all") this.hear(data.message as FromHost);
    });
    const { signal } = this.gone;
    const held = (): Promise<void> => this.lead(signal);
    navigator.locks.request(name, { signal }, held).catch(() => {});
  }

  send(message: ToHost): void {
    if (message.t === "hello") this.lastHello = message;
    if (this.local !== null) return this.local(message);
    this.say({ from: this.me, to: "host", message: this.secretless(message) });
  }

  close(): void {
    this.send({ t: "bye" });
    this.gone.abort();
    this.channel.close();
  }

  private secretless(message: ToHost): ToHost {
    return message.t === "hello" ? { ...message, spec: { ...message.spec, key: null } } : message;
  }

  private say(note: Note): void {
    this.channel.postMessage(note);
  }

  /** Holds the connection for all until this tab goes. */
  private async lead(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const hosts = new Hosts();
    const tabs = new Map<string, (message: ToHost) => void>();
    this.local = hosts.tab((message) => queueMicrotask(() => this.hear(message)));
    this.channel.addEventListener("message", ({ data }: MessageEvent<Note>) => {
      if (data.to !== "host" || !("from" in data)) return;
      const { from, message } = data;
      let tab = tabs.get(from);
      if (tab === undefined) {
        tab = hosts.tab((answer) => this.say({ to: from, message: answer }));
        tabs.set(from, tab);
      }
      tab(message.t === "hello" ? { ...message, spec: this.spec } : message);
      if (message.t === "bye") tabs.delete(from);
    });
    if (this.lastHello !== null) this.hear({ t: "anew" });
    this.say({ to: "all", message: { t: "anew" } });
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    hosts.close();
  }
}

/** Tells specs apart, and does not give the key away. */
function digest(text: string): string {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  return `${(a >>> 0).toString(36)}${(b >>> 0).toString(36)}`;
}

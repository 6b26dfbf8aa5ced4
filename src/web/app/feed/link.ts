import { Hosts } from "./hosts.ts";
import { type ConnectionSpec, type FromHost, specId, type ToHost } from "./protocol.ts";

/** A tab's connection to its host. */
export interface HostLink {
  send(message: ToHost): void;
  close(): void;
}

type Receive = (message: FromHost) => void;

/** The file name of the worker, inserted by the build. */
declare const WORKER: string;

/** Connects to the host of `spec`: in a shared worker, in an elected tab, or in this tab, as the browser supports. */
export function connectToHost(spec: ConnectionSpec, receive: Receive): HostLink {
  if (typeof SharedWorker !== "undefined") return new WorkerLink(spec, receive);
  if (typeof BroadcastChannel !== "undefined" && "locks" in navigator) return new ElectedLink(spec, receive);
  return localLink(receive);
}

/** A link to the shared worker. */
class WorkerLink implements HostLink {
  private readonly port: MessagePort;

  constructor(spec: ConnectionSpec, receive: Receive) {
    const worker = new SharedWorker(new URL(`assets/${WORKER}`, spec.base), { name: "petstream" });
    this.port = worker.port;
    this.port.addEventListener("message", ({ data }: MessageEvent<FromHost>) => receive(data));
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

/** A link to a host in this tab, for this tab only. */
function localLink(receive: Receive): HostLink {
  const hosts = new Hosts();
  const send = hosts.tab((message) => queueMicrotask(() => receive(message)));
  return { send, close: () => hosts.close() };
}

type Envelope =
  | { readonly from: string; readonly to: "host"; readonly message: ToHost }
  | { readonly to: string; readonly message: FromHost };

/**
 * A link to the elected tab: the one that holds a lock, which passes to another tab when it closes. Tabs communicate
 * over a broadcast channel. Its name is derived from the key, and the key itself is never sent on it.
 */
class ElectedLink implements HostLink {
  private readonly channel: BroadcastChannel;
  private readonly ownId = crypto.getRandomValues(new Uint32Array(4)).join("-");
  private readonly closing = new AbortController();
  /** Sends to the host if this tab has it. */
  private toLocalHost: ((message: ToHost) => void) | null = null;
  private lastHello: Extract<ToHost, { t: "hello" }> | null = null;

  constructor(
    private readonly spec: ConnectionSpec,
    private readonly receive: Receive,
  ) {
    const name = `petstream ${digest(specId(spec))}`;
    this.channel = new BroadcastChannel(name);
    this.channel.addEventListener("message", ({ data }: MessageEvent<Envelope>) => {
      if (data.to === this.ownId || data.to === "all") this.receive(data.message as FromHost);
    });
    const { signal } = this.closing;
    const onElected = (): Promise<void> => this.serveTabs(signal);
    navigator.locks.request(name, { signal }, onElected).catch(() => {});
  }

  send(message: ToHost): void {
    if (message.t === "hello") this.lastHello = message;
    if (this.toLocalHost !== null) return this.toLocalHost(message);
    this.post({ from: this.ownId, to: "host", message: this.withoutKey(message) });
  }

  close(): void {
    this.send({ t: "bye" });
    this.closing.abort();
    this.channel.close();
  }

  private withoutKey(message: ToHost): ToHost {
    return message.t === "hello" ? { ...message, spec: { ...message.spec, key: null } } : message;
  }

  private post(envelope: Envelope): void {
    this.channel.postMessage(envelope);
  }

  /** Runs the host for all tabs until this tab closes. */
  private async serveTabs(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const hosts = new Hosts();
    const tabs = new Map<string, (message: ToHost) => void>();
    this.toLocalHost = hosts.tab((message) => queueMicrotask(() => this.receive(message)));
    this.channel.addEventListener("message", ({ data }: MessageEvent<Envelope>) => {
      if (data.to !== "host" || !("from" in data)) return;
      const { from, message } = data;
      let tab = tabs.get(from);
      if (tab === undefined) {
        tab = hosts.tab((answer) => this.post({ to: from, message: answer }));
        tabs.set(from, tab);
      }
      tab(message.t === "hello" ? { ...message, spec: this.spec } : message);
      if (message.t === "bye") tabs.delete(from);
    });
    if (this.lastHello !== null) this.receive({ t: "anew" });
    this.post({ to: "all", message: { t: "anew" } });
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    hosts.close();
  }
}

/** A hash that distinguishes specs without containing the key. */
function digest(text: string): string {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  return `${(a >>> 0).toString(36)}${(b >>> 0).toString(36)}`;
}

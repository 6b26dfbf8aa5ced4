import { once } from "node:events";
import { request as ask, createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A reverse proxy that serves a server below a path, which it takes away, and remembers what was asked. */
export class Gateway {
  readonly seen: string[] = [];
  /** Streams of events that are open. */
  streams = 0;
  /** How many of the next events get lost here. */
  losses = 0;
  private readonly open = new Set<ServerResponse>();
  private held: (() => void)[] | null = null;
  private delayed: Promise<void> = Promise.resolve();

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(target: string, path: string): Promise<Gateway> {
    const server = createServer(async (incoming, outgoing) => {
      const wanted = incoming.url ?? "/";
      gateway.seen.push(`${incoming.method} ${wanted}`);
      if (!wanted.startsWith(path)) {
        outgoing.writeHead(404).end();
        return;
      }
      if (wanted.includes("/api/events?")) await gateway.delayed;
      const { host: _, ...headers } = incoming.headers;
      const options = { method: incoming.method ?? "GET", headers };
      const upstream = ask(new URL(wanted.slice(path.length), target), options, (answer) => {
        const streams = (answer.headers["content-type"] ?? "").startsWith("text/event-stream");
        if (streams) gateway.streams += 1;
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        if (streams) gateway.pass(answer, outgoing);
        else answer.on("data", (piece: Buffer) => outgoing.write(piece));
        answer.on("end", () => outgoing.end());
        answer.on("error", () => outgoing.destroy());
        outgoing.on("close", () => {
          if (streams) gateway.streams -= 1;
          upstream.destroy();
        });
      });
      upstream.on("error", () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()));
      incoming.pipe(upstream);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const gateway = new Gateway(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
    return gateway;
  }

  /** Breaks all streams of events. */
  cut(): void {
    for (const stream of this.open) stream.destroy();
  }

  /** Lets those who want a stream of events wait until the function that this gives is called. */
  delay(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.delayed = promise;
    return resolve;
  }

  /** Keeps events back until `release`. */
  hold(): void {
    this.held ??= [];
  }

  release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const write of held) write();
  }

  /** Passes a stream on, block by block. */
  private pass(answer: IncomingMessage, outgoing: ServerResponse): void {
    let rest = "";
    this.open.add(outgoing);
    outgoing.on("close", () => this.open.delete(outgoing));
    answer.setEncoding("utf8");
    answer.on("data", (text: string) => {
      const blocks = `${rest}${text}`.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const write = (): void => void outgoing.write(`${block}\n\n`);
        if (!/^id: .*\ndata: /.test(block)) write();
        else if (this.losses > 0) this.losses -= 1;
        else if (this.held !== null) this.held.push(write);
        else write();
      }
    });
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as sendRequest,
} from "node:http";
import type { AddressInfo } from "node:net";

/** A reverse proxy that serves a server below a path, which it removes, and records the requests. */
export class Gateway {
  readonly seen: string[] = [];
  /** The number of open event streams. */
  streams = 0;
  /** How many of the next events to drop. */
  losses = 0;
  private readonly open = new Set<ServerResponse>();
  private heldBack: (() => void)[] | null = null;
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
      const upstream = sendRequest(new URL(wanted.slice(path.length), target), options, (answer) => {
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

  /** Breaks all event streams. */
  cut(): void {
    for (const stream of this.open) stream.destroy();
  }

  /** Delays new event streams until the returned function is called. */
  delay(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.delayed = promise;
    return resolve;
  }

  /** Holds events back until `release`. */
  hold(): void {
    this.heldBack ??= [];
  }

  release(): void {
    const heldBack = this.heldBack ?? [];
    this.heldBack = null;
    for (const write of heldBack) write();
  }

  /** Forwards a stream, event by event. */
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
        else if (this.heldBack !== null) this.heldBack.push(write);
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

import { once } from "node:events";
import { request as ask, createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A reverse proxy that serves a server below a path, which it takes away, and remembers what was asked. */
export class Gateway {
  readonly seen: string[] = [];
  /** Streams of events that are open. */
  streams = 0;
  /** How many of the next events get lost here. */
  losses = 0;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(target: string, path: string): Promise<Gateway> {
    const server = createServer((incoming, outgoing) => {
      const wanted = incoming.url ?? "/";
      gateway.seen.push(`${incoming.method} ${wanted}`);
      if (!wanted.startsWith(path)) {
        outgoing.writeHead(404).end();
        return;
      }
      const { host: _, ...headers } = incoming.headers;
      const options = { method: incoming.method ?? "GET", headers };
      const upstream = ask(new URL(wanted.slice(path.length), target), options, (answer) => {
        const streams = (answer.headers["content-type"] ?? "").startsWith("text/event-stream");
        if (streams) gateway.streams += 1;
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        // A server writes events whole.
        answer.on("data", (piece: Buffer) => {
          const event = streams && /^id: .*\ndata: /.test(piece.toString());
          if (event && gateway.losses > 0) gateway.losses -= 1;
          else outgoing.write(piece);
        });
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

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How an upstream answers a request. */
export type Script = (answer: Answer) => Promise<void> | void;

/** An answer that is sent piece by piece. */
export class Answer {
  /** Resolves when the client has disconnected or everything was sent. */
  readonly closed: Promise<unknown>;

  constructor(private readonly response: ServerResponse) {
    this.closed = once(response, "close");
  }

  sendText(...texts: string[]): this {
    for (const content of texts) this.chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
    return this;
  }

  finish(completion: number): void {
    this.chunk({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    const usage = { prompt_tokens: 7, completion_tokens: completion, total_tokens: completion + 7 };
    this.chunk({ choices: [], usage });
    this.response.end("data: [DONE]\n\n");
  }

  /** Breaks the connection. */
  cut(): void {
    this.response.destroy();
  }

  sendError(status: number, error: object): void {
    this.response.writeHead(status, { "content-type": "application/json" });
    this.response.end(JSON.stringify({ error }));
  }

  private chunk(chunk: object): void {
    if (!this.response.headersSent) this.response.writeHead(200, { "content-type": "text/event-stream" });
    const complete = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m", ...chunk };
    this.response.write(`data: ${JSON.stringify(complete)}\n\n`);
  }
}

/** A provider that answers with a script. */
export class Upstream {
  readonly requests: { readonly messages: readonly { readonly role: string; readonly content: string }[] }[] = [];

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(script: Script): Promise<Upstream> {
    const server = createServer((request, response) => {
      const body: Buffer[] = [];
      request.on("data", (piece: Buffer) => body.push(piece));
      request.on("end", () => {
        upstream.requests.push(JSON.parse(Buffer.concat(body).toString()));
        void script(new Answer(response));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const upstream = new Upstream(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
    return upstream;
  }

  /** The configuration of a model `m` that it serves. */
  models(): object {
    return { models: [{ name: "m", upstreams: [{ base_url: this.url }] }] };
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

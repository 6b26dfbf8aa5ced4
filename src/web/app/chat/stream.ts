import { EventSourceParserStream } from "eventsource-parser/stream";

import { ApiError, parseError, readError } from "../api.ts";
import type { Session } from "../session.ts";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** A request as it is sent and as the snippets show it. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly temperature?: number;
  readonly max_tokens?: number;
  readonly stream: true;
  readonly stream_options: { readonly include_usage: true };
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export type CompletionPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "finish"; readonly reason: string }
  | { readonly kind: "usage"; readonly usage: Usage }
  | { readonly kind: "error"; readonly error: ApiError };

interface Chunk {
  choices?: readonly {
    delta?: { content?: string | null; refusal?: string | null };
    message?: { content?: string | null };
    finish_reason?: string | null;
  }[];
  usage?: Usage | null;
  error?: unknown;
}

/** The models that the key may use and that chat. */
export async function models(session: Session): Promise<string[]> {
  const { data } = await session.json<{ data: readonly { id: string; apis: readonly string[] }[] }>("v1/models");
  return data.filter(({ apis }) => apis.includes("chat")).map(({ id }) => id);
}

/**
 * Requests a completion and yields its parts as they arrive. An error within the stream is a part, since text may
 * precede it; so is the end of a stream without `[DONE]`. Aborting `signal` closes the connection, which cancels the
 * completion.
 */
export async function* complete(
  session: Session,
  request: ChatRequest,
  signal: AbortSignal,
): AsyncGenerator<CompletionPart> {
  const headers = { "content-type": "application/json" };
  const response = await session.fetch("v1/chat/completions", {
    method: "POST",
    body: JSON.stringify(request),
    headers,
    signal,
  });
  if (!response.ok || response.body === null) throw await readError(response);
  if (!(response.headers.get("content-type") ?? "").includes("text/event-stream")) {
    return yield* parts((await response.json()) as Chunk);
  }
  const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  // Async iteration of streams is not available in all supported browsers.
  const reader = events.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (value.data === "[DONE]") return;
    yield* parts(parse(value.data));
  }
  yield { kind: "error", error: new ApiError(0, "cut", "The answer was cut: the stream ended without [DONE].") };
}

function parse(data: string): Chunk {
  try {
    return JSON.parse(data) as Chunk;
  } catch {
    return { error: { message: "A frame of the stream is not JSON.", type: "malformed" } };
  }
}

function* parts(chunk: Chunk): Generator<CompletionPart> {
  if (chunk.error !== undefined && chunk.error !== null) {
    yield { kind: "error", error: parseError(0, JSON.stringify(chunk)) };
    return;
  }
  for (const { delta, message, finish_reason } of chunk.choices ?? []) {
    const text = delta?.content ?? delta?.refusal ?? message?.content;
    if (text) yield { kind: "text", text };
    if (finish_reason) yield { kind: "finish", reason: finish_reason };
  }
  if (chunk.usage) yield { kind: "usage", usage: chunk.usage };
}

// The real binary, started for a test, and the two ways to a model of it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

import OpenAI from 'openai';

const BINARY = process.env.PETSTREAM_BIN ?? fileURLToPath(new URL('../../../target/debug/petstream', import.meta.url));
const LISTENING = 'listening on ';
export const KEY = 'sk-test-0123456789abcdef0123456789abcdef';
// Milliseconds. Far more than it takes: only a server that hangs gets here.
export const PATIENCE = 60_000;
export const ROUTES = ['local', 'proxied'];

const stops = [];
after(async () => {
  const failures = [];
  // The newest first, so that none loses its upstream; and all, since a child that lives keeps this process alive.
  for (const stop of stops.reverse()) await stop().catch((failure) => failures.push(failure));
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
});

/** Starts a server in a folder of its own, without anything of our environment. It ends with the tests of this file. */
export async function serve(configuration) {
  const folder = await mkdtemp(join(tmpdir(), 'petstream-'));
  // JSON is YAML.
  await writeFile(join(folder, 'petstream.yaml'), JSON.stringify(configuration));
  const server = spawn(BINARY, ['--listen', '127.0.0.1:0', '--log-format', 'json'], {
    cwd: folder,
    env: { PETSTREAM_API_KEY: KEY },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(server, 'close');
  const lines = [];
  const url = await new Promise((resolve, reject) => {
    const failed = () => reject(new Error(`petstream did not start:\n${lines.join('\n')}`));
    server.once('close', failed).once('error', reject);
    createInterface({ input: server.stderr }).on('line', (line) => {
      lines.push(line);
      const message = line.startsWith('{') ? JSON.parse(line).message : '';
      if (message.startsWith(LISTENING)) resolve(message.slice(LISTENING.length));
    });
  });
  stops.push(async () => {
    server.kill('SIGTERM');
    const late = setTimeout(() => server.kill('SIGKILL'), PATIENCE);
    const [status] = await ended;
    clearTimeout(late);
    await rm(folder, { recursive: true });
    const strange = lines.filter((line) => !line.startsWith('{'));
    assert.deepEqual(strange, [], 'a line that is not of the log is a panic');
    assert.equal(status, 0, lines.slice(-20).join('\n'));
  });
  return { baseURL: `${url}/v1` };
}

/**
 * The local model, asked at its own server or at a second petstream in front of it. `limits` are those of the server
 * that is asked, `responder` that of the one that answers.
 */
export async function route(name, { limits = {}, responder = {} } = {}) {
  if (name === 'local') return { ...(await serve({ limits, responder })), model: 'petstore-ai' };
  const origin = await serve({ responder });
  const upstream = { base_url: origin.baseURL, api_key: KEY };
  const models = [
    { name: 'proxied', upstreams: [{ ...upstream, model: 'petstore-ai' }] },
    { name: '*', upstreams: [upstream] },
  ];
  return { ...(await serve({ limits, models })), model: 'proxied' };
}

/** A client of a route or server, without retries unless told. */
export function connect({ baseURL }, options = {}) {
  return new OpenAI({ apiKey: KEY, baseURL, maxRetries: 0, timeout: PATIENCE, ...options });
}

export function question(content = 'What can you do?') {
  return [{ role: 'user', content }];
}

export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export function joined(chunks, index = 0) {
  const choices = chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index);
  return choices.map((choice) => choice.delta.content ?? '').join('');
}

/** The first true result of `attempt`, which is repeated until it has one. */
export async function eventually(what, attempt) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const result = await attempt();
    if (result) return result;
    assert.ok(Date.now() < deadline, `not in ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

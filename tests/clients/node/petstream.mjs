// Starts the real binary for tests, with a direct and a proxied route to its model.

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
// Milliseconds. Far more than needed, so only a hanging server reaches it.
export const TIMEOUT = 60_000;
export const ROUTES = ['local', 'proxied'];

const stopFunctions = [];
after(async () => {
  const failures = [];
  // In reverse order, so that none loses its upstream. All of them, since a running child keeps this process alive.
  for (const stop of stopFunctions.reverse()) await stop().catch((failure) => failures.push(failure));
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
});

/**
 * Starts a server in its own temporary folder with a clean environment. It is stopped after the tests of this file.
 * `files` are the names and contents of other files in the folder.
 */
export async function serve(configuration, files = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'petstream-'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  // JSON is valid YAML.
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
  stopFunctions.push(async () => {
    server.kill('SIGTERM');
    const killTimer = setTimeout(() => server.kill('SIGKILL'), TIMEOUT);
    const [status] = await ended;
    clearTimeout(killTimer);
    await rm(folder, { recursive: true });
    const unexpected = lines.filter((line) => !line.startsWith('{'));
    assert.deepEqual(unexpected, [], 'a line that is not a log record is a panic');
    assert.equal(status, 0, lines.slice(-20).join('\n'));
  });
  return { baseURL: `${url}/v1` };
}

/**
 * A route to the local model: its own server, or a second petstream in front of it. `limits` configures the server that
 * the client calls, `responder` the one that answers.
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

/** A client of a route or server, by default without retries. */
export function connect({ baseURL }, options = {}) {
  return new OpenAI({ apiKey: KEY, baseURL, maxRetries: 0, timeout: TIMEOUT, ...options });
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

/** Repeats `attempt` until its result is truthy, and returns it. */
export async function eventually(what, attempt) {
  const deadline = Date.now() + TIMEOUT;
  for (;;) {
    const result = await attempt();
    if (result) return result;
    assert.ok(Date.now() < deadline, `not in ${TIMEOUT} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// The Node SDK over TLS, with the authority of the server's certificate in NODE_EXTRA_CA_CERTS.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { KEY, TIMEOUT, serve } from './petstream.mjs';

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'petstream-tls-'));
after(() => rm(folder, { recursive: true }));

/** Writes a certificate for 127.0.0.1 that is its own authority, and its key. Returns their paths. */
async function certificate() {
  const [cert, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('openssl', ['req', '-x509', ...kind, ...names, '-days', '2', '-keyout', key, '-out', cert]);
  return [cert, key];
}

// Node reads NODE_EXTRA_CA_CERTS when it starts, so the client is a process of its own.
const CLIENT = `
  import OpenAI from 'openai';
  const client = new OpenAI({ apiKey: process.env.KEY, baseURL: process.env.BASE_URL, maxRetries: 0 });
  const messages = [{ role: 'user', content: 'What can you do?' }];
  let [text, end] = ['', null];
  for await (const chunk of await client.chat.completions.create({ model: 'petstore-ai', messages, stream: true })) {
    text += chunk.choices[0].delta.content ?? '';
    end = chunk.choices[0].finish_reason;
  }
  console.log(JSON.stringify({ text, end }));
`;

test('a stream over TLS', async () => {
  const [cert, key] = await certificate();
  const files = { 'server.pem': await readFile(cert), 'server.key': await readFile(key) };
  const { baseURL } = await serve({ tls: { cert: 'server.pem', key: 'server.key' } }, files);
  assert.match(baseURL, /^https:\/\/127\.0\.0\.1:/);
  const ask = (env) =>
    run(process.execPath, ['--input-type=module', '-e', CLIENT], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      env: { KEY, BASE_URL: baseURL, ...env },
      timeout: TIMEOUT,
    });
  const { stdout } = await ask({ NODE_EXTRA_CA_CERTS: cert });
  const { text, end } = JSON.parse(stdout);
  assert.equal(end, 'stop');
  assert.ok(text.length > 100, text);
  await assert.rejects(ask({}), /DEPTH_ZERO_SELF_SIGNED_CERT|self-signed certificate/);
});

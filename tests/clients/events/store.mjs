// Runs the real binary, with a database that survives restarts.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BINARY = process.env.PETSTREAM_BIN ?? fileURLToPath(new URL('../../../target/debug/petstream', import.meta.url));
const LISTENING = 'listening on ';
export const KEY = 'sk-test-0123456789abcdef0123456789abcdef';

/** A port that was free just now. It is fixed, since clients reconnect to the same one. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export class Store {
  static async open(t, configuration = {}) {
    const store = new Store();
    store.folder = await mkdtemp(join(tmpdir(), 'petstream-'));
    store.port = await freePort();
    store.url = `http://127.0.0.1:${store.port}`;
    // JSON is valid YAML.
    await writeFile(join(store.folder, 'petstream.yaml'), JSON.stringify(configuration));
    await store.start();
    t.after(async () => {
      await store.end('SIGTERM');
      await rm(store.folder, { recursive: true });
    });
    return store;
  }

  async start() {
    this.server = spawn(BINARY, ['--listen', `127.0.0.1:${this.port}`, '--log-format', 'json'], {
      cwd: this.folder,
      env: { PETSTREAM_API_KEY: KEY },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.ended = once(this.server, 'close');
    const lines = [];
    await new Promise((resolve, reject) => {
      this.server.once('close', () => reject(new Error(lines.join('\n')))).once('error', reject);
      createInterface({ input: this.server.stderr }).on('line', (line) => {
        lines.push(line);
        if (line.includes(LISTENING)) resolve();
      });
    });
  }

  async end(signal) {
    this.server.kill(signal);
    await this.ended;
  }

  async send(method, path, body) {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    assert.ok(response.ok, `${response.status}`);
    return response;
  }

  async pet(name) {
    const pet = { species: 'CAT', name, breed: 'Siamese', ageMonths: 3, size: 'SMALL', color: 'grey', price: '1.00' };
    return (await this.send('POST', '/api/pets', pet)).json();
  }
}

// Readers of event streams that no one here wrote.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventSource } from 'eventsource';
import { createParser } from 'eventsource-parser';

import { KEY, Shop } from './shop.mjs';

const QUICK = { events: { retry: '200ms', shutdown_window: '200ms', heartbeat: '1s' } };
// Milliseconds. Far more than it takes.
const PATIENCE = { timeout: 60_000 };

/** `fetch` with a key. */
const withKey = (input, init) => fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${KEY}` } });

/** `fetch` that keeps cookies as a browser does, and what it was asked for. */
function browser() {
  const asked = [];
  let cookie;
  const get = async (input, init) => {
    const response = await fetch(input, { ...init, headers: { ...init.headers, ...(cookie && { cookie }) } });
    asked.push({ status: response.status, id: new Headers(init.headers).get('last-event-id') });
    cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
    return response;
  };
  return { get, asked };
}

/** Events of one name in their order, to be taken one by one. */
function queue(source, name) {
  const events = [];
  let wake = () => {};
  source.addEventListener(name, (event) => {
    events.push(event);
    wake();
  });
  return async () => {
    while (events.length === 0) await new Promise((resolve) => (wake = resolve));
    return events.shift();
  };
}

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`eventsource comes back by itself after ${signal} and misses nothing`, PATIENCE, async (t) => {
    const shop = await Shop.open(t, QUICK);
    const source = new EventSource(`${shop.url}/api/events/pets`, { fetch: withKey });
    t.after(() => source.close());
    const [connected, updated] = [queue(source, 'connected'), queue(source, 'pet-update')];
    assert.equal(JSON.parse((await connected()).data).resumed, false);
    await shop.pet('one');
    const one = await updated();
    assert.equal(JSON.parse(one.data).resource.name, 'one');
    await shop.end(signal);
    await shop.start();
    // Most likely before the source is back.
    await shop.pet('two');
    const again = await connected();
    assert.deepEqual([JSON.parse(again.data).resumed, again.lastEventId], [true, one.lastEventId]);
    await shop.pet('three');
    const [two, three] = [await updated(), await updated()];
    assert.deepEqual([two, three].map((event) => JSON.parse(event.data).resource.name), ['two', 'three']);
    const seq = (event) => Number(event.lastEventId.split('.')[1]);
    assert.deepEqual([two, three].map((event) => JSON.parse(event.data).prev), [seq(one), seq(two)]);
  });
}

test('a browser gets in with a ticket and comes back with its cookie', PATIENCE, async (t) => {
  const shop = await Shop.open(t, QUICK);
  const { ticket } = await (await shop.send('POST', '/api/events/tickets')).json();
  const { get, asked } = browser();
  const source = new EventSource(`${shop.url}/api/events?topics=pets&ticket=${ticket}`, { fetch: get });
  t.after(() => source.close());
  const [connected, updated] = [queue(source, 'connected'), queue(source, 'pet-update')];
  await connected();
  await shop.pet('one');
  const { lastEventId } = await updated();
  await shop.end('SIGTERM');
  await shop.start();
  assert.equal(JSON.parse((await connected()).data).resumed, true);
  assert.deepEqual(asked.at(-1), { status: 200, id: lastEventId });
});

test('an id that leads nowhere is a reset, and signs of life can be seen', PATIENCE, async (t) => {
  const shop = await Shop.open(t, QUICK);
  const source = new EventSource(`${shop.url}/api/events?last_event_id=zzz.1`, { fetch: withKey });
  t.after(() => source.close());
  const [reset, heartbeat] = [queue(source, 'stream-reset'), queue(source, 'heartbeat')];
  const { reason, snapshot, epoch, head } = JSON.parse((await reset()).data);
  assert.deepEqual([reason, snapshot], ['other-epoch', '/api/pets']);
  assert.equal((await heartbeat()).lastEventId, `${epoch}.${head}`);
});

test('without names everything about the store comes to onmessage', PATIENCE, async (t) => {
  const shop = await Shop.open(t, QUICK);
  const source = new EventSource(`${shop.url}/api/events/pets?named=false`, { fetch: withKey });
  t.after(() => source.close());
  const [connected, message] = [queue(source, 'connected'), queue(source, 'message')];
  await connected();
  await shop.pet('one');
  assert.equal(JSON.parse((await message()).data).type, 'pet-update');
});

test('a server that is full is tried again, and not given up', PATIENCE, async (t) => {
  const shop = await Shop.open(t, { events: { ...QUICK.events, subscribers: 1 } });
  const first = new EventSource(`${shop.url}/api/events`, { fetch: withKey });
  t.after(() => first.close());
  await queue(first, 'connected')();
  const second = new EventSource(`${shop.url}/api/events`, { fetch: withKey });
  t.after(() => second.close());
  const error = await queue(second, 'error')();
  assert.equal(error.code, undefined);
  assert.equal(second.readyState, EventSource.CONNECTING);
});

test('eventsource-parser finds the same events as a poll', PATIENCE, async (t) => {
  const shop = await Shop.open(t, QUICK);
  for (const name of ['a\r\nid: 1', 'b\rdata: {}', 'c\n\nevent: error']) await shop.pet(`x ${JSON.stringify(name)}`);
  const page = await (await shop.send('GET', '/api/events?after=earliest&wait=0&limit=1000')).json();
  const [seen, retries, comments] = [[], [], []];
  const parser = createParser({
    onEvent: (event) => seen.push(event),
    onRetry: (retry) => retries.push(retry),
    onComment: (comment) => comments.push(comment),
    onError: (error) => assert.fail(error),
  });
  const response = await shop.send('GET', '/api/events?last_event_id=earliest');
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    if (comments.length > 0) break;
  }
  const events = seen.filter(({ event }) => event !== 'connected' && event !== 'heartbeat');
  assert.deepEqual(events.map(({ id, event, data }) => ({ id, event, data: JSON.parse(data) })), page.events);
  assert.ok(events.length >= 3);
  assert.deepEqual(retries, [200]);
});

// Event streams read by third-party clients.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventSource } from 'eventsource';
import { createParser } from 'eventsource-parser';

import { KEY, Store } from './store.mjs';

const SHORT_INTERVALS = { events: { retry: '200ms', shutdown_window: '200ms', heartbeat: '1s' } };
// Milliseconds. Far more than needed.
const OPTIONS = { timeout: 60_000 };

/** `fetch` with a key. */
const withKey = (input, init) => fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${KEY}` } });

/** `fetch` that stores cookies like a browser, and a record of its requests. */
function browser() {
  const requests = [];
  let cookie;
  const get = async (input, init) => {
    const response = await fetch(input, { ...init, headers: { ...init.headers, ...(cookie && { cookie }) } });
    requests.push({ status: response.status, id: new Headers(init.headers).get('last-event-id') });
    cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
    return response;
  };
  return { get, requests };
}

/** Queues the events of one name. Returns a function that waits for the next one. */
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
  test(`eventsource reconnects after ${signal} and misses no event`, OPTIONS, async (t) => {
    const store = await Store.open(t, SHORT_INTERVALS);
    const source = new EventSource(`${store.url}/api/events/pets`, { fetch: withKey });
    t.after(() => source.close());
    const [connected, updated] = [queue(source, 'connected'), queue(source, 'pet-update')];
    assert.equal(JSON.parse((await connected()).data).resumed, false);
    await store.pet('one');
    const one = await updated();
    assert.equal(JSON.parse(one.data).resource.name, 'one');
    await store.end(signal);
    await store.start();
    // Most likely before the source has reconnected.
    await store.pet('two');
    const again = await connected();
    assert.deepEqual([JSON.parse(again.data).resumed, again.lastEventId], [true, one.lastEventId]);
    await store.pet('three');
    const [two, three] = [await updated(), await updated()];
    assert.deepEqual([two, three].map((event) => JSON.parse(event.data).resource.name), ['two', 'three']);
    const seq = (event) => Number(event.lastEventId.split('.')[1]);
    assert.deepEqual([two, three].map((event) => JSON.parse(event.data).prev), [seq(one), seq(two)]);
  });
}

test('a browser connects with a ticket and reconnects with its cookie', OPTIONS, async (t) => {
  const store = await Store.open(t, SHORT_INTERVALS);
  const { ticket } = await (await store.send('POST', '/api/events/tickets')).json();
  const { get, requests } = browser();
  const source = new EventSource(`${store.url}/api/events?topics=pets&ticket=${ticket}`, { fetch: get });
  t.after(() => source.close());
  const [connected, updated] = [queue(source, 'connected'), queue(source, 'pet-update')];
  await connected();
  await store.pet('one');
  const { lastEventId } = await updated();
  await store.end('SIGTERM');
  await store.start();
  assert.equal(JSON.parse((await connected()).data).resumed, true);
  assert.deepEqual(requests.at(-1), { status: 200, id: lastEventId });
});

test('an unknown id causes a reset, and heartbeats are delivered', OPTIONS, async (t) => {
  const store = await Store.open(t, SHORT_INTERVALS);
  const source = new EventSource(`${store.url}/api/events?last_event_id=zzz.1`, { fetch: withKey });
  t.after(() => source.close());
  const [reset, heartbeat] = [queue(source, 'stream-reset'), queue(source, 'heartbeat')];
  const { reason, snapshot, epoch, head } = JSON.parse((await reset()).data);
  assert.deepEqual([reason, snapshot], ['other-epoch', '/api/pets']);
  assert.equal((await heartbeat()).lastEventId, `${epoch}.${head}`);
});

test('without event names all events are delivered to onmessage', OPTIONS, async (t) => {
  const store = await Store.open(t, SHORT_INTERVALS);
  const source = new EventSource(`${store.url}/api/events/pets?named=false`, { fetch: withKey });
  t.after(() => source.close());
  const [connected, message] = [queue(source, 'connected'), queue(source, 'message')];
  await connected();
  await store.pet('one');
  assert.equal(JSON.parse((await message()).data).type, 'pet-update');
});

test('eventsource keeps retrying a server without free subscriptions', OPTIONS, async (t) => {
  const store = await Store.open(t, { events: { ...SHORT_INTERVALS.events, subscribers: 1 } });
  const first = new EventSource(`${store.url}/api/events`, { fetch: withKey });
  t.after(() => first.close());
  await queue(first, 'connected')();
  const second = new EventSource(`${store.url}/api/events`, { fetch: withKey });
  t.after(() => second.close());
  const error = await queue(second, 'error')();
  assert.equal(error.code, undefined);
  assert.equal(second.readyState, EventSource.CONNECTING);
});

test('eventsource-parser finds the same events as a poll', OPTIONS, async (t) => {
  const store = await Store.open(t, SHORT_INTERVALS);
  for (const name of ['a\r\nid: 1', 'b\rdata: {}', 'c\n\nevent: error']) await store.pet(`x ${JSON.stringify(name)}`);
  const page = await (await store.send('GET', '/api/events?after=earliest&wait=0&limit=1000')).json();
  const [seen, retries, comments] = [[], [], []];
  const parser = createParser({
    onEvent: (event) => seen.push(event),
    onRetry: (retry) => retries.push(retry),
    onComment: (comment) => comments.push(comment),
    onError: (error) => assert.fail(error),
  });
  const response = await store.send('GET', '/api/events?last_event_id=earliest');
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

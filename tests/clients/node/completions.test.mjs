// Completions and models through the Node SDK.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ROUTES, collect, connect, joined, question, route } from './petstream.mjs';

for (const name of ROUTES) {
  describe(name, async () => {
    const { baseURL, model } = await route(name);
    const client = connect({ baseURL });
    const ask = (options = {}) => client.chat.completions.create({ model, messages: question(), ...options });

    test('the chunks of a stream add up to the whole answer', async () => {
      const messages = question('List all available pets');
      const whole = await ask({ messages });
      const chunks = await collect(await ask({ messages, stream: true }));
      assert.ok(chunks.length > 10);
      assert.equal(joined(chunks), whole.choices[0].message.content);
      assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
      assert.equal(chunks.filter((chunk) => chunk.choices[0].delta.role).length, 1);
      assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
      assert.ok(chunks.every((chunk) => !('usage' in chunk)));
    });

    test('usage is sent once if requested', async () => {
      const whole = await ask();
      const chunks = await collect(await ask({ stream: true, stream_options: { include_usage: true } }));
      assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
      assert.deepEqual(chunks.at(-1).choices, []);
      assert.deepEqual(chunks.at(-1).usage, whole.usage);
    });

    test('two choices are streamed side by side', async () => {
      const one = await ask();
      const chunks = await collect(await ask({ n: 2, stream: true }));
      assert.equal(joined(chunks, 0), one.choices[0].message.content);
      assert.equal(joined(chunks, 1), one.choices[0].message.content);
      const two = await ask({ n: 2 });
      assert.equal(two.usage.completion_tokens, 2 * one.usage.completion_tokens);
    });

    test('max_tokens and stop are honoured', async () => {
      const text = (await ask()).choices[0].message.content;
      const cut = await ask({ max_completion_tokens: 5 });
      assert.equal(cut.choices[0].finish_reason, 'length');
      assert.equal(cut.usage.completion_tokens, 5);
      const middle = text.indexOf(' ', text.length / 3);
      const stop = text.slice(middle - 2, middle + 3);
      const stopped = await collect(await ask({ stop, stream: true }));
      assert.equal(joined(stopped), text.slice(0, text.indexOf(stop)));
      assert.equal(stopped.at(-1).choices[0].finish_reason, 'stop');
    });

    test('JSON mode returns an object', async () => {
      const messages = question('Which cats do you have?');
      const answer = await ask({ messages, response_format: { type: 'json_object' } });
      const { pets } = JSON.parse(answer.choices[0].message.content);
      assert.ok(pets.length > 0);
      assert.ok(pets.every((pet) => pet.species === 'CAT' && pet.status === 'AVAILABLE'));
    });

    test('the stream helper emits events and assembles the completion', async () => {
      const whole = await ask();
      const stream = client.chat.completions.stream({
        model,
        messages: question(),
        stream_options: { include_usage: true },
      });
      const seen = { content: '', deltas: '', done: [] };
      stream.on('content', (delta) => (seen.content += delta));
      stream.on('content.delta', ({ delta }) => (seen.deltas += delta));
      stream.on('content.done', ({ content }) => seen.done.push(content));
      const final = await stream.finalChatCompletion();
      const text = whole.choices[0].message.content;
      assert.deepEqual(seen, { content: text, deltas: text, done: [text] });
      assert.equal(final.choices[0].message.content, text);
      assert.equal(final.choices[0].message.role, 'assistant');
      assert.deepEqual(final.usage, whole.usage);
      assert.equal(await stream.finalContent(), text);
    });

    test('responses have the documented headers', async () => {
      const { response, request_id } = await ask({ stream: true }).withResponse();
      assert.match(request_id, /^req_[0-9a-f]{32}$/);
      assert.match(response.headers.get('openai-processing-ms'), /^\d+$/);
      assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
      assert.equal(response.headers.get('x-accel-buffering'), 'no');
      await response.body.cancel();
      assert.match((await ask())._request_id, /^req_[0-9a-f]{32}$/);
    });

    test('models are listed and found', async () => {
      const models = await collect(client.models.list());
      const expected = { local: ['petstore-ai'], proxied: ['petstore-ai', 'proxied'] };
      assert.deepEqual(models.map(({ id }) => id), expected[name]);
      assert.deepEqual(await client.models.retrieve(model), models.at(-1));
    });
  });
}

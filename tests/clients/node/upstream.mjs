// The Node SDK and the AI SDK against petstream with a real upstream. Started by tests/clients/real, which passes the
// addresses in the environment.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';

const { PETSTREAM_URL: baseURL, PETSTREAM_KEY: apiKey, UPSTREAM_MODEL: model } = process.env;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const prompt = 'Say hello to my dog.';
const ask = (options = {}) =>
  client.chat.completions.create({
    model,
    messages: [{ role: 'user', content: prompt }],
    max_tokens: 24,
    temperature: 0,
    seed: 1,
    ...options,
  });
const whole = await ask();
const text = whole.choices[0].message.content;

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

function joined(chunks) {
  return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
}

test('the chunks of a stream add up to the whole answer, without usage', async () => {
  const chunks = await collect(await ask({ stream: true }));
  assert.equal(joined(chunks), text);
  assert.ok(text.length > 0 && chunks.length > 5);
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
});

test('usage is sent once if requested', async () => {
  const chunks = await collect(await ask({ stream: true, stream_options: { include_usage: true } }));
  assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.completion_tokens, whole.usage.completion_tokens);
});

test('the stream helper assembles the completion', async () => {
  const messages = [{ role: 'user', content: prompt }];
  const stream = client.chat.completions.stream({ model, messages, max_tokens: 24, temperature: 0, seed: 1 });
  assert.equal(await stream.finalContent(), text);
});

test('errors of the upstream have the classes of the SDK', async () => {
  await assert.rejects(ask({ model: 'locked' }), (error) => {
    assert.ok(error instanceof OpenAI.InternalServerError);
    assert.deepEqual([error.status, error.type, error.code], [502, 'server_error', 'upstream_auth']);
    return true;
  });
  await assert.rejects(ask({ messages: [{ role: 'user', content: 'dog '.repeat(4000) }] }), OpenAI.BadRequestError);
});

test('the models of the upstream are listed', async () => {
  const models = await collect(client.models.list());
  assert.ok(models.some(({ id }) => id === model));
});

test('an aborted stream ends', async () => {
  const stream = await ask({ stream: true, max_tokens: 1500, ignore_eos: true });
  let seen = 0;
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    if ((seen += 1) === 5) stream.controller.abort();
  }
  assert.ok(seen < 1500);
});

test('the AI SDK', async () => {
  const chat = createOpenAICompatible({ name: 'petstream', baseURL, apiKey, includeUsage: true }).chatModel(model);
  const options = { model: chat, prompt, maxRetries: 0, maxOutputTokens: 24, temperature: 0, seed: 1 };
  const answer = await generateText(options);
  assert.equal(answer.text, text);
  const stream = streamText(options);
  assert.equal((await collect(stream.textStream)).join(''), text);
  assert.equal((await stream.usage).outputTokens, whole.usage.completion_tokens);
});

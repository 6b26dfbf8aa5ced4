// The AI SDK with its provider for OpenAI-compatible servers.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, streamText } from 'ai';

import { KEY, ROUTES, collect, connect, eventually, question, route } from './petstream.mjs';

const prompt = 'What can you do?';

function provider({ baseURL }, apiKey = KEY) {
  return createOpenAICompatible({ name: 'petstream', baseURL, apiKey, includeUsage: true });
}

for (const name of ROUTES) {
  describe(name, async () => {
    const { baseURL, model } = await route(name);
    const chat = provider({ baseURL }).chatModel(model);
    const whole = { model, messages: question(prompt) };
    const { choices, usage } = await connect({ baseURL }).chat.completions.create(whole);
    const expected = choices[0].message.content;

    test('generateText', async () => {
      const answer = await generateText({ model: chat, prompt, maxRetries: 0 });
      assert.equal(answer.text, expected);
      assert.equal(answer.finishReason, 'stop');
      assert.equal(answer.usage.inputTokens, usage.prompt_tokens);
      assert.equal(answer.usage.outputTokens, usage.completion_tokens);
    });

    test('streamText', async () => {
      const answer = streamText({ model: chat, prompt, maxRetries: 0 });
      const pieces = await collect(answer.textStream);
      assert.ok(pieces.length > 10);
      assert.equal(pieces.join(''), expected);
      assert.equal(await answer.finishReason, 'stop');
      const told = await answer.usage;
      assert.equal(told.inputTokens, usage.prompt_tokens);
      assert.equal(told.outputTokens, usage.completion_tokens);
    });

    test('provider-specific parameters are accepted', async () => {
      const options = { maxOutputTokens: 5, seed: 1, temperature: 1 };
      const answer = await generateText({ model: chat, prompt, maxRetries: 0, ...options });
      assert.equal(answer.finishReason, 'length');
      assert.equal(answer.usage.outputTokens, 5);
    });

    test('errors have the documented status and message', async () => {
      for (const [asked, status, message] of [
        [provider({ baseURL }, 'sk-wrong-0123456789').chatModel(model), 401, /^Incorrect API key provided/],
        [provider({ baseURL }).chatModel('no-such-model'), 404, /^The model `no-such-model` does not exist/],
      ]) {
        await assert.rejects(generateText({ model: asked, prompt, maxRetries: 0 }), (error) => {
          assert.ok(APICallError.isInstance(error), error.stack);
          assert.equal(error.statusCode, status);
          assert.match(error.message, message);
          assert.equal(error.isRetryable, false);
          return true;
        });
        const failed = [];
        const stream = streamText({ model: asked, prompt, maxRetries: 0, onError: ({ error }) => failed.push(error) });
        await stream.consumeStream({ onError: () => {} });
        assert.equal(failed[0]?.statusCode, status);
      }
    });

    test('an aborted stream frees its slot', async () => {
      const limits = { per_key: { concurrent_streams: 1 } };
      const slow = await route(name, { limits, responder: { tokens_per_second: 2 } });
      const asked = provider(slow).chatModel(slow.model);

      async function begun() {
        const abort = new AbortController();
        const refused = [];
        const onError = ({ error }) => refused.push(error);
        const answer = streamText({ model: asked, prompt, maxRetries: 0, abortSignal: abort.signal, onError });
        for await (const piece of answer.textStream) {
          assert.ok(piece);
          return abort;
        }
        assert.equal(refused[0]?.statusCode, 429);
        return null;
      }

      const first = await begun();
      assert.equal(await begun(), null);
      first.abort();
      (await eventually('the place is free', begun)).abort();
    });
  });
}

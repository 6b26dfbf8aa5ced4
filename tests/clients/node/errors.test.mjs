// Errors, limits and aborted streams through the Node SDK.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import OpenAI from 'openai';

import { KEY, ROUTES, collect, connect, eventually, question, route } from './petstream.mjs';

/** The error of a call. Asserts that the envelope has all four keys. */
async function errorOf(call) {
  const error = await call().then(() => assert.fail('it was accepted'), (caught) => caught);
  assert.ok(error instanceof OpenAI.APIError, error.stack);
  assert.deepEqual(Object.keys(error.error).sort(), ['code', 'message', 'param', 'type']);
  assert.match(error.requestID, /^req_/);
  return error;
}

function assertError(error, kind, expected) {
  assert.ok(error instanceof kind, `${error.constructor.name}, not ${kind.name}`);
  const { status, type, code, param } = error;
  assert.deepEqual({ status, type, code, param }, expected);
}

for (const name of ROUTES) {
  describe(name, async () => {
    const { baseURL, model } = await route(name);
    const client = connect({ baseURL });
    const invalid = { status: 400, type: 'invalid_request_error' };

    for (const stream of [false, true]) {
      const ask = (options = {}, asked = client) =>
        asked.chat.completions.create({ model, messages: question(), stream, ...options });

      test(`no key or a wrong key; stream: ${stream}`, async () => {
        const keyless = connect({ baseURL }, { defaultHeaders: { Authorization: null } });
        const none = { status: 401, type: 'invalid_request_error', code: null, param: null };
        assertError(await errorOf(() => ask({}, keyless)), OpenAI.AuthenticationError, none);
        const rejected = await errorOf(() => ask({}, connect({ baseURL }, { apiKey: `${KEY}0` })));
        assertError(rejected, OpenAI.AuthenticationError, { ...none, code: 'invalid_api_key' });
        assert.ok(!JSON.stringify(rejected.error).includes(KEY));
      });

      test(`a model that does not exist; stream: ${stream}`, async () => {
        const expected = { status: 404, type: 'invalid_request_error', code: 'model_not_found', param: 'model' };
        assertError(await errorOf(() => ask({ model: 'no-such-model' })), OpenAI.NotFoundError, expected);
      });

      test(`invalid requests; stream: ${stream}`, async () => {
        for (const [options, code, param] of [
          [{ messages: [] }, 'empty_array', 'messages'],
          [{ temperature: 99 }, 'decimal_above_max_value', 'temperature'],
          [{ logprobs: true }, 'unsupported_value', 'logprobs'],
        ]) {
          assertError(await errorOf(() => ask(options)), OpenAI.BadRequestError, { ...invalid, code, param });
        }
      });
    }

    test('the limit on requests per minute', async () => {
      const limited = await route(name, { limits: { per_key: { requests_per_minute: 2 } } });
      const asked = connect(limited);
      const ask = () => asked.chat.completions.create({ model: limited.model, messages: question() });
      const remaining = [];
      for (let i = 0; i < 2; i++) {
        const { response } = await ask().withResponse();
        remaining.push(response.headers.get('x-ratelimit-remaining-requests'));
      }
      assert.deepEqual(remaining, ['1', '0']);
      const error = await errorOf(ask);
      const expected = { status: 429, type: 'requests', code: 'rate_limit_exceeded', param: null };
      assertError(error, OpenAI.RateLimitError, expected);
      assert.ok(Number(error.headers.get('retry-after')) >= 1);
      assert.ok(Number(error.headers.get('retry-after-ms')) > 0);
    });

    test('a request that exceeds the limit by itself is not retried', async () => {
      const limited = await route(name, { limits: { per_key: { tokens_per_minute: 100 } } });
      let sent = 0;
      const counted = (...request) => {
        sent += 1;
        return fetch(...request);
      };
      const asked = connect(limited, { maxRetries: 2, fetch: counted });
      const options = { model: limited.model, messages: question(), max_tokens: 1000 };
      const error = await errorOf(() => asked.chat.completions.create(options));
      const expected = { status: 429, type: 'tokens', code: 'rate_limit_exceeded', param: null };
      assertError(error, OpenAI.RateLimitError, expected);
      assert.equal(error.headers.get('x-should-retry'), 'false');
      assert.equal(sent, 1);
    });

    test('an aborted stream frees its slot', async () => {
      const limits = { per_key: { concurrent_streams: 1 } };
      const slow = await route(name, { limits, responder: { tokens_per_second: 2 } });
      const asked = connect(slow);
      const open = () => asked.chat.completions.create({ model: slow.model, messages: question(), stream: true });
      const accepted = () =>
        open().catch((error) => {
          assert.ok(error instanceof OpenAI.RateLimitError, error.stack);
          assert.match(error.message, /concurrent streams/);
        });

      const byController = await open();
      for await (const chunk of byController) {
        assert.equal(chunk.choices[0].delta.role, 'assistant');
        break;
      }
      // Leaving the loop aborts the request.
      const byHelper = await eventually('the slot is free', accepted);
      assert.equal(await accepted(), undefined);
      byHelper.controller.abort();
      const last = await eventually('the slot is free again', accepted);
      last.controller.abort();
      assert.deepEqual(await collect(last), []);
    });
  });
}

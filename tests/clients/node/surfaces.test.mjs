// Responses through OpenAI's Node SDK and messages through Anthropic's: of the local model, and translated for an
// upstream that speaks chat.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { KEY, TIMEOUT, collect, connect, question, serve } from './petstream.mjs';
import { CALLS, PIECES, TEXT, upstream } from './scripted.mjs';

const prompt = 'How many dogs are available?';
const behind = await upstream();
const server = await serve({ models: [{ name: 'chat', upstreams: [{ base_url: behind.baseURL }] }] });
const client = connect(server);
const claude = (options = {}) =>
  new Anthropic({ apiKey: KEY, baseURL: new URL(server.baseURL).origin, maxRetries: 0, timeout: TIMEOUT, ...options });
const { choices, usage } = await client.chat.completions.create({ model: 'petstore-ai', messages: question(prompt) });
const local = choices[0].message.content;
const schema = { type: 'object', properties: {} };

async function errorOf(promise) {
  return promise.then(() => assert.fail('it was accepted'), (error) => error);
}

describe('responses', () => {
  const tools = CALLS.map(({ name }) => ({ type: 'function', name, parameters: schema, strict: false }));
  const ask = async (stream, options) => {
    const asked = { model: 'chat', ...options };
    return stream ? client.responses.stream(asked).finalResponse() : client.responses.create(asked);
  };

  for (const stream of [false, true]) {
    test(`the local model; stream: ${stream}`, async () => {
      const answer = await ask(stream, { model: 'petstore-ai', input: prompt });
      assert.deepEqual([answer.output_text, answer.status], [local, 'completed']);
      assert.equal(answer.usage.input_tokens, usage.prompt_tokens);
      assert.equal(answer.usage.output_tokens, usage.completion_tokens);
    });

    test(`an upstream that speaks chat; stream: ${stream}`, async () => {
      const answer = await ask(stream, { input: 'Hi', instructions: 'Be brief.' });
      assert.deepEqual([answer.output_text, answer.status, answer.usage.total_tokens], [TEXT, 'completed', 16]);
    });

    test(`functions and their outputs; stream: ${stream}`, async () => {
      const input = question('tools');
      const first = await ask(stream, { input, tools });
      const calls = first.output.filter(({ type }) => type === 'function_call');
      const found = calls.map(({ call_id, name, arguments: given }) => [call_id, name, JSON.parse(given)]);
      assert.deepEqual(found, CALLS.map(({ id, name, arguments: given }) => [id, name, given]));
      const output = ({ call_id, name }) => ({ type: 'function_call_output', call_id, output: `${name}. ` });
      // The helper adds `parsed_arguments`, which are no part of a request.
      const sent = first.output.map(({ parsed_arguments: _, ...item }) => item);
      const second = await ask(stream, { input: [...input, ...sent, ...calls.map(output)], tools });
      assert.equal(second.output_text, 'It says: find. sell. ');
      const roles = behind.requests.at(-1).messages.map(({ role }) => role);
      assert.deepEqual(roles, ['user', 'assistant', 'tool', 'tool']);
    });

    test(`errors; stream: ${stream}`, async () => {
      for (const [options, kind, expected] of [
        [{ model: 'nope' }, OpenAI.NotFoundError, ['model_not_found', 'model']],
        [{ background: true }, OpenAI.BadRequestError, ['unsupported_parameter', 'background']],
        [{ previous_response_id: 'r' }, OpenAI.BadRequestError, ['unsupported_parameter', 'previous_response_id']],
        [{ temperature: 99, model: 'petstore-ai' }, OpenAI.BadRequestError, ['decimal_above_max_value', 'temperature']],
        [{ input: '429' }, OpenAI.RateLimitError, ['no_memory', null]],
      ]) {
        const error = await errorOf(ask(stream, { input: 'Hi', ...options }));
        assert.ok(error instanceof kind, error.stack);
        assert.deepEqual([error.code, error.param], expected);
        assert.match(error.requestID, /^req_/);
      }
      const wrong = connect(server, { apiKey: `${KEY}0` });
      const error = await errorOf(wrong.responses.create({ model: 'chat', input: 'Hi', stream }));
      assert.ok(error instanceof OpenAI.AuthenticationError, error.stack);
    });
  }

  test('events', async () => {
    const events = await collect(await client.responses.create({ model: 'chat', input: 'Hi', stream: true }));
    assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
    const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
    assert.deepEqual(deltas.map(({ delta }) => delta), PIECES);
    assert.equal(events.at(-1).type, 'response.completed');
  });

  test('structured output', async () => {
    const format = zodTextFormat(z.object({ name: z.string(), legs: z.number() }), 'pet');
    const options = { model: 'chat', input: 'json', text: { format } };
    assert.deepEqual((await client.responses.parse(options)).output_parsed, { name: 'Rex', legs: 4 });
    assert.deepEqual((await client.responses.stream(options).finalResponse()).output_parsed, { name: 'Rex', legs: 4 });
    assert.equal(behind.requests.at(-1).response_format.json_schema.name, 'pet');
  });

  test('a failure in the middle', async () => {
    const said = [];
    const stream = await client.responses.create({ model: 'chat', input: 'fail', stream: true });
    const error = await errorOf(
      (async () => {
        for await (const event of stream) if (event.type === 'response.output_text.delta') said.push(event.delta);
      })(),
    );
    assert.ok(error instanceof OpenAI.APIError, error.stack);
    assert.deepEqual([said, error.code], [PIECES, 'upstream_closed']);
  });
});

describe('messages', () => {
  const tools = CALLS.map(({ name }) => ({ name, input_schema: schema }));
  const asking = (content, more = {}) => ({ model: 'chat', max_tokens: 500, messages: question(content), ...more });
  const ask = async (stream, options, asked = claude()) =>
    stream ? asked.messages.stream(options).finalMessage() : asked.messages.create(options);
  const textOf = ({ content }) => content.map(({ text }) => text ?? '').join('');

  for (const stream of [false, true]) {
    test(`the local model; stream: ${stream}`, async () => {
      const answer = await ask(stream, asking(prompt, { model: 'petstore-ai' }));
      assert.deepEqual([textOf(answer), answer.stop_reason], [local, 'end_turn']);
      assert.equal(answer.usage.input_tokens, usage.prompt_tokens);
      assert.equal(answer.usage.output_tokens, usage.completion_tokens);
    });

    test(`an upstream that speaks chat; stream: ${stream}`, async () => {
      const answer = await ask(stream, asking('Hi', { system: 'Be brief.' }));
      assert.deepEqual([textOf(answer), answer.stop_reason, answer.usage.output_tokens], [TEXT, 'end_turn', 5]);
    });

    test(`tools and their results; stream: ${stream}`, async () => {
      const first = await ask(stream, asking('tools', { tools }));
      assert.equal(first.stop_reason, 'tool_use');
      const found = first.content.map(({ id, name, input }) => ({ id, name, arguments: input }));
      assert.deepEqual(found, CALLS);
      const result = ({ id, name }) => ({ type: 'tool_result', tool_use_id: id, content: `${name}. ` });
      const content = first.content.map(result);
      const messages = [...question('tools'), { role: 'assistant', content: first.content }, { role: 'user', content }];
      const second = await ask(stream, asking('', { tools, messages }));
      assert.equal(textOf(second), 'It says: find. sell. ');
    });

    test(`errors; stream: ${stream}`, async () => {
      for (const [options, kind, status, type] of [
        [asking('Hi', { model: 'nope' }), Anthropic.NotFoundError, 404, 'not_found_error'],
        [asking('Hi', { top_k: 3 }), Anthropic.BadRequestError, 400, 'invalid_request_error'],
        [asking('429'), Anthropic.RateLimitError, 429, 'rate_limit_error'],
        [asking('529'), Anthropic.InternalServerError, 529, 'overloaded_error'],
      ]) {
        const error = await errorOf(ask(stream, options));
        assert.ok(error instanceof kind, error.stack);
        assert.deepEqual([error.status, error.error.error.type], [status, type]);
        assert.match(error.requestID, /^req_/);
      }
      const error = await errorOf(ask(stream, asking('Hi'), claude({ apiKey: `${KEY}0` })));
      assert.ok(error instanceof Anthropic.AuthenticationError, error.stack);
      assert.equal(textOf(await ask(stream, asking('Hi'), claude({ apiKey: null, authToken: KEY }))), TEXT);
    });
  }

  test('the stream helper', async () => {
    const stream = claude().messages.stream(asking('Hi'));
    const seen = [];
    stream.on('text', (text) => seen.push(text));
    assert.equal(await stream.finalText(), TEXT);
    assert.deepEqual(seen, PIECES);
  });

  test('counting tokens', async () => {
    const messages = question(prompt);
    const counted = await claude().messages.countTokens({ model: 'petstore-ai', messages });
    assert.deepEqual(counted, { input_tokens: usage.prompt_tokens });
    const estimate = await claude().messages.countTokens({ model: 'chat', messages, tools });
    assert.ok(estimate.input_tokens > 5 && estimate.estimated);
  });

  test('a failure in the middle', async () => {
    const said = [];
    const stream = await claude().messages.create(asking('fail', { stream: true }));
    const error = await errorOf(
      (async () => {
        for await (const event of stream) if (event.type === 'content_block_delta') said.push(event.delta.text);
      })(),
    );
    assert.ok(error instanceof Anthropic.APIError, error.stack);
    assert.deepEqual([said, error.error.error.type], [PIECES, 'api_error']);
  });
});

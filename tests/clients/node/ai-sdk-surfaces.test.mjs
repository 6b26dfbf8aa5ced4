// The AI SDK with its providers for OpenAI's responses and for Anthropic's messages: of the local model, and translated
// for an upstream that speaks chat.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, Output, generateText, isStepCount, streamText, tool } from 'ai';
import { z } from 'zod';

import { KEY, collect, connect, question, serve } from './petstream.mjs';
import { CALLS, PIECES, TEXT, upstream } from './scripted.mjs';

const prompt = 'How many dogs are available?';
const behind = await upstream();
const server = await serve({ models: [{ name: 'chat', upstreams: [{ base_url: behind.baseURL }] }] });
const whole = { model: 'petstore-ai', messages: question(prompt) };
const { choices, usage } = await connect(server).chat.completions.create(whole);

const SURFACES = {
  responses: (apiKey = KEY) => createOpenAI({ baseURL: server.baseURL, apiKey }).responses,
  messages: (apiKey = KEY) => createAnthropic({ baseURL: server.baseURL, apiKey }),
};

for (const [name, provider] of Object.entries(SURFACES)) {
  describe(name, () => {
    const model = (of) => provider()(of);

    test('the local model', async () => {
      const options = { model: model('petstore-ai'), prompt, maxRetries: 0 };
      const answer = await generateText(options);
      assert.deepEqual([answer.text, answer.finishReason], [choices[0].message.content, 'stop']);
      const stream = streamText(options);
      assert.equal((await collect(stream.textStream)).join(''), answer.text);
      for (const told of [answer.usage, await stream.usage]) {
        assert.equal(told.inputTokens, usage.prompt_tokens);
        assert.equal(told.outputTokens, usage.completion_tokens);
      }
    });

    test('an upstream that speaks chat', async () => {
      const options = { model: model('chat'), system: 'Be brief.', prompt: 'Hi', maxRetries: 0 };
      const answer = await generateText(options);
      assert.deepEqual([answer.text, answer.finishReason, answer.usage.totalTokens], [TEXT, 'stop', 16]);
      const stream = streamText(options);
      assert.deepEqual(await collect(stream.textStream), PIECES);
      assert.equal(await stream.finishReason, 'stop');
      const roles = behind.requests.at(-1).messages.map(({ role }) => role);
      assert.deepEqual(roles, ['system', 'user']);
    });

    test('tools run, and their results are answered', async () => {
      const ran = [];
      const run = (name) => (input) => {
        ran.push({ name, arguments: input });
        return `${name}. `;
      };
      const tools = {
        find: tool({ inputSchema: z.object({ species: z.string() }), execute: run('find') }),
        sell: tool({ inputSchema: z.object({ id: z.number() }), execute: run('sell') }),
      };
      const options = { model: model('chat'), prompt: 'tools', tools, stopWhen: isStepCount(2), maxRetries: 0 };
      const answer = await generateText(options);
      assert.equal(answer.text, 'It says: find. sell. ');
      const stream = streamText(options);
      assert.equal((await collect(stream.textStream)).join(''), answer.text);
      const expected = CALLS.map(({ name: called, arguments: given }) => ({ name: called, arguments: given }));
      assert.deepEqual(ran, [...expected, ...expected]);
    });

    test('structured output', async () => {
      const output = Output.object({ schema: z.object({ name: z.string(), legs: z.number() }) });
      const answer = await generateText({ model: model('chat'), prompt: 'json', output, maxRetries: 0 });
      assert.deepEqual(answer.output, { name: 'Rex', legs: 4 });
    });

    test('errors', async () => {
      for (const [asked, text, status] of [
        [provider(`${KEY}0`)('chat'), 'Hi', 401],
        [model('nope'), 'Hi', 404],
        [model('chat'), '429', 429],
      ]) {
        const error = await generateText({ model: asked, prompt: text, maxRetries: 0 }).then(
          () => assert.fail('it was accepted'),
          (caught) => caught,
        );
        assert.ok(APICallError.isInstance(error), error.stack);
        assert.equal(error.statusCode, status);
      }
    });

    test('a failure in the middle', async () => {
      const failed = [];
      const stream = streamText({
        model: model('chat'),
        prompt: 'fail',
        maxRetries: 0,
        onError: ({ error }) => failed.push(error),
      });
      const parts = await collect(stream.fullStream);
      const texts = parts.filter(({ type }) => type === 'text-delta').map(({ text }) => text);
      assert.deepEqual(texts, PIECES);
      assert.ok(failed.length > 0);
    });
  });
}

// A small upstream that speaks chat: the last text of a request says what it answers.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { after } from 'node:test';

export const PIECES = ['Hello', ' “there”\n', '!'];
export const TEXT = PIECES.join('');
export const CALLS = [
  { id: 'call_a', name: 'find', arguments: { species: 'dog' } },
  { id: 'call_b', name: 'sell', arguments: { id: 7 } },
];
const USAGE = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 };
const FAILURE = 'The model has no memory left.';

const chunk = (more) => ({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'up-2026', ...more });
const called = ({ id, name, arguments: given }) => ({
  id,
  type: 'function',
  function: { name, arguments: JSON.stringify(given) },
});

/** The pieces of the text, the calls and the reason of the end. Results of functions are repeated. */
function plan({ messages }) {
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  if (results.length > 0) return { pieces: ['It says: ', ...results], calls: [], finish: 'stop' };
  const asked = textOf(messages.at(-1));
  if (asked === 'tools') return { pieces: [], calls: CALLS, finish: 'tool_calls' };
  if (asked === 'json') return { pieces: ['{"name": "Rex",', ' "legs": 4}'], calls: [], finish: 'stop' };
  return { pieces: PIECES, calls: [], finish: 'stop' };
}

function textOf({ content }) {
  return typeof content === 'string' ? content : content.map(({ text }) => text ?? '').join('');
}

function whole({ pieces, calls, finish }) {
  const message = { role: 'assistant', content: pieces.join('') || null };
  if (calls.length > 0) message.tool_calls = calls.map(called);
  return chunk({ object: 'chat.completion', choices: [{ index: 0, message, finish_reason: finish }], usage: USAGE });
}

function frames({ pieces, calls, finish }) {
  const deltas = [{ role: 'assistant', content: calls.length > 0 ? null : '' }];
  deltas.push(...pieces.map((content) => ({ content })));
  calls.forEach((call, index) => {
    const { function: given, ...begin } = called(call);
    const part = (more) => deltas.push({ tool_calls: [{ index, ...more }] });
    part({ ...begin, function: { name: given.name, arguments: '' } });
    for (const half of [given.arguments.slice(0, 5), given.arguments.slice(5)]) part({ function: { arguments: half } });
  });
  const data = deltas.map((delta) => chunk({ choices: [{ index: 0, delta, finish_reason: null }] }));
  data.push(chunk({ choices: [{ index: 0, delta: {}, finish_reason: finish }] }), chunk({ choices: [], usage: USAGE }));
  return data;
}

/**
 * Starts the upstream, which ends after the tests of this file. `requests` are the bodies so far. The text `fail` is
 * answered by a stream that ends behind its pieces, a number by an error with this status.
 */
export async function upstream() {
  const requests = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const body = JSON.parse(text);
    requests.push(body);
    const asked = textOf(body.messages.at(-1));
    if (/^\d+$/.test(asked)) {
      response.writeHead(Number(asked), { 'content-type': 'application/json', 'retry-after': '7' });
      response.end(JSON.stringify({ error: { message: FAILURE, type: 'invalid_request_error', code: 'no_memory' } }));
      return;
    }
    if (!body.stream) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(whole(plan(body))));
      return;
    }
    const sent = frames(plan(body)).map((data) => JSON.stringify(data));
    const all = asked === 'fail' ? sent.slice(0, 1 + PIECES.length) : [...sent, '[DONE]'];
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(all.map((data) => `data: ${data}\n\n`).join(''));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { baseURL: `http://127.0.0.1:${server.address().port}/v1`, requests };
}

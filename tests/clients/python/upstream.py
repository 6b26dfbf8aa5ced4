"""A small upstream that speaks chat, responses and messages: the last text of a request says what it answers.

| text | answer |
|---|---|
| `tools` | calls of two functions, the arguments of each in two parts |
| `json` | an object |
| `length` | a text that the limit of tokens cut |
| `break` | a text, then the body ends; a stream only |
| `error` | a text, then an error of the upstream's own; a stream only |
| a number | an error with this status |
| any other | a text |

Results of functions are answered by a text that contains them.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECES = ["Hello", " “there”\n", "!"]
TEXT = "".join(PIECES)
OBJECT = ['{"name": "Rex",', ' "legs": 4}']
CALLS = [("call_a", "find", {"species": "dog"}), ("call_b", "sell", {"id": 7})]
INPUT, OUTPUT = 11, 5
ERROR = "The model has no memory left."


class Upstream:
    """Serves until it is closed. `requests` are the path, the headers and the body of each request so far."""

    def __init__(self):
        self.requests: list[tuple[str, dict[str, str], dict]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((self.path, headers, body))
                reply(self, body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def reply(handler: BaseHTTPRequestHandler, request: dict) -> None:
    api = handler.path.removeprefix("/v1/")
    if api == "messages/count_tokens":
        return send(handler, 200, {"input_tokens": INPUT})
    asked, results = last_texts(api, request)
    if asked.isdigit():
        return send(handler, int(asked), error(api, int(asked)))
    pieces, calls, finish = PIECES, [], "length" if asked == "length" else "stop"
    if results:
        pieces = ["It says: ", *results]
    elif asked == "tools":
        pieces, calls, finish = [], CALLS, "tool_calls"
    elif asked == "json":
        pieces = OBJECT
    stream, whole, failure = {
        "chat/completions": (chat_stream, chat_whole, chat_failure),
        "responses": (response_stream, response_whole, response_failure),
        "messages": (message_stream, message_whole, message_failure),
    }[api]
    if not request.get("stream"):
        return send(handler, 200, whole(pieces, calls, finish))
    events = stream(pieces, calls, finish)
    if asked in ("break", "error"):
        # The events behind the last piece are left out.
        last = max(at for at, event in enumerate(events) if json.dumps(pieces[-1]) in event and "delta" in event)
        events = events[: last + 1] + ([failure()] if asked == "error" else [])
    send(handler, 200, "".join(events), "text/event-stream")


def send(handler: BaseHTTPRequestHandler, status: int, body, kind: str = "application/json") -> None:
    body = (body if isinstance(body, str) else json.dumps(body)).encode()
    handler.send_response(status)
    handler.send_header("content-type", kind)
    handler.send_header("content-length", str(len(body)))
    if status == 429:
        handler.send_header("retry-after", "7")
    handler.end_headers()
    handler.wfile.write(body)


def last_texts(api: str, request: dict) -> tuple[str, list[str]]:
    """The last text of a request, or the results of functions at its end."""
    results = []
    if api == "responses":
        if isinstance(request["input"], str):
            return request["input"], []
        results = [item["output"] for item in request["input"] if item.get("type") == "function_call_output"]
        last = request["input"][-1].get("content", "")
    else:
        messages = request["messages"]
        last = messages[-1]["content"]
        results = [message["content"] for message in messages if message["role"] == "tool"]
    if isinstance(last, str):
        return last, results
    results += [block["content"] for block in last if block["type"] == "tool_result"]
    # The content of a result may have blocks too.
    results = [one if isinstance(one, str) else one[0]["text"] for one in results]
    return "".join(block.get("text", "") for block in last), results


def error(api: str, status: int) -> dict:
    if api == "messages":
        kinds = {400: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}
        return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": ERROR}}
    return {"error": {"message": ERROR, "type": "invalid_request_error", "param": "temperature", "code": "no_memory"}}


def event(data: dict, named: bool = True) -> str:
    name = f"event: {data['type']}\n" if named else ""
    return f"{name}data: {json.dumps(data)}\n\n"


def halves(arguments: dict) -> list[str]:
    text = json.dumps(arguments)
    return [text[:5], text[5:]]


# Chat.

CHAT_USAGE = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}


def chunk(**more) -> dict:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "up-2026"} | more


def chat_stream(pieces: list[str], calls: list, finish: str) -> list[str]:
    deltas = [{"role": "assistant", "content": None if calls else ""}, *({"content": piece} for piece in pieces)]
    for index, (id, name, arguments) in enumerate(calls):
        function = {"name": name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
        for half in halves(arguments):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": half}}]})
    chunks = [chunk(choices=[{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    chunks.append(chunk(choices=[{"index": 0, "delta": {}, "finish_reason": finish}]))
    chunks.append(chunk(choices=[], usage=CHAT_USAGE))
    return [event(data, named=False) for data in chunks] + ["data: [DONE]\n\n"]


def chat_whole(pieces: list[str], calls: list, finish: str) -> dict:
    message = {"role": "assistant", "content": "".join(pieces) or None}
    if calls:
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for id, name, arguments in calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return chunk(object="chat.completion", choices=[choice], usage=CHAT_USAGE)


def chat_failure() -> str:
    return f"data: {json.dumps({'error': {'message': ERROR, 'type': 'server_error', 'code': 'no_memory'}})}\n\n"


# Responses.


def response(status: str, output: list, **more) -> dict:
    usage = {
        "input_tokens": INPUT,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": OUTPUT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT + OUTPUT,
    }
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "up-2026",
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None if status == "in_progress" else usage,
    } | more


def message_item(pieces: list[str], status: str) -> dict:
    part = {"type": "output_text", "text": "".join(pieces), "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_up", "status": status, "role": "assistant", "content": [part]}


def call_item(id: str, name: str, arguments: str, status: str) -> dict:
    call = {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name}
    return call | {"arguments": arguments, "status": status}


def response_whole(pieces: list[str], calls: list, finish: str) -> dict:
    status = "incomplete" if finish == "length" else "completed"
    output = [message_item(pieces, status)] if pieces else []
    output += [call_item(id, name, json.dumps(arguments), "completed") for id, name, arguments in calls]
    details = {"reason": "max_output_tokens"} if finish == "length" else None
    return response(status, output, incomplete_details=details)


def response_stream(pieces: list[str], calls: list, finish: str) -> list[str]:
    whole = response_whole(pieces, calls, finish)
    found = []

    def add(kind: str, **more) -> None:
        found.append({"type": f"response.{kind}"} | more)

    for kind in ("created", "in_progress"):
        add(kind, response=response("in_progress", []))
    for index, item in enumerate(whole["output"]):
        at = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            add("output_item.added", output_index=index, item=item | {"status": "in_progress", "content": []})
            add("content_part.added", **at, content_index=0, part=part)
            for piece in pieces:
                add("output_text.delta", **at, content_index=0, delta=piece, logprobs=[])
            text = "".join(pieces)
            add("output_text.done", **at, content_index=0, text=text, logprobs=[])
            add("content_part.done", **at, content_index=0, part=part | {"text": text})
        else:
            add("output_item.added", output_index=index, item=item | {"status": "in_progress", "arguments": ""})
            for half in halves(json.loads(item["arguments"])):
                add("function_call_arguments.delta", **at, delta=half)
            add("function_call_arguments.done", **at, name=item["name"], arguments=item["arguments"])
        add("output_item.done", output_index=index, item=item)
    add(whole["status"], response=whole)
    return [event(data | {"sequence_number": number}) for number, data in enumerate(found)]


def response_failure() -> str:
    # It is behind the created, the in_progress, the added and the delta events.
    number = 4 + len(PIECES)
    return event({"type": "error", "sequence_number": number, "code": "no_memory", "message": ERROR, "param": None})


# Messages.

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def message(**more) -> dict:
    head = {"id": "msg_up", "type": "message", "role": "assistant", "model": "up-2026", "content": []}
    usage = {"input_tokens": INPUT, "output_tokens": 1}
    return head | {"stop_reason": None, "stop_sequence": None, "usage": usage} | more


def message_whole(pieces: list[str], calls: list, finish: str) -> dict:
    content = [{"type": "text", "text": "".join(pieces)}] if pieces else []
    content += [{"type": "tool_use", "id": id, "name": name, "input": arguments} for id, name, arguments in calls]
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT}
    return message(content=content, stop_reason=STOP_REASONS[finish], usage=usage)


def message_stream(pieces: list[str], calls: list, finish: str) -> list[str]:
    found = [{"type": "message_start", "message": message()}, {"type": "ping"}]
    blocks = []
    if pieces:
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for id, name, arguments in calls:
        deltas = [{"type": "input_json_delta", "partial_json": half} for half in halves(arguments)]
        blocks.append(({"type": "tool_use", "id": id, "name": name, "input": {}}, deltas))
    for index, (block, deltas) in enumerate(blocks):
        found.append({"type": "content_block_start", "index": index, "content_block": block})
        found += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        found.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": STOP_REASONS[finish], "stop_sequence": None}
    found.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": OUTPUT}})
    return [event(data) for data in [*found, {"type": "message_stop"}]]


def message_failure() -> str:
    return event({"type": "error", "error": {"type": "overloaded_error", "message": ERROR}})

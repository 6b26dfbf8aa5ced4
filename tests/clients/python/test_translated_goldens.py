"""The golden streams and answers of translations, read by the SDKs' own accumulators and checked by their models."""

import json
from pathlib import Path

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from openai import ContentFilterFinishReasonError, LengthFinishReasonError
from openai._types import omit
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

FIXTURES = Path(__file__).parents[3] / "fixtures" / "translation"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.chat"))
COMPLETE = [name for name in NAMES if name != "failure"]
FROM_MESSAGES = FIXTURES / "chat_from_messages"
MESSAGE_STREAMS = sorted(path.stem for path in (FROM_MESSAGES / "streams").glob("*.messages"))
COMPLETE_MESSAGE_STREAMS = [name for name in MESSAGE_STREAMS if name not in ("failure", "cut")]
REQUESTS = sorted(path.name.split(".")[0] for path in (FROM_MESSAGES / "requests").glob("*.messages.json"))
MESSAGES = sorted(path.name.split(".")[0] for path in (FROM_MESSAGES / "answers").glob("*.message.json"))


def events(name: str) -> list[tuple[str | None, dict]]:
    """The name and the data of each event; `[DONE]` is left out."""
    found = []
    for frame in (FIXTURES / name).read_text().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.splitlines())
        if lines and lines["data"] != "[DONE]":
            found.append((lines.get("event"), json.loads(lines["data"])))
    return found


def expected(name: str) -> dict:
    """What the chat stream says."""
    answer = {"reasoning": "", "text": "", "calls": {}, "finish": None, "usage": None}
    for _, chunk in events(f"{name}.chat"):
        for choice in chunk.get("choices", []):
            delta = choice["delta"]
            answer["reasoning"] += delta.get("reasoning_content") or ""
            answer["text"] += (delta.get("content") or "") + (delta.get("refusal") or "")
            for call in delta.get("tool_calls", []):
                entry = answer["calls"].setdefault(call["index"], {"arguments": ""})
                entry.setdefault("id", call.get("id"))
                entry.setdefault("name", call["function"].get("name"))
                entry["arguments"] += call["function"]["arguments"]
            answer["finish"] = choice["finish_reason"] or answer["finish"]
        answer["usage"] = chunk.get("usage") or answer["usage"]
    calls = [(call["id"], call["name"], json.loads(call["arguments"])) for _, call in sorted(answer["calls"].items())]
    return answer | {"calls": calls}


@pytest.mark.parametrize("name", COMPLETE)
def test_messages_accumulate_to_what_the_chat_stream_says(name):
    adapter = TypeAdapter(RawMessageStreamEvent)
    snapshot, buffers = None, {}
    for kind, data in events(f"{name}.messages"):
        assert kind == data["type"]
        event = adapter.validate_python(data)
        if kind != "message_stop":
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    message = Message.model_validate(snapshot.model_dump(warnings=False))
    chat = expected(name)
    assert "".join(block.text for block in message.content if block.type == "text") == chat["text"]
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == chat["reasoning"]
    calls = [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert calls == chat["calls"]
    reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
    special = {"refusal": "refusal", "stop_sequence": "stop_sequence"}
    assert message.stop_reason == special.get(name, reasons[chat["finish"]])
    if chat["usage"]:
        usage = message.usage
        assert usage.input_tokens + usage.cache_read_input_tokens == chat["usage"]["prompt_tokens"]
        assert usage.cache_read_input_tokens == chat["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert usage.output_tokens == chat["usage"]["completion_tokens"]
        assert usage.output_tokens_details.thinking_tokens == 3


@pytest.mark.parametrize("name", COMPLETE)
def test_responses_accumulate_to_what_the_chat_stream_says(name):
    adapter = TypeAdapter(ResponseStreamEvent)
    state = ResponseStreamState(input_tools=omit, text_format=omit)
    response = None
    for number, (kind, data) in enumerate(events(f"{name}.responses")):
        assert (kind, number) == (data["type"], data["sequence_number"])
        event = adapter.validate_python(data)
        state.handle_event(event)
        if kind in ("response.completed", "response.incomplete"):
            response = Response.model_validate(data["response"])
    chat = expected(name)
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    assert "".join(part.text if part.type == "output_text" else part.refusal for part in parts) == chat["text"]
    reasoning = [part.text for item in response.output if item.type == "reasoning" for part in item.content]
    assert "".join(reasoning) == chat["reasoning"]
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.call_id, call.name, json.loads(call.arguments)) for call in calls] == chat["calls"]
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    assert (response.incomplete_details and response.incomplete_details.reason) == reasons.get(chat["finish"])
    assert response.status == ("incomplete" if chat["finish"] in reasons else "completed")
    if chat["usage"] is None:
        assert response.usage is None
    else:
        assert response.usage.input_tokens == chat["usage"]["prompt_tokens"]
        assert response.usage.input_tokens_details.cached_tokens == 12
        assert response.usage.output_tokens == chat["usage"]["completion_tokens"]
        assert response.usage.output_tokens_details.reasoning_tokens == 3
        assert response.usage.total_tokens == chat["usage"]["total_tokens"]


def test_a_failure_in_the_middle_is_an_error_of_each_api():
    kinds = [kind for kind, _ in events("failure.messages")]
    assert kinds == ["message_start", "content_block_start", "content_block_delta", "error"]
    adapter = TypeAdapter(ResponseStreamEvent)
    ends = [adapter.validate_python(data) for _, data in events("failure.responses")][-2:]
    assert [end.type for end in ends] == ["error", "response.failed"]
    assert ends[0].code == "upstream_closed"
    assert (ends[1].response.status, ends[1].response.error.code) == ("failed", "server_error")
    assert (FIXTURES / "failure.responses").read_text().endswith("\n\ndata: [DONE]\n\n")


def accumulated(name: str) -> Message:
    """The message of a stream, as Anthropic's SDK accumulates it. Events that its types do not define are skipped, as
    the SDK does."""
    adapter = TypeAdapter(RawMessageStreamEvent)
    known = {"message_start", "message_delta", "content_block_start", "content_block_delta", "content_block_stop"}
    snapshot, buffers = None, {}
    for kind, data in events(f"chat_from_messages/streams/{name}.messages"):
        if kind in known and data.get("delta", {}).get("type") != "mood_delta":
            event = adapter.validate_python(data)
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    return Message.model_validate(snapshot.model_dump(warnings=False))


def assert_completion_says_what_the_message_says(completion: ChatCompletion, message: Message):
    choice = completion.choices[0]
    said = choice.message
    assert (said.content or "") == "".join(block.text for block in message.content if block.type == "text")
    reasoning = "".join(block.thinking for block in message.content if block.type == "thinking")
    assert (said.to_dict().get("reasoning_content") or "") == reasoning
    calls = [(call.id, call.type, call.function.name) for call in said.tool_calls or []]
    uses = [block for block in message.content if block.type == "tool_use"]
    assert calls == [(block.id, "function", block.name) for block in uses]
    if message.stop_reason != "max_tokens":
        assert [json.loads(call.function.arguments) for call in said.tool_calls or []] == [use.input for use in uses]
    reasons = {
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }
    assert choice.finish_reason == reasons.get(message.stop_reason, "stop")
    assert said.refusal == (message.stop_details.explanation if message.stop_details else None)
    counts = message.usage
    written, cached = counts.cache_creation_input_tokens or 0, counts.cache_read_input_tokens or 0
    usage = completion.usage
    assert usage.prompt_tokens == counts.input_tokens + written + cached
    assert usage.prompt_tokens_details.cached_tokens == cached
    assert (usage.prompt_tokens_details.cache_write_tokens or 0) == written
    assert usage.completion_tokens == counts.output_tokens
    thinking = counts.output_tokens_details.thinking_tokens if counts.output_tokens_details else 0
    assert usage.completion_tokens_details.reasoning_tokens == thinking
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.parametrize("name", COMPLETE_MESSAGE_STREAMS)
def test_a_chat_stream_accumulates_to_what_the_stream_of_messages_says(name):
    state = ChatCompletionStreamState()
    fired = []
    for _, data in events(f"chat_from_messages/streams/{name}.chat"):
        fired += [event.type for event in state.handle_chunk(ChatCompletionChunk.model_validate(data))]
    completion = state.current_completion_snapshot
    assert_completion_says_what_the_message_says(completion, accumulated(name))
    # The SDK's helper raises for an answer that is cut or filtered.
    errors = {"length": LengthFinishReasonError, "content_filter": ContentFilterFinishReasonError}
    if error := errors.get(completion.choices[0].finish_reason):
        with pytest.raises(error):
            state.get_final_completion()
    else:
        assert state.get_final_completion().usage == completion.usage
    calls = completion.choices[0].message.tool_calls or []
    assert fired.count("tool_calls.function.arguments.done") == len(calls)
    assert (FROM_MESSAGES / "streams" / f"{name}.chat").read_text().endswith("\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_completion_says_what_the_message_says(name):
    message, completion = [
        kind.model_validate_json((FROM_MESSAGES / "answers" / f"{name}.{ending}.json").read_text())
        for kind, ending in ((Message, "message"), (ChatCompletion, "completion"))
    ]
    assert_completion_says_what_the_message_says(completion, message)


@pytest.mark.parametrize("name", ["failure", "cut"])
def test_a_stream_of_messages_that_fails_is_never_finished(name):
    chunks = [ChatCompletionChunk.model_validate(data) for _, data in events(f"chat_from_messages/streams/{name}.chat")]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None]


def validated(value):
    """The value with its lists read: pydantic validates the elements of an iterable when they are read."""
    if isinstance(value, dict):
        return {key: validated(member) for key, member in value.items()}
    return value if isinstance(value, str | int | float | None) else [validated(element) for element in value]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_translated_request_has_the_types_of_anthropics_sdk(name):
    request = json.loads((FROM_MESSAGES / "requests" / f"{name}.messages.json").read_text())
    params = MessageCreateParamsStreaming if request.get("stream") else MessageCreateParamsNonStreaming
    # Models before Claude Opus 4.7 take sampling parameters, which the SDK's types no longer have.
    known = {key: value for key, value in request.items() if key not in ("temperature", "top_k")}
    assert validated(TypeAdapter(params).validate_python(known, strict=True)) == known

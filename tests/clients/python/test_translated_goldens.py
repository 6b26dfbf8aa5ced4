"""The golden streams of translated answers, read by the SDKs' own accumulators and checked by their models."""

import json
from pathlib import Path

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

FIXTURES = Path(__file__).parents[3] / "fixtures" / "translation"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.chat"))
COMPLETE = [name for name in NAMES if name != "failure"]


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

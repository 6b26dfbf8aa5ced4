"""Chat completions through the Python SDK, of an upstream that speaks messages only."""

import json

import openai
import pydantic
import pytest

from upstream import CALLS, ERROR, INPUT, OUTPUT, PIECES, TEXT

MODEL = "messages"
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for _, name, _ in CALLS]


@pytest.fixture
def client(surfaces, connect):
    return connect(surfaces.server)


@pytest.fixture
def complete(client):
    """The whole completion, or that which the stream helper assembles."""

    def make(stream: bool, asked: str = "Hi", **more):
        options = {"model": MODEL, "messages": [{"role": "user", "content": asked}]} | more
        if not stream:
            return client.chat.completions.create(**options)
        with client.chat.completions.stream(stream_options={"include_usage": True}, **options) as events:
            return events.get_final_completion()

    return make


@pytest.mark.parametrize("stream", [False, True])
def test_a_completion(complete, surfaces, stream):
    system = {"role": "system", "content": "Be brief."}
    answer = complete(stream, messages=[system, {"role": "user", "content": "Hi"}], max_tokens=9)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (TEXT, "stop")
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (INPUT, OUTPUT, INPUT + OUTPUT)
    path, headers, asked = surfaces.upstream.requests[-1]
    assert (path, headers["anthropic-version"], asked["max_tokens"]) == ("/v1/messages", "2023-06-01", 9)
    assert [message["role"] for message in asked["messages"]] == ["user"]
    assert "Be brief." in json.dumps(asked["system"])


@pytest.mark.parametrize("include_usage", [False, True])
def test_the_chunks_of_a_stream(client, include_usage):
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    messages = [{"role": "user", "content": "Hi"}]
    chunks = list(client.chat.completions.create(model=MODEL, messages=messages, stream=True, **options))
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert [text for text in texts if text] == PIECES
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([16] if include_usage else [])
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_functions_are_called_and_their_results_answered(complete, surfaces, stream):
    first = complete(stream, "tools", tools=TOOLS).choices[0]
    assert first.finish_reason == "tool_calls"
    called = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in first.message.tool_calls]
    assert called == CALLS
    calls = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for id, name, arguments in called
    ]
    messages = [
        {"role": "user", "content": "tools"},
        {"role": "assistant", "tool_calls": calls},
        *({"role": "tool", "tool_call_id": id, "content": f"{name}. "} for id, name, _ in CALLS),
    ]
    second = complete(stream, messages=messages, tools=TOOLS)
    assert second.choices[0].message.content == "It says: find. sell. "
    asked = surfaces.upstream.requests[-1][2]["messages"]
    assert [message["role"] for message in asked] == ["user", "assistant", "user"]
    assert [block["input"] for block in asked[1]["content"]] == [arguments for _, _, arguments in CALLS]
    assert [block["tool_use_id"] for block in asked[2]["content"]] == [id for id, _, _ in CALLS]


class Pet(pydantic.BaseModel):
    name: str
    legs: int


def test_structured_output(client, surfaces):
    messages = [{"role": "user", "content": "json"}]
    answer = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Pet)
    assert answer.choices[0].message.parsed == Pet(name="Rex", legs=4)
    asked = surfaces.upstream.requests[-1][2]["output_config"]["format"]
    assert (asked["type"], asked["schema"]["required"]) == ("json_schema", ["name", "legs"])


@pytest.mark.parametrize("how", ["break", "error"])
def test_a_failure_in_the_middle(client, how):
    said = []
    messages = [{"role": "user", "content": how}]
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model=MODEL, messages=messages, stream=True):
            said += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    assert said == PIECES
    assert caught.value.code == ("upstream_closed" if how == "break" else "server_is_overloaded")
    if how == "error":
        assert caught.value.message == ERROR


@pytest.mark.parametrize("stream", [False, True])
def test_errors(client, stream):
    def ask(asked: str, **more):
        messages = [{"role": "user", "content": asked}]
        return client.chat.completions.create(model=MODEL, messages=messages, stream=stream, **more)

    for asked, kind, status in [
        ("400", openai.BadRequestError, 400),
        ("429", openai.RateLimitError, 429),
        ("529", openai.InternalServerError, 503),
        ("500", openai.InternalServerError, 502),
    ]:
        with pytest.raises(kind) as caught:
            ask(asked)
        assert caught.value.status_code == status
        assert set(caught.value.body) == {"message", "type", "param", "code"}
        assert caught.value.request_id.startswith("req_")
    for more, param in [({"seed": 1}, "seed"), ({"n": 2}, "n")]:
        with pytest.raises(openai.BadRequestError) as caught:
            ask("Hi", **more)
        assert caught.value.param == param

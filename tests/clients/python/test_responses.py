"""Responses through the Python SDK: of the local model, translated for an upstream that speaks chat, and of one that
speaks responses."""

import json

import openai
import pydantic
import pytest

from upstream import CALLS, ERROR, INPUT, OUTPUT, PIECES, TEXT

PROXIED = ["chat", "responses"]
QUESTION = "How many dogs are available?"
TOOLS = [
    {"type": "function", "name": name, "description": name, "parameters": {"type": "object"}, "strict": False}
    for _, name, _ in CALLS
]


@pytest.fixture
def client(surfaces, connect):
    return connect(surfaces.server)


@pytest.fixture
def expected(client):
    """What the local model says to a chat client, and its usage."""
    answer = client.chat.completions.create(model="petstore-ai", messages=[{"role": "user", "content": QUESTION}])
    return answer.choices[0].message.content, answer.usage


def calls_of(response) -> list[tuple[str, str, dict]]:
    calls = [item for item in response.output if item.type == "function_call"]
    assert all(call.status == "completed" for call in calls)
    return [(call.call_id, call.name, json.loads(call.arguments)) for call in calls]


def test_the_local_model_says_the_same_as_to_a_chat_client(client, expected):
    text, usage = expected
    options = {"model": "petstore-ai", "input": QUESTION, "instructions": "Be brief.", "metadata": {"a": "b"}}
    whole = client.responses.create(**options)
    with client.responses.stream(**options) as stream:
        events = list(stream)
        final = stream.get_final_response()
    for response in (whole, final):
        assert (response.output_text, response.status, response.error) == (text, "completed", None)
        assert (response.instructions, response.metadata, response.store) == ("Be brief.", {"a": "b"}, False)
        assert response.usage.output_tokens == usage.completion_tokens
        assert response.usage.input_tokens > usage.prompt_tokens
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text
    asked = client.responses.create(model="petstore-ai", input=[{"role": "user", "content": QUESTION}])
    assert asked.usage.input_tokens == usage.prompt_tokens


def test_a_limit_of_tokens_makes_a_response_incomplete(client):
    for stream in (False, True):
        options = {"model": "petstore-ai", "input": QUESTION, "max_output_tokens": 2}
        if stream:
            with client.responses.stream(**options) as events:
                final = [event for event in events][-1].response
        else:
            final = client.responses.create(**options)
        assert (final.status, final.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert final.usage.output_tokens == 2


@pytest.mark.parametrize("model", PROXIED)
def test_a_whole_response(client, model):
    answer = client.responses.create(model=model, input="Hi", instructions="Be brief.")
    assert (answer.output_text, answer.status, answer.incomplete_details) == (TEXT, "completed", None)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (INPUT, OUTPUT, 16)
    assert answer.id.startswith("resp_") and answer._request_id.startswith("req_")


@pytest.mark.parametrize("model", PROXIED)
def test_a_stream_of_events(client, model):
    events = list(client.responses.create(model=model, input="Hi", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == PIECES
    assert [event.type for event in events if event.type != "response.output_text.delta"] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert (events[-1].response.output_text, events[-1].response.usage.total_tokens) == (TEXT, 16)


@pytest.mark.parametrize("model", PROXIED)
def test_the_stream_helper(client, model):
    with client.responses.stream(model=model, input="Hi") as stream:
        texts = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert texts == ["".join(PIECES[: at + 1]) for at in range(len(PIECES))]
    assert (final.output_text, final.status) == (TEXT, "completed")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROXIED)
def test_functions_are_called_and_their_outputs_answered(client, surfaces, model, stream):
    def ask(input: list):
        options = {"model": model, "input": input, "tools": TOOLS}
        if not stream:
            return client.responses.create(**options)
        with client.responses.stream(**options) as events:
            return events.get_final_response()

    question = [{"role": "user", "content": "tools"}]
    first = ask(question)
    assert calls_of(first) == CALLS
    assert first.output_text == ""
    outputs = [
        {"type": "function_call_output", "call_id": id, "output": f"{name}ed. "} for id, name, _ in calls_of(first)
    ]
    second = ask([*question, *(item.to_dict() for item in first.output), *outputs])
    assert second.output_text == "It says: finded. selled. "
    if model == "chat":
        asked = surfaces.upstream.requests[-1][2]
        assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "tool", "tool"]
        assert [call["id"] for call in asked["messages"][1]["tool_calls"]] == [id for id, _, _ in CALLS]
        assert [tool["function"]["name"] for tool in asked["tools"]] == [name for _, name, _ in CALLS]


class Pet(pydantic.BaseModel):
    name: str
    legs: int


@pytest.mark.parametrize("model", PROXIED)
def test_structured_output(client, surfaces, model):
    parsed = client.responses.parse(model=model, input="json", text_format=Pet)
    assert parsed.output_parsed == Pet(name="Rex", legs=4)
    with client.responses.stream(model=model, input="json", text_format=Pet) as stream:
        assert stream.get_final_response().output_parsed == Pet(name="Rex", legs=4)
    if model == "chat":
        asked = surfaces.upstream.requests[-1][2]["response_format"]
        assert (asked["type"], asked["json_schema"]["name"], asked["json_schema"]["strict"]) == (
            "json_schema",
            "Pet",
            True,
        )


@pytest.mark.parametrize("model", PROXIED)
def test_a_response_that_the_limit_of_tokens_cut(client, model):
    whole = client.responses.create(model=model, input="length")
    last = list(client.responses.create(model=model, input="length", stream=True))[-1]
    assert last.type == "response.incomplete"
    for response in (whole, last.response):
        assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert response.output_text == TEXT


@pytest.mark.parametrize("how", ["break", "error"])
@pytest.mark.parametrize("model", PROXIED)
def test_a_failure_in_the_middle(client, model, how):
    events = list(client.responses.create(model=model, input=how, stream=True))
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == PIECES
    failure, last = events[-2:]
    assert (failure.type, last.type, last.response.status) == ("error", "response.failed", "failed")
    assert last.response.error.message == failure.message
    if how == "break":
        assert failure.code == "upstream_closed"
    else:
        assert (failure.code, failure.message) == ("no_memory", ERROR)
    # The helper has no completed response then.
    with client.responses.stream(model=model, input=how) as stream:
        with pytest.raises(RuntimeError, match="response.completed"):
            stream.get_final_response()


def error_of(error: openai.APIStatusError) -> tuple:
    assert set(error.body) == {"message", "type", "param", "code"}
    assert error.request_id.startswith("req_")
    return error.status_code, error.type, error.code, error.param


@pytest.mark.parametrize("stream", [False, True])
def test_errors_of_the_server(surfaces, connect, client, stream):
    def ask(model: str = "petstore-ai", client: openai.OpenAI = client, **options):
        return client.responses.create(**{"model": model, "input": QUESTION, "stream": stream} | options)

    with pytest.raises(openai.AuthenticationError) as caught:
        ask(client=connect(surfaces.server, api_key="sk-wrong-4f1d7a9c03e2b586"))
    assert error_of(caught.value) == (401, "invalid_request_error", "invalid_api_key", None)
    with pytest.raises(openai.NotFoundError) as caught:
        ask(model="no-such-model")
    assert error_of(caught.value) == (404, "invalid_request_error", "model_not_found", "model")
    text_format = {"format": {"type": "json_schema", "name": "x", "schema": {}}}
    for model, options, code, param in [
        ("petstore-ai", {"temperature": 99}, "decimal_above_max_value", "temperature"),
        ("petstore-ai", {"input": []}, "empty_array", "input"),
        ("petstore-ai", {"extra_body": {"num_ctx": 3}}, "unknown_parameter", "num_ctx"),
        ("petstore-ai", {"text": text_format}, "unsupported_value", None),
        ("chat", {"previous_response_id": "resp_1"}, "unsupported_parameter", "previous_response_id"),
        ("chat", {"tools": [{"type": "web_search"}]}, "unsupported_parameter", "tools[0].type"),
        ("messages", {}, "unsupported_api", "model"),
    ]:
        with pytest.raises(openai.BadRequestError) as caught:
            ask(model=model, **options)
        status, kind, told_code, told_param = error_of(caught.value)
        assert (status, kind, told_code) == (400, "invalid_request_error", code), options
        assert told_param == param or (param is None and told_param), options


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROXIED)
def test_errors_of_the_upstream(client, model, stream):
    for asked, kind, status in [
        ("400", openai.BadRequestError, 400),
        ("429", openai.RateLimitError, 429),
        ("500", openai.InternalServerError, 502),
    ]:
        with pytest.raises(kind) as caught:
            client.responses.create(model=model, input=asked, stream=stream)
        assert error_of(caught.value)[0] == status
        if status != 502:
            assert caught.value.body["message"] == ERROR


def test_the_limit_on_requests_per_minute(servers, connect):
    client = connect(servers({"limits": {"per_key": {"requests_per_minute": 1}}}))
    headers = client.responses.with_raw_response.create(model="petstore-ai", input=QUESTION).headers
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("1", "0")
    with pytest.raises(openai.RateLimitError) as caught:
        client.responses.create(model="petstore-ai", input=QUESTION, stream=True)
    assert error_of(caught.value) == (429, "requests", "rate_limit_exceeded", None)
    assert int(caught.value.response.headers["retry-after"]) >= 1

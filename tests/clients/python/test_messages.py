"""Messages through Anthropic's Python SDK: of the local model, translated for an upstream that speaks chat, and of one
that speaks messages."""

import json

import anthropic
import pytest

from petstream import KEY, TIMEOUT
from upstream import CALLS, ERROR, INPUT, OUTPUT, PIECES, TEXT

PROXIED = ["chat", "messages"]
QUESTION = "How many dogs are available?"
TOOLS = [{"name": name, "description": name, "input_schema": {"type": "object"}} for _, name, _ in CALLS]


@pytest.fixture
def claude():
    """Creates clients of servers, by default without retries, and closes them."""
    made = []

    def make(server, **options) -> anthropic.Anthropic:
        defaults = {"api_key": KEY, "base_url": server.url, "max_retries": 0, "timeout": TIMEOUT}
        made.append(anthropic.Anthropic(**defaults | options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(surfaces, claude):
    return claude(surfaces.server)


def asking(model: str, text: str = "Hi", **more) -> dict:
    return {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": text}]} | more


def ask(client: anthropic.Anthropic, stream: bool, **options) -> anthropic.types.Message:
    if not stream:
        return client.messages.create(**options)
    with client.messages.stream(**options) as events:
        return events.get_final_message()


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message: anthropic.types.Message) -> list[tuple[str, str, object]]:
    return [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_local_model_says_the_same_as_to_a_chat_client(client, surfaces, connect, stream):
    messages = [{"role": "user", "content": QUESTION}]
    chat = connect(surfaces.server).chat.completions.create(model="petstore-ai", messages=messages)
    answer = ask(client, stream, **asking("petstore-ai", QUESTION))
    assert (text_of(answer), answer.stop_reason) == (chat.choices[0].message.content, "end_turn")
    assert answer.usage.input_tokens == chat.usage.prompt_tokens
    assert answer.usage.output_tokens == chat.usage.completion_tokens
    cut = ask(client, stream, **asking("petstore-ai", QUESTION, max_tokens=2))
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 2)
    with_system = ask(client, stream, **asking("petstore-ai", QUESTION, system="Be brief."))
    assert text_of(with_system) == text_of(answer)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROXIED)
def test_a_message(client, model, stream):
    answer = ask(client, stream, **asking(model, system=[{"type": "text", "text": "Be brief."}]))
    assert (text_of(answer), answer.stop_reason, answer.stop_sequence) == (TEXT, "end_turn", None)
    assert (answer.type, answer.role) == ("message", "assistant")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (INPUT, OUTPUT)
    assert answer.id.startswith("msg_")


@pytest.mark.parametrize("model", PROXIED)
def test_a_stream_of_events(client, model):
    events = list(client.messages.create(**asking(model), stream=True))
    assert [event.delta.text for event in events if event.type == "content_block_delta"] == PIECES
    assert [event.type for event in events if event.type != "content_block_delta"] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    with client.messages.stream(**asking(model)) as stream:
        assert list(stream.text_stream) == PIECES


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROXIED)
def test_tools_are_used_and_their_results_answered(client, surfaces, model, stream):
    first = ask(client, stream, **asking(model, "tools", tools=TOOLS))
    assert (calls_of(first), first.stop_reason, text_of(first)) == (CALLS, "tool_use", "")
    results = [
        {"type": "tool_result", "tool_use_id": CALLS[0][0], "content": "found. "},
        {"type": "tool_result", "tool_use_id": CALLS[1][0], "content": [{"type": "text", "text": "sold."}]},
    ]
    messages = [
        {"role": "user", "content": "tools"},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    second = ask(client, stream, **asking(model, tools=TOOLS, messages=messages, tool_choice={"type": "auto"}))
    assert text_of(second) == "It says: found. sold."
    if model == "chat":
        asked = surfaces.upstream.requests[-1][2]
        assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "tool", "tool"]
        arguments = [call["function"]["arguments"] for call in asked["messages"][1]["tool_calls"]]
        assert [json.loads(one) for one in arguments] == [given for _, _, given in CALLS]


@pytest.mark.parametrize("model", PROXIED)
def test_inputs_of_tools_are_streamed(client, model):
    with client.messages.stream(**asking(model, "tools", tools=TOOLS)) as stream:
        events = list(stream)
    parts = [event for event in events if event.type == "input_json"]
    assert len(parts) == 2 * len(CALLS)
    assert [part.snapshot for part in parts[1::2]] == [given for _, _, given in CALLS]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROXIED)
def test_a_message_that_the_limit_of_tokens_cut(client, model, stream):
    answer = ask(client, stream, **asking(model, "length"))
    assert (answer.stop_reason, text_of(answer)) == ("max_tokens", TEXT)


def test_counting_tokens(client):
    messages = [{"role": "user", "content": QUESTION}]
    local = client.messages.count_tokens(model="petstore-ai", messages=messages)
    billed = client.messages.create(**asking("petstore-ai", QUESTION)).usage.input_tokens
    assert (local.input_tokens, local.model_extra) == (billed, {})
    assert client.messages.count_tokens(model="messages", messages=messages).input_tokens == INPUT
    estimate = client.messages.count_tokens(model="chat", messages=messages, system="Be brief.", tools=TOOLS)
    assert estimate.input_tokens > 10
    assert estimate.model_extra == {"estimated": True}


@pytest.mark.parametrize("model", PROXIED)
def test_the_beta_surface(client, surfaces, model):
    """It adds `?beta=true` and a header, which goes on only to upstreams that speak messages."""
    answer = client.beta.messages.create(**asking(model), betas=["interleaved-thinking-2025-05-14"])
    assert answer.content[0].text == TEXT
    path, headers, _ = surfaces.upstream.requests[-1]
    sent = headers.get("anthropic-beta")
    assert sent == ("interleaved-thinking-2025-05-14" if model == "messages" else None)
    assert path == ("/v1/messages" if model == "messages" else "/v1/chat/completions")


@pytest.mark.parametrize(("how", "kind"), [("break", "api_error"), ("error", None)])
@pytest.mark.parametrize("model", PROXIED)
def test_a_failure_in_the_middle(client, model, how, kind):
    said = []
    with pytest.raises(anthropic.APIStatusError) as caught:
        with client.messages.stream(**asking(model, how)) as stream:
            said += stream.text_stream
    assert said == PIECES
    assert caught.value.body["type"] == "error"
    expected = kind or ("overloaded_error" if model == "messages" else "api_error")
    assert caught.value.type == expected
    if how == "error":
        assert caught.value.api_message == ERROR
    assert caught.value.request_id.startswith("req_")


def error_of(error: anthropic.APIStatusError) -> tuple:
    assert error.body["type"] == "error"
    assert error.request_id.startswith("req_")
    assert error.api_message
    return error.status_code, error.type


@pytest.mark.parametrize("stream", [False, True])
def test_errors_of_the_server(surfaces, claude, client, stream):
    for other, more in [
        (claude(surfaces.server, api_key="sk-wrong-4f1d7a9c03e2b586"), {}),
        (claude(surfaces.server, api_key=None, auth_token="sk-wrong-4f1d7a9c03e2b586"), {}),
    ]:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            ask(other, stream, **asking("petstore-ai"), **more)
        assert error_of(caught.value) == (401, "authentication_error")
    bearer = claude(surfaces.server, api_key=None, auth_token=KEY)
    assert text_of(ask(bearer, stream, **asking("petstore-ai")))
    with pytest.raises(anthropic.NotFoundError) as caught:
        ask(client, stream, **asking("no-such-model"))
    assert error_of(caught.value) == (404, "not_found_error")
    for model, options, named in [
        ("petstore-ai", {"extra_body": {"temperature": 99}}, "temperature"),
        ("petstore-ai", {"messages": []}, "messages"),
        ("petstore-ai", {"extra_body": {"num_ctx": 3}}, "num_ctx"),
        ("chat", {"extra_body": {"top_k": 3}}, "top_k"),
        ("chat", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ]:
        with pytest.raises(anthropic.BadRequestError) as caught:
            ask(client, stream, **asking(model) | options)
        assert error_of(caught.value) == (400, "invalid_request_error")
        assert f"'{named}'" in caught.value.api_message
    with pytest.raises(anthropic.BadRequestError, match="responses"):
        ask(client, stream, **asking("responses"))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROXIED)
def test_errors_of_the_upstream(client, model, stream):
    for asked, kind, expected in [
        ("400", anthropic.BadRequestError, (400, "invalid_request_error")),
        ("429", anthropic.RateLimitError, (429, "rate_limit_error")),
        ("529", anthropic.OverloadedError, (529, "overloaded_error")),
        ("500", anthropic.InternalServerError, (502, "api_error")),
    ]:
        with pytest.raises(kind) as caught:
            ask(client, stream, **asking(model, asked))
        assert error_of(caught.value) == expected
        if asked in ("400", "429"):
            assert caught.value.api_message == ERROR
        if asked == "429":
            assert caught.value.response.headers["retry-after"] == "7"


def test_the_limit_on_requests_per_minute(servers, claude):
    # One request every 500 ms.
    server = servers({"limits": {"per_key": {"requests_per_minute": 120}}})
    impatient, patient = claude(server), claude(server, max_retries=2)
    headers = impatient.messages.with_raw_response.create(**asking("petstore-ai")).headers
    assert headers["anthropic-ratelimit-requests-limit"] == "120"
    caught = None
    while caught is None:
        try:
            impatient.messages.create(**asking("petstore-ai"))
        except anthropic.RateLimitError as error:
            caught = error
    assert error_of(caught) == (429, "rate_limit_error")
    assert int(caught.response.headers["retry-after"]) >= 1
    assert text_of(patient.messages.create(**asking("petstore-ai")))

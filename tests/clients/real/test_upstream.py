"""The SDKs against petstream with a real upstream, which deviates from OpenAI's API in some places."""

import os
import subprocess

import openai
import pytest

from llama import MODEL
from petstream import KEY, REPOSITORY, eventually

# Tokens. Takes about 15 s on two slow cores.
LONG = 1500
# Generates all tokens even if the model would stop: a parameter of llama.cpp, which petstream passes on.
ENDLESS = {"max_tokens": LONG, "extra_body": {"ignore_eos": True}}


def joined(chunks, index=0) -> str:
    choices = (choice for chunk in chunks for choice in chunk.choices if choice.index == index)
    return "".join(choice.delta.content or "" for choice in choices)


@pytest.mark.parametrize("model", [MODEL, "small"])
def test_the_chunks_of_a_stream_add_up_to_the_whole_answer(ask, model):
    whole = ask(model=model)
    assert whole.choices[0].message.content
    chunks = list(ask(model=model, stream=True))
    assert joined(chunks) == whole.choices[0].message.content
    assert len(chunks) > 5
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert sum(bool(chunk.choices[0].delta.role) for chunk in chunks) == 1
    assert len({chunk.id for chunk in chunks}) == 1


def test_usage_is_sent_once_if_requested(ask):
    whole = ask().usage
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (whole.prompt_tokens, whole.completion_tokens)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.completion_tokens <= 24 < usage.prompt_tokens


def test_usage_that_only_petstream_requested_is_not_sent(ask):
    chunks = list(ask(stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)
    # llama.cpp's own usage field.
    assert all("timings" not in chunk.model_extra for chunk in chunks)


def test_max_tokens_and_stop_are_applied_by_the_upstream(ask):
    cut = ask(max_tokens=3)
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 3)
    text = ask().choices[0].message.content
    stop = text[6:9]
    stopped = ask(stop=stop)
    assert stopped.choices[0].message.content == text[: text.index(stop)]
    assert stopped.choices[0].finish_reason == "stop"


def test_parameters_that_the_local_model_lacks_are_passed_on(ask):
    content = ask(logprobs=True, top_logprobs=2, max_tokens=3).choices[0].logprobs.content
    assert [len(token.top_logprobs) for token in content] == [2, 2, 2]


def test_the_stream_helper_assembles_the_completion(client, ask):
    whole = ask()
    messages = [{"role": "user", "content": "Say hello to my dog."}]
    options = {"max_tokens": 24, "temperature": 0, "seed": 1}
    with client.chat.completions.stream(model="small", messages=messages, **options) as stream:
        stream.until_done()
        # The SDK provides no final completion for an answer that was cut off by max_tokens.
        message = stream.current_completion_snapshot.choices[0].message
    assert (message.role, message.content) == ("assistant", whole.choices[0].message.content)


def test_two_choices_both_arrive(ask):
    """With the raw stream: the SDK's helper fails if choice 1 comes first, which llama-server may do."""
    one = ask().choices[0].message.content
    two = ask(n=2)
    assert sorted(choice.index for choice in two.choices) == [0, 1]
    assert [choice.message.content for choice in two.choices] == [one, one]
    chunks = list(ask(n=2, stream=True))
    assert joined(chunks, 0) == joined(chunks, 1) == one
    finished = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert sorted(finished) == [0, 1]


def test_the_models_of_the_upstream_are_listed(client):
    assert [model.id for model in client.models.list()] == ["petstore-ai", "small", "locked", MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_rejects_the_configured_key(ask, stream):
    with pytest.raises(openai.InternalServerError) as caught:
        ask(model="locked", stream=stream)
    assert (caught.value.status_code, caught.value.type, caught.value.code) == (502, "server_error", "upstream_auth")


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_that_is_too_long_is_a_client_error(ask, stream):
    """llama-server's envelope has an integer as code and no param."""
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size") as caught:
        ask(messages=[{"role": "user", "content": "dog " * 4000}], stream=stream)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize("stream", [False, True])
def test_messages_that_the_upstream_cannot_read(ask, stream):
    """llama-server answers 500 to an image."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.InternalServerError, match="image input is not supported") as caught:
        ask(messages=[{"role": "user", "content": [picture]}], stream=stream)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert (caught.value.status_code, caught.value.type) == (502, "server_error")
    assert isinstance(caught.value.code, str)


@pytest.mark.parametrize("stream", [False, True])
def test_no_messages_never_reach_the_upstream(ask, upstream, stream):
    """llama-server would generate without end for these."""
    with pytest.raises(openai.BadRequestError) as caught:
        ask(messages=[], stream=stream)
    assert (caught.value.code, caught.value.param) == ("empty_array", "messages")
    assert upstream.idle()


def test_closing_a_stream_stops_the_upstream(ask, upstream):
    eventually(upstream.idle)
    before = upstream.decoded()
    stream = ask(stream=True, **ENDLESS)
    for _, chunk in zip(range(5), stream):
        assert chunk.choices
    assert not upstream.idle()
    stream.close()
    eventually(upstream.idle)
    assert 0 < upstream.decoded() - before < LONG // 2


def test_a_client_timeout_stops_the_upstream(client, upstream):
    eventually(upstream.idle)
    before = upstream.decoded()
    messages = [{"role": "user", "content": "Tell me a long story about a dog."}]
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model=MODEL, messages=messages, timeout=2, **ENDLESS)
    # llama-server checks once a second whether its client is connected, and frequent requests keep it from that.
    eventually(upstream.idle, every=3)
    assert upstream.decoded() - before < LONG // 2


def test_the_node_sdks(front, upstream):
    node = REPOSITORY / "tests/clients/node"
    variables = {"PETSTREAM_URL": front.base_url, "PETSTREAM_KEY": KEY, "UPSTREAM_MODEL": MODEL}
    done = subprocess.run(["node", "--test", "upstream.mjs"], cwd=node, env=os.environ | variables, timeout=300)
    assert done.returncode == 0
    eventually(upstream.idle)

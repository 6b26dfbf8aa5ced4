"""Errors as the Python SDK raises them."""

import openai
import pytest

from petstream import KEY

MESSAGES = [{"role": "user", "content": "What can you do?"}]


def error_of(error: openai.APIStatusError) -> tuple:
    """The content of the envelope. Asserts that all four keys are there."""
    assert set(error.body) == {"message", "type", "param", "code"}
    assert isinstance(error.body["message"], str) and error.body["message"]
    assert error.response.headers["content-type"] == "application/json"
    assert error.request_id.startswith("req_")
    return error.status_code, error.type, error.code, error.param


@pytest.mark.parametrize("stream", [False, True])
def test_no_key(ask, stream):
    keyless = {"Authorization": openai.Omit()}
    with pytest.raises(openai.AuthenticationError, match="You didn't provide an API key.") as caught:
        ask(stream=stream, extra_headers=keyless)
    assert error_of(caught.value) == (401, "invalid_request_error", None, None)


@pytest.mark.parametrize("key", ["sk-wrong-4f1d7a9c03e2b586", KEY[:-1], KEY + "0"])
def test_a_wrong_key_is_masked_in_the_message(connect, route, key):
    client = connect(route, api_key=key)
    for call in (client.models.list, lambda: client.chat.completions.create(model=route.model, messages=MESSAGES)):
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided: sk-") as caught:
            call()
        assert error_of(caught.value) == (401, "invalid_request_error", "invalid_api_key", None)
        assert key not in str(caught.value.body) and KEY not in str(caught.value.body)


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_does_not_exist(ask, stream):
    """The proxied route's `*` forwards the name to its upstream; the answer is the same."""
    with pytest.raises(openai.NotFoundError) as caught:
        ask(model="no-such-model", stream=stream)
    assert error_of(caught.value) == (404, "invalid_request_error", "model_not_found", "model")
    assert (
        caught.value.body["message"] == "The model `no-such-model` does not exist or you do not have access to it."
    )


def test_a_path_that_does_not_exist(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.moderations.create(input="dogs")
    assert error_of(caught.value) == (404, "invalid_request_error", None, None)
    assert caught.value.body["message"] == "Invalid URL (POST /v1/moderations)"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("options", "code", "param"),
    [
        ({"messages": []}, "empty_array", "messages"),
        ({"messages": "hello"}, "invalid_type", "messages"),
        ({"messages": openai.omit}, "missing_required_parameter", "messages"),
        ({"messages": [{"content": "hello"}]}, "missing_required_parameter", "messages[0].role"),
        ({"messages": [{"role": "pet", "content": "woof"}]}, "invalid_value", "messages[0].role"),
        ({"temperature": 99}, "decimal_above_max_value", "temperature"),
        ({"temperature": -0.5}, "decimal_below_min_value", "temperature"),
        ({"temperature": "hot"}, "invalid_type", "temperature"),
        ({"top_p": 1.5}, "decimal_above_max_value", "top_p"),
        ({"presence_penalty": -3}, "decimal_below_min_value", "presence_penalty"),
        ({"n": 0}, "integer_below_min_value", "n"),
        ({"n": 129}, "integer_above_max_value", "n"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "array_above_max_length", "stop"),
        # Unsupported by the local model; the error also passes through the proxy.
        ({"logprobs": True}, "unsupported_value", "logprobs"),
        ({"tool_choice": "required"}, "unsupported_value", "tool_choice"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, None, None),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, None, None),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_an_invalid_request(ask, options, code, param, stream):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(stream=stream, **options)
    status, kind, told_code, told_param = error_of(caught.value)
    assert (status, kind) == (400, "invalid_request_error")
    if code:
        assert (told_code, told_param) == (code, param)
    else:
        assert told_code in ("unsupported_value", "unsupported_parameter")
        assert told_param in options


def test_a_body_that_is_too_large(servers, connect):
    server = servers({"limits": {"body": "4KiB"}})
    messages = [{"role": "user", "content": "x" * 5000}]
    with pytest.raises(openai.APIStatusError) as caught:
        connect(server).chat.completions.create(model="petstore-ai", messages=messages)
    assert error_of(caught.value) == (413, "invalid_request_error", "request_too_large", None)


@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_rejects_the_configured_key(servers, shared_routes, connect, stream):
    secret = "sk-not-a-key-of-the-upstream"
    upstream = {"base_url": shared_routes("local").base_url, "api_key": secret}
    front = servers({"models": [{"name": "petstore", "upstreams": [upstream | {"model": "petstore-ai"}]}]})
    with pytest.raises(openai.InternalServerError) as caught:
        connect(front).chat.completions.create(model="petstore", messages=MESSAGES, stream=stream)
    assert error_of(caught.value) == (502, "server_error", "upstream_auth", None)
    assert "sk-" not in str(caught.value.body)


@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_cannot_be_reached(servers, connect, stream):
    # Port 1 is reserved and has no listener.
    front = servers({"models": [{"name": "*", "upstreams": [{"base_url": "http://127.0.0.1:1/v1"}]}]})
    client = connect(front)
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gone", messages=MESSAGES, stream=stream)
    assert error_of(caught.value) == (502, "server_error", "upstream_unreachable", None)
    assert [model.id for model in client.models.list()] == ["petstore-ai"]

"""Rate limits and concurrent streams through the Python SDK."""

import openai
import pytest

from petstream import KEY, eventually

MESSAGES = [{"role": "user", "content": "What can you do?"}]
# Slow enough that a stream lasts until it is closed.
SLOW = {"tokens_per_second": 2}


def limited(error: openai.RateLimitError) -> tuple[str, str | None]:
    assert set(error.body) == {"message", "type", "param", "code"}
    assert error.request_id.startswith("req_")
    return error.type, error.code


@pytest.mark.parametrize("scope", ["per_key", "total"])
def test_the_limit_on_requests_per_minute(routes, connect, route_name, scope):
    route = routes(route_name, limits={scope: {"requests_per_minute": 3}})
    client = connect(route)
    create = client.chat.completions.with_raw_response.create
    remaining = []
    for _ in range(3):
        headers = create(model=route.model, messages=MESSAGES).headers
        assert headers["x-ratelimit-limit-requests"] == "3"
        assert headers["x-ratelimit-reset-requests"].endswith("s")
        assert "x-ratelimit-limit-tokens" not in headers
        remaining.append(headers["x-ratelimit-remaining-requests"])
    assert remaining == ["2", "1", "0"]

    with pytest.raises(openai.RateLimitError, match="Please try again in ") as caught:
        create(model=route.model, messages=MESSAGES)
    assert limited(caught.value) == ("requests", "rate_limit_exceeded")
    assert "Limit 3, Used 3, Requested 1" in caught.value.message
    headers = caught.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 20
    assert 0 < int(headers["retry-after-ms"]) <= 20_000
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("3", "0")


def test_a_bad_request_gets_the_remaining_quota(routes, connect, route_name):
    route = routes(route_name, limits={"per_key": {"requests_per_minute": 3, "tokens_per_minute": 1000}})
    with pytest.raises(openai.BadRequestError) as caught:
        connect(route).chat.completions.create(model=route.model, messages=[])
    headers = caught.value.response.headers
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("3", "2")
    assert (headers["x-ratelimit-limit-tokens"], headers["x-ratelimit-remaining-tokens"]) == ("1000", "1000")


def test_a_client_that_waits_for_retry_after_gets_its_answer(routes, connect, route_name):
    # One request every 500 ms.
    route = routes(route_name, limits={"per_key": {"requests_per_minute": 120}})
    impatient, patient = connect(route), connect(route, max_retries=2)

    def retried() -> bool:
        """the patient client had to wait"""
        with pytest.raises(openai.RateLimitError):
            while True:
                impatient.models.list()
        return patient.models.with_raw_response.list().retries_taken > 0

    assert eventually(retried)


def test_the_limit_on_tokens_per_minute(routes, connect, route_name):
    route = routes(route_name, limits={"per_key": {"tokens_per_minute": 100}})
    client = connect(route)
    create = client.chat.completions.with_raw_response.create

    with pytest.raises(openai.RateLimitError, match="Request too large") as caught:
        create(model=route.model, messages=MESSAGES, max_tokens=1000)
    assert limited(caught.value) == ("tokens", "rate_limit_exceeded")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in caught.value.response.headers

    first = create(model=route.model, messages=MESSAGES, max_tokens=60)
    spent = first.parse().usage.total_tokens
    assert spent > 60
    # The reservation is replaced by the usage; little quota has been refilled meanwhile.
    assert first.headers["x-ratelimit-limit-tokens"] == "100"
    assert int(first.headers["x-ratelimit-remaining-tokens"]) <= 100 - 60
    with pytest.raises(openai.RateLimitError, match="Please try again in ") as caught:
        create(model=route.model, messages=MESSAGES, max_tokens=80)
    assert limited(caught.value) == ("tokens", "rate_limit_exceeded")
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert "x-should-retry" not in caught.value.response.headers


def test_tokens_of_a_stream_are_settled_at_its_end(routes, connect, route_name):
    route = routes(route_name, limits={"per_key": {"tokens_per_minute": 1000}})
    client = connect(route)
    create = client.chat.completions.with_raw_response.create
    reserving = create(model=route.model, messages=MESSAGES, max_tokens=900, stream=True)
    assert int(reserving.headers["x-ratelimit-remaining-tokens"]) < 500
    chunks = list(reserving.parse())
    assert chunks[-1].choices[0].finish_reason == "stop"

    def settled() -> bool:
        """the unused part of the reservation is released"""
        try:
            after = create(model=route.model, messages=MESSAGES, max_tokens=1)
        except openai.RateLimitError:
            return False
        # At 1000 tokens a minute, a few seconds refill dozens of tokens; the reservation was for 900.
        return int(after.headers["x-ratelimit-remaining-tokens"]) > 500

    assert eventually(settled)


def accepted(client, model):
    """A stream that has started, or None if there are too many."""
    try:
        stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    except openai.RateLimitError as error:
        assert limited(error) == ("requests", "rate_limit_exceeded")
        assert "concurrent streams" in error.message
        assert int(error.response.headers["retry-after"]) >= 1
        return None
    assert next(iter(stream)).choices[0].delta.role == "assistant"
    return stream


@pytest.mark.parametrize("scope", ["per_key", "total"])
def test_the_limit_on_concurrent_streams(routes, connect, route_name, scope):
    route = routes(route_name, limits={scope: {"concurrent_streams": 2}}, responder=SLOW)
    client = connect(route)
    streams = [accepted(client, route.model) for _ in range(2)]
    assert all(streams)
    assert accepted(client, route.model) is None
    # Requests without streaming do not count.
    whole = client.chat.completions.create(model=route.model, messages=MESSAGES, max_tokens=1)
    assert whole.usage.completion_tokens == 1

    # A stream that the client closes early frees its slot.
    streams.pop().close()
    streams.append(eventually(lambda: accepted(client, route.model)))
    assert accepted(client, route.model) is None
    for stream in streams:
        stream.close()


def test_a_stream_that_ends_frees_its_slot(routes, connect, route_name):
    route = routes(route_name, limits={"per_key": {"concurrent_streams": 1}})
    client = connect(route)

    def stream() -> bool:
        """the slot of the previous stream is free"""
        chunks = accepted(client, route.model)
        return bool(chunks) and list(chunks)[-1].choices[0].finish_reason == "stop"

    for _ in range(5):
        assert eventually(stream)


def test_closing_a_proxied_stream_ends_it_at_the_upstream(servers, connect):
    origin = servers({"limits": {"per_key": {"concurrent_streams": 1}}, "responder": SLOW})
    upstream = {"base_url": origin.base_url, "api_key": KEY}
    front = servers({"models": [{"name": "proxied", "upstreams": [upstream | {"model": "petstore-ai"}]}]})
    origin_client, front_client = connect(origin), connect(front)
    stream = accepted(front_client, "proxied")
    assert accepted(origin_client, "petstore-ai") is None
    stream.close()
    eventually(lambda: accepted(origin_client, "petstore-ai")).close()


def test_a_rate_limit_of_the_upstream_is_passed_on(servers, connect):
    origin = servers({"limits": {"per_key": {"requests_per_minute": 1}}})
    upstream = {"base_url": origin.base_url, "api_key": KEY}
    front = servers({"models": [{"name": "proxied", "upstreams": [upstream | {"model": "petstore-ai"}]}]})
    client = connect(front)
    client.chat.completions.create(model="proxied", messages=MESSAGES)
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="proxied", messages=MESSAGES, stream=stream)
        assert limited(caught.value) == ("requests", "rate_limit_exceeded")
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60

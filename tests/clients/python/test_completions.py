"""Completions through the Python SDK: whole, streamed, and with every parameter that the local model supports."""

import asyncio
import json

import openai
import pytest

from petstream import KEY, TIMEOUT

MANY = "List all available pets"
FEW = "What can you do?"


def joined(chunks, index=0) -> str:
    choices = (choice for chunk in chunks for choice in chunk.choices if choice.index == index)
    return "".join(choice.delta.content or "" for choice in choices)


def reasons(chunks) -> list[tuple[int, str]]:
    return [(c.index, c.finish_reason) for chunk in chunks for c in chunk.choices if c.finish_reason]


@pytest.mark.parametrize("question", [MANY, FEW])
def test_the_chunks_of_a_stream_add_up_to_the_whole_answer(ask, question):
    whole = ask(question)
    chunks = list(ask(question, stream=True))
    assert joined(chunks) == whole.choices[0].message.content
    assert len(chunks) > 10
    assert reasons(chunks) == [(0, "stop")]
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant"] + [None] * (len(chunks) - 1)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0].id.startswith("chatcmpl-") and chunks[0].id != whole.id
    assert whole.object == "chat.completion"
    assert whole.choices[0].message.role == "assistant"


def test_usage_is_sent_once_if_requested(ask):
    whole = ask(FEW).usage
    chunks = list(ask(FEW, stream=True, stream_options={"include_usage": True}))
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole
    assert whole.total_tokens == whole.prompt_tokens + whole.completion_tokens
    assert whole.prompt_tokens > 0 and whole.completion_tokens > 0


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False}}])
def test_usage_is_not_sent_otherwise(ask, options):
    chunks = list(ask(FEW, stream=True, **options))
    assert all(chunk.choices for chunk in chunks)
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


def test_two_choices_are_streamed_side_by_side(ask):
    one = ask(FEW)
    two = ask(FEW, n=2)
    assert [choice.index for choice in two.choices] == [0, 1]
    text = one.choices[0].message.content
    assert [choice.message.content for choice in two.choices] == [text, text]
    assert two.usage.prompt_tokens == one.usage.prompt_tokens
    assert two.usage.completion_tokens == 2 * one.usage.completion_tokens

    chunks = list(ask(FEW, n=2, stream=True, stream_options={"include_usage": True}))
    assert joined(chunks, 0) == joined(chunks, 1) == text
    assert reasons(chunks) == [(0, "stop"), (1, "stop")]
    assert [chunk.choices[0].index for chunk in chunks[:2]] == [0, 1]
    assert chunks[-1].usage == two.usage


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_answer_ends_at_the_token_limit(ask, name):
    whole = ask(FEW)
    text, tokens = whole.choices[0].message.content, whole.usage.completion_tokens
    for most in (1, 7, tokens - 1):
        cut = ask(FEW, **{name: most})
        assert cut.choices[0].finish_reason == "length"
        assert cut.usage.completion_tokens == most
        assert cut.usage.prompt_tokens == whole.usage.prompt_tokens
        part = cut.choices[0].message.content
        assert text.startswith(part) and 0 < len(part) < len(text)

        chunks = list(ask(FEW, stream=True, stream_options={"include_usage": True}, **{name: most}))
        assert joined(chunks) == part
        assert reasons(chunks) == [(0, "length")]
        assert chunks[-1].usage == cut.usage
    roomy = ask(FEW, **{name: tokens + 1})
    assert roomy.choices[0].finish_reason == "stop"
    assert (roomy.choices[0].message.content, roomy.usage) == (text, whole.usage)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_answer_and_is_not_sent(ask, stream):
    text = ask(FEW).choices[0].message.content
    # Parts of two neighbouring words, so it starts and ends within tokens.
    middle = text.index(" ", len(text) // 3)
    stop = text[middle - 2 : middle + 3]
    for stops in (stop, [stop], ["never said", stop, text[-3:]]):
        answer = ask(FEW, stop=stops, stream=stream)
        if stream:
            chunks = list(answer)
            got, reason = joined(chunks), reasons(chunks)
        else:
            got, reason = answer.choices[0].message.content, [(0, answer.choices[0].finish_reason)]
        assert got == text[: text.index(stop)]
        assert reason == [(0, "stop")]


def test_a_stop_string_that_does_not_occur_has_no_effect(ask):
    text = ask(FEW).choices[0].message.content
    # Starts like the end of the answer, which is therefore held back until the end.
    stop = text[-2:] + "!"
    assert joined(ask(FEW, stop=stop, stream=True)) == text


@pytest.mark.parametrize("stream", [False, True])
def test_json_is_an_object_with_the_matching_pets(ask, route, stream):
    answer = ask("Which cats do you have?", response_format={"type": "json_object"}, stream=stream)
    text = joined(answer) if stream else answer.choices[0].message.content
    assert json.loads(text)["pets"] == route.origin.pets(species="CAT", status="AVAILABLE")


def test_the_answer_names_the_pets_of_the_inventory_and_no_others(ask, route):
    every = route.origin.pets()
    dogs = {pet["name"] for pet in every if pet["species"] == "DOG" and pet["status"] == "AVAILABLE"}
    assert 0 < len(dogs) <= 20
    text = ask("Which dogs do you have?").choices[0].message.content
    assert {pet["name"] for pet in every if pet["name"] in text} == dogs


def test_a_follow_up_is_about_the_conversation(client, route):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which dogs do you have?"}]
    first = client.chat.completions.create(model=route.model, messages=messages)
    messages += [first.choices[0].message, {"role": "user", "content": [{"type": "text", "text": "And cats?"}]}]
    second = client.chat.completions.create(model=route.model, messages=messages)
    every = route.origin.pets()
    cats = {pet["name"] for pet in every if pet["species"] == "CAT" and pet["status"] == "AVAILABLE"}
    text = second.choices[0].message.content
    assert {pet["name"] for pet in every if pet["name"] in text} == cats


def test_sampling_parameters_are_accepted_and_the_answer_is_deterministic(ask):
    steered = {
        "seed": 7,
        "temperature": 1.5,
        "top_p": 0.5,
        "presence_penalty": -2,
        "frequency_penalty": 2,
        "logit_bias": {},
        "logprobs": False,
        "user": "somebody",
        "metadata": {"purpose": "test"},
        "store": False,
        "service_tier": "auto",
        "reasoning_effort": "low",
        "extra_body": {"top_k": 40, "chat_template_kwargs": {"enable_thinking": False}},
    }
    assert ask(FEW, **steered).choices[0].message == ask(FEW).choices[0].message


def test_optional_tools_are_not_called(ask):
    function = {"name": "buy", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    message = ask(FEW, tools=tools, tool_choice="auto", parallel_tool_calls=False).choices[0].message
    assert message.content and not message.tool_calls


def test_the_stream_helper_emits_events_and_assembles_the_completion(client, route, ask):
    messages = [{"role": "user", "content": MANY}]
    options = {"stream_options": {"include_usage": True}}
    with client.chat.completions.stream(model=route.model, messages=messages, **options) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    whole = ask(MANY)
    text = whole.choices[0].message.content
    assert "".join(event.delta for event in events if event.type == "content.delta") == text
    assert [event.content for event in events if event.type == "content.done"] == [text]
    assert final.choices[0].message.content == text
    assert final.choices[0].message.role == "assistant"
    assert final.usage == whole.usage


def test_raw_responses_have_the_documented_headers(client, route):
    messages = [{"role": "user", "content": FEW}]
    create = client.chat.completions.with_raw_response.create
    whole = create(model=route.model, messages=messages)
    streamed = create(model=route.model, messages=messages, stream=True)
    for response in (whole, streamed):
        request_id = response.headers["x-request-id"]
        assert request_id.startswith("req_") and len(request_id) == 36 and int(request_id[4:], 16)
        assert int(response.headers["openai-processing-ms"]) >= 0
        assert not [name for name in response.headers if name.startswith("x-ratelimit")], "no limit is set"
    assert whole.headers["x-request-id"] != streamed.headers["x-request-id"]
    assert whole.headers["content-type"] == "application/json"
    assert whole.parse()._request_id == whole.headers["x-request-id"]
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert streamed.headers["cache-control"] == "no-cache"
    assert streamed.headers["x-accel-buffering"] == "no"
    assert joined(streamed.parse()) == whole.parse().choices[0].message.content


def test_the_asynchronous_client_reads_many_streams_at_once(route, ask):
    text = ask(MANY).choices[0].message.content

    async def stream(client: openai.AsyncOpenAI) -> str:
        messages = [{"role": "user", "content": MANY}]
        chunks = await client.chat.completions.create(model=route.model, messages=messages, stream=True)
        return joined([chunk async for chunk in chunks])

    async def all_at_once() -> list[str]:
        options = {"api_key": KEY, "base_url": route.base_url, "max_retries": 0, "timeout": TIMEOUT}
        async with openai.AsyncOpenAI(**options) as client:
            return await asyncio.gather(*(stream(client) for _ in range(16)))

    assert asyncio.run(all_at_once()) == [text] * 16

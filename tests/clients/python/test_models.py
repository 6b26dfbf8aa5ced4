"""Models through the Python SDK."""

import openai
import pytest

from petstream import KEY


def test_the_list_contains_every_model_once(client, route):
    models = list(client.models.list())
    names = [model.id for model in models]
    assert names == {"local": ["petstore-ai"], "proxied": ["petstore-ai", "proxied"]}[route.name]
    assert all(model.object == "model" and model.created > 0 and model.owned_by for model in models)


def test_a_model_is_equal_to_its_entry_in_the_list(client):
    for model in client.models.list():
        assert client.models.retrieve(model.id) == model


def test_an_unknown_model_is_not_found(client, route):
    if route.name == "proxied":
        # Its `*` accepts every name, also those that its upstream does not list.
        assert client.models.retrieve("no-such-model").id == "no-such-model"
        return
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"
    assert "no-such-model" in caught.value.message


def test_another_name_is_sent_to_the_upstream_of_every_name(shared_routes, servers, connect):
    """A chain: the third server's `*` is the second server, which has the model `proxied`."""
    middle = shared_routes("proxied")
    upstream = {"base_url": middle.base_url, "api_key": KEY}
    front = servers({"models": [{"name": "*", "upstreams": [upstream]}]})
    client = connect(front)
    assert [model.id for model in client.models.list()] == ["petstore-ai", "proxied"]
    assert client.models.retrieve("proxied").id == "proxied"
    messages = [{"role": "user", "content": "What can you do?"}]
    answers = [connect(s).chat.completions.create(model="proxied", messages=messages) for s in (front, middle.server)]
    assert answers[0].choices[0].message.content == answers[1].choices[0].message.content

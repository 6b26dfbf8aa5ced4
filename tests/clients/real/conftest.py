"""Fixtures: llama-server, and petstream in front of it."""

import pytest

import llama
from llama import Llama
from petstream import Petstream

pytest_plugins = ["serving"]


@pytest.fixture(scope="session")
def upstream(tmp_path_factory):
    server = Llama(tmp_path_factory.mktemp("llama") / "log")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def front(upstream, servers) -> Petstream:
    target = {"base_url": upstream.base_url, "api_key": llama.KEY}
    return servers(
        {
            "models": [
                {"name": "small", "upstreams": [target | {"model": llama.MODEL}]},
                {"name": "locked", "upstreams": [target | {"api_key": "sk-not-its-key", "model": llama.MODEL}]},
                {"name": "*", "upstreams": [target]},
            ]
        }
    )


@pytest.fixture
def client(connect, front):
    return connect(front)


@pytest.fixture
def ask(client):
    """Requests a short, deterministic answer."""

    def create(**options):
        defaults = {
            "model": llama.MODEL,
            "messages": [{"role": "user", "content": "Say hello to my dog."}],
            "max_tokens": 24,
            "temperature": 0,
            "seed": 1,
        }
        return client.chat.completions.create(**defaults | options)

    return create

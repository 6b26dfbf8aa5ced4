"""A pytest plugin with fixtures for all tests with the Python SDK: servers and clients that are stopped afterwards."""

import openai
import pytest

from petstream import KEY, TIMEOUT, Petstream


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Starts servers. Stops them all in reverse order, so that none loses its upstream."""
    made = []

    def serve(configuration: dict, **options) -> Petstream:
        made.append(Petstream(tmp_path_factory.mktemp("petstream") / "server", configuration, **options))
        return made[-1]

    yield serve
    failures = []
    for server in reversed(made):
        try:
            server.stop()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise ExceptionGroup("servers that failed", failures)


@pytest.fixture
def connect():
    """Creates clients of servers or routes, by default without retries, and closes them."""
    made = []

    def make(server, **options) -> openai.OpenAI:
        defaults = {"api_key": KEY, "base_url": server.base_url, "max_retries": 0, "timeout": TIMEOUT}
        made.append(openai.OpenAI(**defaults | options))
        return made[-1]

    yield make
    for client in made:
        client.close()

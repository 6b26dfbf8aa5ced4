"""Fixtures of every test with the Python SDK, as a pytest plugin: servers that end, clients that are closed."""

import openai
import pytest

from petstream import KEY, PATIENCE, Petstream


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Makes servers; ends them all, the newest first, so that none loses its upstream."""
    made = []

    def serve(configuration: dict, **options) -> Petstream:
        made.append(Petstream(tmp_path_factory.mktemp("petstream") / "home", configuration, **options))
        return made[-1]

    yield serve
    failures = []
    for server in reversed(made):
        try:
            server.stop()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise ExceptionGroup("servers that did not end well", failures)


@pytest.fixture
def connect():
    """Makes clients of whatever has a base URL, without retries unless told, and closes them."""
    made = []

    def make(server, **options) -> openai.OpenAI:
        defaults = {"api_key": KEY, "base_url": server.base_url, "max_retries": 0, "timeout": PATIENCE}
        made.append(openai.OpenAI(**defaults | options))
        return made[-1]

    yield make
    for client in made:
        client.close()

"""Fixtures: the two routes to the local model, and their clients."""

import json
import subprocess
from dataclasses import dataclass

import openai
import pytest

from certificates import Authority
from petstream import KEY, TIMEOUT, Petstream, Route
from upstream import Upstream

pytest_plugins = ["serving"]

ROUTES = ["local", "proxied"]


@pytest.fixture(scope="session")
def routes(servers):
    """Starts a route: `limits` configures the server that the client calls, `responder` the one that answers."""

    def make(name: str, limits: dict | None = None, responder: dict | None = None) -> Route:
        limits, responder = limits or {}, responder or {}
        if name == "local":
            server = servers({"limits": limits, "responder": responder})
            return Route(name, server, "petstore-ai", server)
        origin = servers({"responder": responder})
        upstream = {"base_url": origin.base_url, "api_key": KEY}
        server = servers(
            {
                "limits": limits,
                "models": [
                    {"name": "proxied", "upstreams": [upstream | {"model": "petstore-ai"}]},
                    {"name": "*", "upstreams": [upstream]},
                ],
            }
        )
        return Route(name, server, "proxied", origin)

    return make


@pytest.fixture(scope="session")
def shared_routes(routes):
    """The routes without limits, started at their first use."""
    made = {}

    def get(name: str) -> Route:
        if name not in made:
            made[name] = routes(name)
        return made[name]

    return get


@pytest.fixture(params=ROUTES)
def route_name(request) -> str:
    return request.param


@pytest.fixture
def route(route_name, shared_routes) -> Route:
    return shared_routes(route_name)


@pytest.fixture
def client(connect, route) -> openai.OpenAI:
    return connect(route)


@pytest.fixture
def ask(client, route):
    """Sends a question to the route's model."""

    def create(question: str = "What can you do?", **options):
        messages = [{"role": "user", "content": question}]
        return client.chat.completions.create(**{"model": route.model, "messages": messages} | options)

    return create


@dataclass(frozen=True)
class Surfaces:
    """A server whose models `chat`, `responses` and `messages` each speak one API, all of the same upstream."""

    server: Petstream
    upstream: Upstream


@pytest.fixture(scope="session")
def surfaces(servers):
    upstream = Upstream()
    models = [
        {"name": api, "upstreams": [{"base_url": upstream.base_url, "apis": [api]}]}
        for api in ("chat", "responses", "messages")
    ]
    yield Surfaces(servers({"models": models}), upstream)
    upstream.close()


@pytest.fixture
def curl(tmp_path):
    """Runs curl; its exit status must be 0. Returns the status line's code, the headers and the body."""

    def run(url: str, *arguments: str, body: dict | None = None) -> tuple[int, dict[str, str], bytes]:
        data = [] if body is None else ["--data", json.dumps(body)]
        head = tmp_path / "head"
        command = ["curl", "-q", "-sS", "-N", "--max-time", str(TIMEOUT), "-D", head, *arguments, *data, url]
        done = subprocess.run(command, capture_output=True, timeout=2 * TIMEOUT)
        assert done.returncode == 0, done.stderr.decode()
        status, *lines = head.read_text().strip().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, done.stdout

    return run


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Issues the certificates of servers and clients."""
    return Authority()

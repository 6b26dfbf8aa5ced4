"""deploy/nginx.conf, deploy/petstream.replicas.yaml and the Redis of deploy/compose.replicas.yaml, with real servers."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection

import pytest
import yaml

from engines import Nginx, Port, Postgres, Redis, program
from peers import Streams, Upstream, complete, get
from petstream import BINARY, KEY, REPOSITORY, TIMEOUT, eventually
from roots import Server

DEPLOY = REPOSITORY / "deploy"
NGINX = (DEPLOY / "nginx.conf").read_text()
CONFIGURATION = (DEPLOY / "petstream.replicas.yaml").read_text()
COUNT = 3


class Replica(Server):
    """petstream with the configuration of the compose file; it keeps its port when it is started again."""

    def __init__(self, folder, upstream_port: int, engines: dict[str, str]):
        self._ports = [Port(), Port()]
        self.port, self.metrics_port = (port.number for port in self._ports)
        folder.mkdir()
        text = CONFIGURATION.replace("172.30.40.2", "127.0.0.1").replace("0.0.0.0:9400", f"127.0.0.1:{self.metrics_port}")
        upstreams = [{"base_url": f"http://127.0.0.1:{upstream_port}/v1"}]
        models = [{"name": name, "upstreams": upstreams} for name in ("m", "without-engines")]
        (folder / "petstream.yaml").write_text(f"{text}\nmodels: {json.dumps(models)}\n")
        self.variables = engines | {"PETSTREAM_LISTEN": f"127.0.0.1:{self.port}", "PETSTREAM_API_KEY": KEY}
        self.folder = folder
        self.start()

    def start(self) -> None:
        super().__init__([str(BINARY), "--log-format", "json"], self.variables, self.folder)

    def _find(self) -> int | None:
        return self.process.pid if self.process.poll() is None else None

    def close(self) -> None:
        self.kill()
        for port in self._ports:
            port.close()

    def in_flight(self) -> int:
        """Streams that this replica serves."""
        text = get(f"http://127.0.0.1:{self.metrics_port}/metrics", key=None)[1]
        return int(re.search(r'^petstream_streams_in_flight\{gen_ai_request_model="m"\} (\d+)$', text, re.M)[1])

    def readiness(self) -> tuple[int, list[str]]:
        status, body = get(f"{self.url}/readyz", key=None)
        return status, json.loads(body).get("degraded", [])


@contextmanager
def balancer(ports: list[int]):
    """nginx with the configuration of deploy/ before servers on these ports."""
    replacements = {"/tmp/": "{folder}/", "listen 8080": "listen 127.0.0.1:{port}"}
    replacements |= {f"petstream-{number + 1}:4000": f"127.0.0.1:{port}" for number, port in enumerate(ports)}
    with ExitStack() as stack:
        nginx = Nginx(NGINX, replacements)
        stack.callback(nginx.close)
        yield nginx


class Installation:
    def __init__(self, stack: ExitStack, folder, upstream: Upstream):
        self.upstream = upstream
        self.postgres = Postgres()
        stack.callback(self.postgres.close)
        self.redis = Redis()
        stack.callback(self.redis.close)
        self.engines = {"PETSTREAM_DATABASE": self.postgres.url, "PETSTREAM_REDIS": self.redis.url}
        self.folder, self.replicas = folder, []
        for number in range(COUNT):
            self.replicas.append(Replica(folder / str(number), upstream.port, self.engines))
            stack.callback(self.replicas[-1].close)
        self.nginx = stack.enter_context(balancer([replica.port for replica in self.replicas]))
        self.url = self.nginx.url

    def command(self, *arguments: str) -> str:
        """A command of petstream beside the servers."""
        done = subprocess.run(
            [BINARY, *arguments], env=self.engines, cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    with ExitStack() as stack:
        upstream = Upstream()
        stack.callback(upstream.close)
        yield Installation(stack, tmp_path_factory.mktemp("replicas"), upstream)


def request(url: str, method: str, path: str, body: dict | None = None, source: str = "127.0.0.1", **headers: str):
    """A request on a connection of its own; returns the response with its body read."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = HTTPConnection(host, int(port), timeout=TIMEOUT, source_address=(source, 0))
    fields = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"} | headers
    connection.request(method, path, json.dumps(body) if body is not None else None, fields)
    response = connection.getresponse()
    response.text = response.read().decode()
    connection.close()
    return response


class Subscriber:
    """Reads the events of pets from one server until it is closed."""

    def __init__(self, url: str, last_id: str | None = None):
        host, _, port = url.removeprefix("http://").partition(":")
        self._connection = HTTPConnection(host, int(port), timeout=TIMEOUT)
        headers = {"Authorization": f"Bearer {KEY}"} | ({"Last-Event-ID": last_id} if last_id else {})
        self._connection.request("GET", "/api/events?topics=pets", headers=headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        self.last_id = last_id

    def next_name(self) -> str:
        """The name of the pet in the next event that has one."""
        while True:
            line = self._response.readline().decode()
            assert line, "the stream has ended"
            if line.startswith("id:"):
                self.last_id = line[3:].strip()
            if line.startswith("data:") and (found := re.search(r'"name":"(pet \d+)"', line)):
                return found[1]

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def create_pet(url: str, number: int) -> None:
    pet = {"name": f"pet {number}", "species": "DOG", "breed": "Beagle", "ageMonths": 12, "price": "100.00"}
    pet |= {"size": "SMALL", "color": "brown", "gender": "MALE"}
    response = request(url, "POST", "/api/pets", pet)
    assert response.status == 201, response.text


def test_streams_pass_at_once_over_all_replicas_and_a_killed_one_takes_only_its_own(installation):
    count = 4 * COUNT
    installation.upstream.hold()
    streams = Streams(installation.url, count)
    # Each has its first tokens while the upstream waits: nothing is buffered.
    streams.wait_begun()
    spread = [replica.in_flight() for replica in installation.replicas]
    assert sum(spread) == count and min(spread) >= 2, spread
    killed = installation.replicas[0]
    os.kill(killed.pid, signal.SIGKILL)
    killed.process.wait(TIMEOUT)
    # Requests that are sent to nobody yet go to another replica.
    for _ in range(2 * COUNT):
        assert complete(installation.url).count("data: [DONE]") == 1
    installation.upstream.release()
    ended = [body for body in streams.end() if "data: [DONE]" in body]
    assert len(ended) == count - spread[0]
    killed.wait()

    killed.start()

    def serves_again() -> bool:
        """the replica that was started again gets requests"""
        complete(installation.url)
        return any('"path":"/v1/chat/completions"' in line for line in killed.lines)

    eventually(serves_again)


def test_changes_on_one_replica_reach_subscribers_of_all_and_cursors_are_valid_on_all(installation):
    subscribers = [Subscriber(replica.url) for replica in installation.replicas] + [Subscriber(installation.url)]
    for number, replica in enumerate(installation.replicas):
        create_pet(replica.url, number)
    names = [f"pet {number}" for number in range(COUNT)]
    assert [[made.next_name() for _ in names] for made in subscribers] == [names] * len(subscribers)
    cursor = subscribers[0].last_id
    for subscriber in subscribers:
        subscriber.close()
    create_pet(installation.url, COUNT)
    for url in [installation.url, *(replica.url for replica in installation.replicas)]:
        resumed = Subscriber(url, cursor)
        assert resumed.next_name() == f"pet {COUNT}"
        resumed.close()


def test_no_start_makes_a_key_and_one_that_the_command_makes_is_valid_on_every_replica(installation, tmp_path):
    assert installation.postgres.psql("SELECT count(*) FROM api_keys") == "0"
    key = re.search(r"sk-\S+", installation.command("keys", "create", "--name", "first"))[0]
    for replica in installation.replicas:
        assert get(f"{replica.url}/v1/models", key)[0] == 200
        assert not list(replica.folder.glob("*.key"))
    installation.command("migrate")
    installation.command("keys", "revoke", "first")
    for replica in installation.replicas:
        eventually(lambda replica=replica: get(f"{replica.url}/v1/models", key)[0] == 401)


def test_the_log_has_the_address_of_the_client_and_not_the_one_that_it_names_itself(installation):
    forged = {"X-Forwarded-For": "9.9.9.9", "Forwarded": "for=9.9.9.9"}
    assert request(installation.url, "GET", "/api/me", source="127.0.0.7", **forged).status == 200

    def logged() -> list[str]:
        lines = [line for replica in installation.replicas for line in replica.lines if '"path":"/api/me"' in line]
        return [json.loads(line)["client"] for line in lines]

    assert eventually(logged) == ["127.0.0.7"]


def test_completions_go_on_without_redis_and_without_postgres(installation):
    installation.upstream.release()
    replica = installation.replicas[0]
    assert replica.readiness() == (200, [])
    installation.redis.stop()
    eventually(lambda: replica.readiness() == (200, ["redis"]))
    assert complete(installation.url, "without-engines").count("data: [DONE]") == 1
    installation.postgres.stop(signal.SIGINT)
    eventually(lambda: replica.readiness() == (200, ["redis", "postgres"]))
    assert complete(installation.url, "without-engines").count("data: [DONE]") == 1
    question = {"model": "petstore-ai", "messages": [{"role": "user", "content": "List all pets"}]}
    for method, path, body in (("GET", "/api/pets", None), ("POST", "/v1/chat/completions", question)):
        refused = request(installation.url, method, path, body)
        assert refused.status == 503 and refused.headers["retry-after"], refused.text
    installation.redis.start()
    installation.postgres.start()
    for replica in installation.replicas:
        eventually(lambda replica=replica: replica.readiness() == (200, []))
    assert request(installation.url, "GET", "/api/pets").status == 200
    # Records of the completions meanwhile have waited.
    count = "SELECT count(*) FROM usage_records WHERE model = 'without-engines'"
    eventually(lambda: installation.postgres.psql(count) == "2")


def test_a_dump_is_restored_and_a_new_epoch_follows(installation):
    installation.postgres.psql("CREATE DATABASE copy")
    url = f"{installation.postgres.url.rsplit('/', 1)[0]}/copy"
    run = lambda *arguments: installation.command(*arguments, "--database", url)  # noqa: E731
    run("migrate")
    run("keys", "create", "--name", "before")
    dump = str(installation.postgres.folder / "dump")
    installation.postgres.run(program("pg_dump"), "-Fc", "-f", dump, url)
    epoch = installation.postgres.psql("SELECT epoch FROM event_head", database="copy")
    run("keys", "create", "--name", "after")
    installation.postgres.run(program("pg_restore"), "--clean", "--if-exists", "--dbname", url, dump)
    names = [key["name"] for key in json.loads(run("keys", "list", "--json"))]
    assert names == ["before"]
    assert run("epoch", "rotate").strip() == installation.postgres.psql("SELECT epoch FROM event_head", database="copy")
    assert installation.postgres.psql("SELECT epoch FROM event_head", database="copy") != epoch


class Breaking:
    """Accepts requests and closes each connection without an answer."""

    def __init__(self):
        self.requests: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                received = b""
                while b"\r\n\r\n" not in received and (read := connection.recv(4096)):
                    received += read
                self.requests.append(received.split(b"\r\n")[0].decode())

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(TIMEOUT)


@pytest.mark.parametrize(("method", "attempts"), [("POST", 1), ("PATCH", 1), ("GET", COUNT)])
def test_a_request_that_was_sent_is_repeated_only_if_its_method_allows_that(method, attempts):
    with ExitStack() as stack:
        servers = [Breaking() for _ in range(COUNT)]
        for server in servers:
            stack.callback(server.close)
        nginx = stack.enter_context(balancer([server.port for server in servers]))
        # The body is empty: a part of one that was sent would prevent a repetition by itself.
        assert request(nginx.url, method, "/x").status == 502
        assert sum(len(server.requests) for server in servers) == attempts


def test_bounds_and_times_of_nginx_fit_those_of_petstream():
    defaults = yaml.safe_load((DEPLOY / "petstream.yaml").read_text())

    def setting(name: str) -> str:
        return re.search(rf"^ *{name} (.*);$", NGINX, re.M)[1]

    assert defaults["limits"]["body"] == "16MiB" and setting("client_max_body_size") == "16m"
    assert defaults["limits"]["head"] == "64KiB" and setting("large_client_header_buffers") == "4 64k"
    assert defaults["limits"]["keep_alive"] == "75s" and setting("keepalive_timeout") == "60s"
    assert (setting("proxy_buffering"), setting("proxy_request_buffering")) == ("off", "off")
    assert "total: 30m" in (DEPLOY / "petstream.yaml").read_text() and setting("proxy_read_timeout") == "31m"
    assert defaults["heartbeat"] == defaults["events"]["heartbeat"] == "15s"

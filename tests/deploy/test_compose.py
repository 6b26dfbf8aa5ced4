"""deploy/compose.yaml, started by podman-compose."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from peers import complete, get
from petstream import KEY, REPOSITORY, TIMEOUT, eventually
from times import default_drain, seconds

FILE = REPOSITORY / "deploy/compose.yaml"


@pytest.fixture
def compose(machine):
    """Runs podman-compose with the image under test."""
    root = next((root for root in machine[0] if root.name == "container"), None)
    if root is None:
        pytest.skip("; ".join(machine[1]))
    bridge = ["podman", "run", "--rm", "--publish", "127.0.0.1::4000", "localhost/petstream", "--version"]
    result = subprocess.run(bridge, env=root.environment, capture_output=True, text=True)
    if result.returncode != 0:
        pytest.skip(f"no network of containers: {result.stderr.strip().splitlines()[-1]}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = root.environment | {"PETSTREAM_PORT": str(port), "PETSTREAM_API_KEY": KEY}
    program = Path(sys.executable).parent / "podman-compose"

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
        command = [program, "--in-pod", "false", "--project-name", "petstream-test", "--file", FILE, *arguments]
        return subprocess.run(
            command, env=environment | variables, cwd=root.folder, capture_output=True, text=True, timeout=2 * TIMEOUT
        )

    yield run, f"http://127.0.0.1:{port}"
    run("down", "--volumes", "--timeout", "1")


def test_the_service_answers_on_loopback_and_keeps_its_data(compose):
    run, url = compose
    result = run("up", "--detach", "--no-build")
    assert result.returncode == 0, result.stderr

    def ready() -> bool:
        """the service is ready"""
        try:
            return get(f"{url}/readyz", key=None)[0] == 200
        except OSError:
            return False

    eventually(ready)
    assert complete(url).count("data: [DONE]") == 1
    pets = get(f"{url}/api/pets")
    assert pets[0] == 200
    # Stops by SIGTERM within its time, and has its pets afterwards.
    assert run("restart").returncode == 0
    eventually(ready)
    assert get(f"{url}/api/pets") == pets
    result = run("stop")
    assert result.returncode == 0, result.stderr
    log = run("logs").stdout
    assert '"message":"stopped"' in log, log


def test_the_service_stops_slower_than_it_drains_and_needs_a_key(compose):
    run, _ = compose
    assert run("config", PETSTREAM_API_KEY="").returncode != 0
    service = yaml.safe_load(FILE.read_text())["services"]["petstream"]
    assert seconds(service["stop_grace_period"]) >= default_drain() + 10
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]

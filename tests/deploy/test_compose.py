"""deploy/compose.yaml, started by podman-compose; deploy/compose.replicas.yaml, checked.

What the services of the latter do together is in test_replicas.py.
"""

import copy
import ipaddress
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import jsonschema
import podman_compose
import pytest
import yaml

from peers import complete, get
from petstream import KEY, REPOSITORY, TIMEOUT, eventually
from times import default_drain, seconds

FILE = REPOSITORY / "deploy/compose.yaml"
REPLICAS = REPOSITORY / "deploy/compose.replicas.yaml"
SCHEMA = json.loads((REPOSITORY / "fixtures/compose/compose.schema.json").read_text())
PASSWORDS = {"POSTGRES_PASSWORD": "p0", "REDIS_PASSWORD": "r0"}


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


@pytest.mark.parametrize("file", [FILE, REPLICAS])
def test_the_files_fit_the_schema(file):
    parsed = yaml.safe_load(file.read_text())
    jsonschema.validate(parsed, SCHEMA)
    wrong = copy.deepcopy(parsed)
    next(iter(wrong["services"].values()))["stop_grace_periods"] = "45s"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def resolved(**variables: str) -> dict:
    """The file of several replicas with its variables replaced as podman-compose does it."""
    return podman_compose.rec_subs(yaml.safe_load(REPLICAS.read_text()), variables)


def test_replicas_need_both_passwords_and_get_them_in_their_urls():
    for missing in PASSWORDS:
        with pytest.raises(ValueError, match=missing):
            resolved(**PASSWORDS | {missing: ""})
    services = resolved(**PASSWORDS)["services"]
    for number in (1, 2, 3):
        environment = services[f"petstream-{number}"]["environment"]
        assert environment["PETSTREAM_DATABASE"] == "postgres://petstream:p0@postgres:5432/petstream"
        assert environment["PETSTREAM_REDIS"] == "redis://:r0@redis:6379"
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "p0"
    assert services["redis"]["environment"]["REDIS_PASSWORD"] == "r0"
    # The shell of the container replaces it: no password is on a command line.
    assert "requirepass $REDIS_PASSWORD\n" in services["redis"]["command"][-1]


def test_replicas_start_behind_healthy_engines_and_end_after_their_drain():
    services = resolved(**PASSWORDS)["services"]
    for name, service in services.items():
        assert service["healthcheck"]["test"] and service["restart"] == "unless-stopped", name
        assert service["security_opt"] == ["no-new-privileges"], name
    replicas = [service for name, service in services.items() if name.startswith("petstream-")]
    assert len(replicas) == 3
    for replica in replicas:
        assert {name: made["condition"] for name, made in replica["depends_on"].items()} == {
            "postgres": "service_healthy", "redis": "service_healthy"
        }
        assert seconds(replica["stop_grace_period"]) >= default_drain() + 10
        assert replica["read_only"] is True and replica["cap_drop"] == ["ALL"]
    # Only the balancer is reached from outside, and only on loopback.
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"balancer": ["127.0.0.1:4000:8080"]}
    assert list(resolved(**PASSWORDS)["volumes"]) == ["postgres"]


def test_addresses_and_files_of_the_replicas_are_the_same_everywhere():
    made = resolved(**PASSWORDS)
    services, network = made["services"], ipaddress.ip_network(made["networks"]["default"]["ipam"]["config"][0]["subnet"])
    addresses = {
        name: service["networks"]["default"]["ipv4_address"] for name, service in services.items() if "networks" in service
    }
    assert all(ipaddress.ip_address(address) in network for address in addresses.values())
    balancer = addresses.pop("balancer")
    assert dict(entry.split(":") for entry in services["balancer"]["extra_hosts"]) == addresses
    nginx = (REPOSITORY / "deploy/nginx.conf").read_text()
    assert set(re.findall(r"server (petstream-\d):4000 ", nginx)) == set(addresses)
    configuration = yaml.safe_load((REPOSITORY / "deploy/petstream.replicas.yaml").read_text())
    assert configuration["trusted_proxies"] == [balancer]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in made["volumes"] or (REPLICAS.parent / source).is_file(), volume

"""The units in deploy/systemd: as systemd checks them, and as it runs them."""

import json
import re
import subprocess

import pytest

from petstream import BINARY, KEY, REPOSITORY, eventually
from times import default_drain, seconds
from units import NotPossible, Systemd

UNITS = REPOSITORY / "deploy/systemd"
SERVICE, SOCKET = UNITS / "petstream.service", UNITS / "petstream.socket"
# systemd calls 2.0 and less "OK".
MAX_EXPOSURE = 2.0


def section(unit, name: str) -> dict[str, list[str]]:
    """The settings of a section; each may be there several times."""
    made: dict[str, list[str]] = {}
    inside = False
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            inside = line == f"[{name}]"
        elif inside and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            made.setdefault(key, []).append(value)
    return made


def test_systemd_finds_no_mistake_in_the_units(tmp_path):
    for unit in (SERVICE, SOCKET):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/petstream", str(BINARY)))
    units = [tmp_path / SERVICE.name, tmp_path / SOCKET.name]
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    # A setting that systemd does not know is reported.
    units[0].write_text(units[0].read_text().replace("PrivateTmp=", "PrivateTemp="))
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert "PrivateTemp" in result.stderr


def test_the_service_exposes_little():
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", SERVICE]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    exposure = re.search(r"Overall exposure level for petstream\.service: ([\d.]+)", result.stdout)
    assert float(exposure[1]) < MAX_EXPOSURE, result.stdout


def test_the_units_agree_with_each_other_and_with_the_defaults_of_petstream():
    service, socket = section(SERVICE, "Service"), section(SOCKET, "Socket")
    defaults = (REPOSITORY / "deploy/petstream.yaml").read_text()
    assert service["Type"] == ["notify"]
    assert "petstream.socket" in section(SERVICE, "Unit")["Requires"]
    assert "127.0.0.1:4000" in defaults
    assert socket["ListenStream"] == ["127.0.0.1:4000"]
    assert seconds(service["TimeoutStopSec"][0]) >= default_drain() + 10
    state = service["StateDirectory"][0]
    assert service["Environment"] == [f"PETSTREAM_DATABASE=sqlite:/var/lib/{state}/petstream.db"]
    assert service["WorkingDirectory"] == [f"/etc/{service['ConfigurationDirectory'][0]}"]


@pytest.mark.parametrize("unit", [SERVICE, SOCKET])
def test_units_have_no_setting_twice_but_those_that_are_lists(unit):
    text = unit.read_text()
    sections = re.findall(r"^\[(\w+)\]$", text, re.MULTILINE)
    lists = {"After", "Requires", "SystemCallFilter", "Environment"}
    for name in sections:
        for key, values in section(unit, name).items():
            assert len(values) == 1 or key in lists, key


@pytest.fixture(scope="module")
def systemd(tmp_path_factory, summary):
    """A systemd as process 1 of its own namespaces, with the units."""
    try:
        made = Systemd(tmp_path_factory.mktemp("systemd"))
    except NotPossible as reason:
        summary.append(f"units did not run: {reason}")
        pytest.skip(f"systemd can't run here: {reason}")
    summary.append("units ran under systemd" + ("" if made.notifies else ", without its socket and notifications"))
    yield made
    made.close()


def test_the_service_runs_under_systemd_with_its_restrictions(systemd):
    units = ["petstream.socket", "petstream.service"] if systemd.notifies else ["petstream.service"]
    started = systemd.run("systemctl", "start", *units)
    assert started.returncode == 0, systemd.run("systemctl", "status", "petstream.service").stdout
    eventually(systemd.ready, every=0.1)
    assert systemd.run("sh", "-c", "cd /etc/petstream && exec petstream healthcheck").returncode == 0
    process = systemd.status(int(systemd.show("petstream.service", "MainPID")))
    assert "0" not in process["Uid"] and process["CapEff"] == process["CapBnd"] == ["0" * 16]
    assert process["NoNewPrivs"] == ["1"] and process["Seccomp"] == ["2"]

    messages = [{"role": "user", "content": "List all pets"}]
    body = json.dumps({"model": "petstore-ai", "stream": True, "messages": messages})
    url = "http://127.0.0.1:4000/v1/chat/completions"
    headers = ["-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
    answer = systemd.run("curl", "-sS", "-m", "30", url, "-d", body, *headers)
    assert answer.stdout.count("data: [DONE]") == 1, answer.stderr
    database = systemd.run("stat", "-L", "-c", "%a", "/var/lib/petstream/petstream.db")
    assert database.stdout == "600\n", database.stderr


def test_the_service_stops_without_a_failure(systemd):
    assert systemd.run("systemctl", "restart", "petstream.service").returncode == 0
    eventually(systemd.ready, every=0.1)
    assert systemd.run("systemctl", "stop", "petstream.service").returncode == 0
    assert systemd.show("petstream.service", "Result") == "success"
    assert systemd.show("petstream.service", "ExecMainStatus") == "0"
    if systemd.notifies:
        # The socket is still there: a connection starts the service again, and is answered.
        answer = systemd.run("curl", "-sS", "-m", "30", "http://127.0.0.1:4000/readyz")
        assert '"ready"' in answer.stdout, answer.stderr


def test_a_reload_applies_the_configuration_without_a_restart(systemd):
    if systemd.run("petstream", "reload", "--help").returncode != 0:
        pytest.skip("this binary ends on SIGHUP")
    assert systemd.run("systemctl", "restart", "petstream.service").returncode == 0
    eventually(systemd.ready, every=0.1)
    before = systemd.show("petstream.service", "MainPID")
    page = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:4000/"]
    assert systemd.run(*page).stdout == "200"
    systemd.run("sh", "-c", "echo 'page: false' > /etc/petstream/petstream.yaml")
    assert systemd.run("systemctl", "reload", "petstream.service").returncode == 0
    eventually(lambda: systemd.run(*page).stdout == "404", every=0.1)
    assert systemd.show("petstream.service", "MainPID") == before

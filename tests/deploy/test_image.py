"""The container image: deploy/Containerfile, deploy/rootfs."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import roots
from peers import AFTER, BEFORE, Streams, complete, dns_server, get
from petstream import REPOSITORY

CONTAINERFILE = REPOSITORY / "deploy/Containerfile"
# A promise of docs/DEPLOYMENT.md: streams at once, and the memory for them in MiB.
STREAMS = 500
MEMORY = int(os.environ.get("DEPLOY_MEMORY_MIB", "64"))
MAX_IMAGE_MB = 30


def proxied(port: int, host: str = "127.0.0.1") -> str:
    return f'models: [{{name: m, upstreams: [{{base_url: "http://{host}:{port}/v1"}}]}}]\n'


def assert_whole(body: str) -> None:
    """A stream with every chunk of the upstream, in order, and one end."""
    chunks = re.findall(r"(before|after) (\d+)", body)
    expected = [("before", str(number)) for number in range(BEFORE)] + [("after", str(n)) for n in range(AFTER)]
    assert chunks == expected
    assert body.count("data: [DONE]") == 1 and '"error"' not in body, body[-500:]


def test_it_answers_as_pid_1_of_a_user_without_name_on_a_file_system_that_cannot_be_written(root, configuration):
    with root.start(configuration("{}\n"), roots.key_environment()) as server:
        assert get(f"{server.url}/readyz", key=None)[0] == 200
        body = complete(server.url)
        assert body.count("data: [DONE]") == 1 and '"finish_reason":"stop"' in body, body[-500:]
        assert server.status("Uid") == server.status("Gid") == [str(roots.USER)] * 4
        namespaces = server.status("NSpid")
        if root.name == "container" or len(namespaces) > 1:
            assert namespaces[-1] == "1"
            mounts = [line.split() for line in Path(f"/proc/{server.pid}/mountinfo").read_text().splitlines()]
            options = {mount[4]: mount[5].split(",") for mount in mounts}
            assert "ro" in options["/"] and "rw" in options["/data"]
        for absent in ("tmp", "etc/passwd", "bin/sh", "usr/bin/sh", "root"):
            assert not Path(f"/proc/{server.pid}/root/{absent}").exists(), absent
        if root.name == "container":
            assert set(server.status("CapEff")) | set(server.status("CapBnd")) == {"0" * 16}


def test_a_first_key_is_in_a_file_beside_the_database_and_not_in_the_log(root, configuration):
    if "--print-key" not in subprocess.run([roots.binary(), "--help"], capture_output=True, text=True).stdout:
        pytest.skip("this binary prints its first key")
    environment = roots.key_environment()
    del environment["PETSTREAM_API_KEY"]
    with root.start(configuration("{}\n"), environment) as server:
        file = Path(f"/proc/{server.pid}/root/data/petstream.key")
        key = file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        assert get(f"{server.url}/v1/models", key)[0] == 200
        log = "".join(server.lines)
        assert "/data/petstream.key" in log and key not in log


def test_health_is_checked_by_the_binary_itself(root, configuration):
    environment = roots.key_environment()
    # The health check of the image knows the address from the environment, so that it can't be any port.
    if root.name == "container":
        environment["PETSTREAM_LISTEN"] = "0.0.0.0:4000"
        with root.start(configuration("{}\n"), environment, network="none") as server:
            assert server.healthcheck() == 0
            other = server.execute("healthcheck", "--url", "http://127.0.0.1:1")
            assert (other.returncode, other.stdout) == (1, "") and "no answer" in other.stderr
    else:
        with root.start(configuration("{}\n"), environment) as server:
            assert server.healthcheck() == 0
            assert server.execute("healthcheck", "--url", "http://127.0.0.1:1").returncode == 1


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_streams_end_and_then_the_process(root, configuration, upstream, name):
    with root.start(configuration(proxied(upstream.port)), roots.key_environment()) as server:
        streams = Streams(server.url, 3)
        streams.wait_begun()
        os.kill(server.pid, name)
        roots.eventually(lambda: any("shutting down" in line for line in server.lines))
        assert server.process.poll() is None
        upstream.release()
        for body in streams.end():
            assert_whole(body)
        assert server.wait() == 0


def test_names_of_upstreams_are_found_in_the_hosts_file(root, configuration, upstream, tmp_path):
    upstream.release()
    (tmp_path / "hosts").write_text("127.0.0.1 localhost model.petstream.test\n")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    files = configuration(proxied(upstream.port, "model.petstream.test"))
    files |= {tmp_path / name: f"/etc/{name}" for name in ("hosts", "resolv.conf")}
    with root.start(files, roots.key_environment()) as server:
        assert_whole(complete(server.url, "m"))


def test_names_of_upstreams_are_found_by_dns(root, configuration, upstream, tmp_path):
    upstream.release()
    # An address of loopback that no resolver of a distribution uses.
    address = "127.53.42.1"
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    (tmp_path / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:2 attempts:2\n")
    files = configuration(proxied(upstream.port, "model.petstream.test"))
    files |= {tmp_path / name: f"/etc/{name}" for name in ("hosts", "resolv.conf")}
    with dns_server(address, "model.petstream.test", "127.0.0.1") as questions:
        with root.start(files, roots.key_environment()) as server:
            assert_whole(complete(server.url, "m"))
    assert "model.petstream.test" in questions


def test_many_streams_fit_into_little_memory(root, configuration, upstream, summary):
    text = proxied(upstream.port)
    with root.start(configuration(text), roots.key_environment(), memory=MEMORY) as server:
        streams = Streams(server.url, STREAMS)
        streams.wait_begun()
        roots.eventually(lambda: upstream.waiting == STREAMS)
        anonymous = int(server.status("RssAnon")[0]) // 1024
        upstream.release()
        for body in streams.end():
            assert_whole(body)
        peak = server.peak_memory() // 2**20
        server.terminate()
        assert server.wait() == 0
    bound = "bound" if root.name == "container" else "no bound"
    summary.append(f"{root.name}: {STREAMS} streams, {anonymous} MiB of its own, peak {peak} MiB ({bound})")
    # Pages of the executable are counted where they are, and can be dropped: the bound of a container is for the rest.
    assert anonymous <= MEMORY


def test_the_image_is_small_and_its_configuration_is_complete(machine, summary, tmp_path):
    container = next((root for root in machine[0] if root.name == "container"), None)
    if container is None:
        pytest.skip("; ".join(machine[1]))
    image = container.inspect()
    config = image["Config"]
    assert config["User"] == f"{roots.USER}:{roots.USER}"
    assert config["Entrypoint"] == [roots.PROGRAM] and config["Volumes"] == {"/data": {}}
    assert image["Healthcheck"]["Test"] == ["CMD", roots.PROGRAM, "healthcheck"]
    # Layers as a registry has them: compressed.
    container.podman("push", "--compress", "localhost/petstream", f"dir:{tmp_path}/pushed")
    pushed = sum(file.stat().st_size for file in (tmp_path / "pushed").iterdir()) / 1e6
    build = "release" if roots.binary() == roots.RELEASE else "debug"
    summary.append(f"image of the {build} build: {pushed:.1f} MB to pull, {image['Size'] / 1e6:.1f} MB unpacked")
    if build == "release":
        assert image["Size"] / 1e6 < MAX_IMAGE_MB
    else:
        summary.append(f"size not checked: the bound of {MAX_IMAGE_MB} MB is for a release build")


def test_the_folders_that_the_build_stage_copies_are_enough(tmp_path):
    lines = CONTAINERFILE.read_text().splitlines()
    copies = [line.split()[1:] for line in lines if line.startswith("COPY ") and "--from" not in line]
    for *sources, target in copies:
        for source in sources:
            to = tmp_path / target / Path(source).name if target.endswith("/") else tmp_path / target
            to.parent.mkdir(parents=True, exist_ok=True)
            path = REPOSITORY / source
            shutil.copytree(path, to) if path.is_dir() else shutil.copy(path, to)
    build = next(line for line in lines if line.startswith("RUN "))
    assert "cargo build --release --locked --bin petstream" in build
    # Dependencies are in the cache of the checks before; the package itself is checked where it was copied to.
    check = ["cargo", "check", "--locked", "--bin", "petstream"]
    environment = os.environ | {"CARGO_TARGET_DIR": str(REPOSITORY / "target")}
    result = subprocess.run(check, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_root_has_what_ldd_names_and_certificates(tmp_path):
    image = roots.assemble(tmp_path)
    files = {str(file.relative_to(image / "root")) for file in (image / "root").rglob("*") if file.is_file()}
    libraries = {file for file in files if file.startswith("lib")}
    assert files - libraries == {"usr/bin/petstream", "etc/ssl/certs/ca-certificates.crt"}
    assert json.dumps(sorted(Path(file).name for file in libraries)) == json.dumps(
        ["ld-linux-x86-64.so.2", "libc.so.6", "libgcc_s.so.1", "libm.so.6"]
    )

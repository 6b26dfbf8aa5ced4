"""Runs petstream in the file system of its image: in a container where the machine allows one, and in a chroot.

A container is made by podman from the last stage of deploy/Containerfile: namespaces, no capabilities, a bound of
memory. A chroot has the same files and user and, where `unshare` is allowed, namespaces for processes and mounts; it
has no bound of memory and no /proc, and shares the rest with the machine.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from petstream import BINARY, KEY, LISTENING, REPOSITORY, TIMEOUT, eventually

RELEASE = Path(os.environ.get("PETSTREAM_RELEASE_BIN", REPOSITORY / "target/release/petstream"))
USER = 65532
PROGRAM = "/usr/bin/petstream"
# The address inside of the chroot and the container, which both have the network of the machine where it is needed.
ANY_PORT = "127.0.0.1:0"


class Server:
    """petstream as a child of `command`; its lines of log are read until it has ended."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path):
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        self.lines: list[str] = []
        self._urls: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._urls.get(timeout=TIMEOUT)
        assert self.url, "petstream did not start:\n" + "".join(self.lines)

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line)
            try:
                message = json.loads(line)["message"]
            except (ValueError, KeyError, TypeError):
                continue
            if message.startswith(LISTENING):
                self._urls.put(message.removeprefix(LISTENING))
        self._urls.put(None)

    @property
    def pid(self) -> int:
        """The process of petstream as the machine numbers it."""
        return eventually(lambda: self._find(), every=0.02)

    def _find(self) -> int | None:
        raise NotImplementedError

    def status(self, name: str) -> list[str]:
        """A line of /proc/PID/status."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line for line in lines if line.startswith(f"{name}:")).split()[1:]

    def wait(self) -> int:
        """Waits until it has ended; returns its exit code."""
        code = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        assert not self._reader.is_alive(), "petstream outlives what has started it"
        self.process.stderr.close()
        return code

    def terminate(self) -> None:
        """Sends SIGTERM to petstream itself."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Ends what is left of it: petstream first, which does not end with what has started it."""
        if self.process.poll() is None:
            if pid := self._find():
                os.kill(pid, signal.SIGKILL)
            self.process.terminate()
        if not self.process.stderr.closed:
            self.wait()


def descendants(pid: int) -> list[int]:
    """All processes below `pid`."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []
    return children + [below for child in children for below in descendants(child)]


def is_petstream(pid: int) -> bool:
    """Whether the process runs the program of a root file system, and not what starts it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(PROGRAM.encode() + b"\0")
    except OSError:
        return False


def assemble(folder: Path) -> Path:
    """Runs deploy/rootfs for the binary under test; returns the folder that the build stage would have as /image."""
    subprocess.run([REPOSITORY / "deploy/rootfs", binary(), folder / "image"], check=True)
    return folder / "image"


def is_current(release: Path) -> bool:
    """Whether a release binary is there and not older than what it is built from."""
    sources = [path for path in (REPOSITORY / "src").rglob("*") if path.is_file()]
    sources += [REPOSITORY / "Cargo.toml", REPOSITORY / "Cargo.lock"]
    return release.exists() and release.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def binary() -> Path:
    """The release binary where there is a current one, otherwise the binary of all other tests."""
    return RELEASE if is_current(RELEASE) else BINARY


class Containers:
    """podman with storage of its own, in a folder that is removed in the end."""

    name = "container"

    def __init__(self, folder: Path, runtime: str):
        self.folder, self._runtime, self._count = folder, runtime, 0
        (folder / "storage.conf").write_text(
            # Files are copied for each layer and container, which works on every file system.
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
        )
        (folder / "containers.conf").write_text(
            # podman's own bounds may be above what this machine allows to raise.
            '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
            f'[engine]\nruntime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        self.environment = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }
        image = assemble(folder)
        containerfile = REPOSITORY / "deploy/Containerfile"
        # The stage `build` is replaced by a folder, so that no other image is needed.
        (folder / "context").mkdir()
        context = folder / "stage"
        context.mkdir()
        image.rename(context / "image")
        self.podman(
            "build", "--format", "docker", "--layers=false", "--build-context", f"build={context}",
            "--file", str(containerfile), "--tag", "localhost/petstream", str(folder / "context"),
        )
        shutil.rmtree(context)
        assert "petstream" in self.podman("run", "--rm", "--network", "none", "localhost/petstream", "--version")

    def __str__(self) -> str:
        version = self.podman("--version").strip()
        return f"container ({version}, {self._runtime})"

    def podman(self, *arguments: str, check: bool = True) -> str:
        result = subprocess.run(
            ["podman", *arguments], env=self.environment, capture_output=True, text=True, timeout=10 * TIMEOUT
        )
        assert not check or result.returncode == 0, f"podman {' '.join(arguments)}: {result.stderr}"
        return result.stdout

    def inspect(self) -> dict:
        """The configuration of the image."""
        return json.loads(self.podman("image", "inspect", "localhost/petstream"))[0]

    @contextmanager
    def start(self, files: dict[Path, str], environment: dict, memory: int | None = None, network: str = "host"):
        """Starts a container; `files` are mounted at paths inside. `memory`: its bound in MiB."""
        self._count += 1
        name = f"petstream-{self._count}"
        options = ["--read-only", "--read-only-tmpfs=false", "--passwd=false", "--cap-drop", "all"]
        options += ["--security-opt", "no-new-privileges", "--network", network]
        for path, inside in files.items():
            options += ["--volume", f"{path}:{inside}:ro"]
        for variable, value in environment.items():
            options += ["--env", f"{variable}={value}"]
        if memory:
            options += ["--memory", f"{memory}m", "--memory-swap", f"{memory}m"]
        server = Container(self, name, ["podman", "run", "--rm", "--name", name, *options, "localhost/petstream"])
        try:
            yield server
        finally:
            self.podman("rm", "--force", "--time", "0", name, check=False)
            server.kill()

    def close(self) -> None:
        self.podman("rm", "--all", "--force", "--time", "0", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Container(Server):
    """A running container."""

    def __init__(self, containers: Containers, name: str, command: list[str]):
        self._containers, self._name = containers, name
        # podman's monitor writes a file into its working folder when a container runs out of memory.
        super().__init__(command, containers.environment, containers.folder)

    def _find(self) -> int | None:
        printed = self._containers.podman("inspect", "--format", "{{.State.Pid}}", self._name, check=False).strip()
        return int(printed) if printed.isdigit() and printed != "0" else None

    def healthcheck(self) -> int:
        """Runs the HEALTHCHECK of the image; returns its exit code."""
        command = ["podman", "healthcheck", "run", self._name]
        return subprocess.run(command, env=self._containers.environment, capture_output=True).returncode

    def execute(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs petstream once more in the container."""
        command = ["podman", "exec", self._name, PROGRAM, *arguments]
        return subprocess.run(command, env=self._containers.environment, capture_output=True, text=True)

    def peak_memory(self) -> int:
        """The most memory that its cgroup has used, in bytes: anonymous, of files, and of the kernel."""
        for line in Path(f"/proc/{self.pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            version_1 = Path(f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes")
            version_2 = Path(f"/sys/fs/cgroup{path}/memory.peak")
            if controllers == "memory" and version_1.exists():
                return int(version_1.read_text())
            if not controllers and version_2.exists():
                return int(version_2.read_text())
        raise AssertionError("its cgroup counts no memory")


class Chroots:
    """chroots of the content of the image."""

    name = "chroot"

    def __init__(self, folder: Path):
        self._folder, self._count = folder, 0
        self._image = assemble(folder)
        self._unshare = next((options for options in UNSHARE if self._works(options)), None)
        assert self._unshare is not None, "neither podman nor chroot works here: run the tests as root"

    def __str__(self) -> str:
        return f"chroot ({' '.join(self._unshare) or 'no namespaces'})"

    @staticmethod
    def _works(options: list[str]) -> bool:
        return subprocess.run([*options, "true"], capture_output=True).returncode == 0 and os.geteuid() == 0

    @contextmanager
    def start(self, files: dict[Path, str], environment: dict, memory: int | None = None, network: str = "host"):
        """Starts a server; `files` are copied to paths inside. `memory` and `network` have no effect."""
        del memory, network
        self._count += 1
        root = self._folder / f"root-{self._count}"
        # Links: the files of the image are not written.
        shutil.copytree(self._image / "root", root, copy_function=os.link)
        for path, inside in files.items():
            target = root / inside.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(path, target, dirs_exist_ok=True) if path.is_dir() else shutil.copy(path, target)
        data = root / "data"
        data.mkdir()
        os.chown(data, USER, USER)
        variables = {"PETSTREAM_DATABASE": "sqlite:/data/petstream.db", "SQLITE_TMPDIR": "/data"} | environment
        read_only = "mount --bind $0 $0 && mount --bind $0/data $0/data && mount -o remount,bind,ro $0 && " * bool(
            self._unshare
        )
        enter = f'{read_only}exec chroot --userspec={USER}:{USER} "$0" "$@"'
        command = [*self._unshare, "sh", "-c", enter, str(root), PROGRAM]
        server = Chroot(command, variables | {"PATH": os.environ["PATH"]})
        try:
            yield server
        finally:
            server.kill()
            shutil.rmtree(root)

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


# Namespaces for processes and mounts, if they are allowed.
UNSHARE = [["unshare", "--mount", "--pid", "--fork"], []]


class Chroot(Server):
    """A server that runs in a chroot."""

    def __init__(self, command: list[str], environment: dict[str, str]):
        self._command, self._variables = command, environment
        super().__init__(command, environment, Path("/"))

    def _find(self) -> int | None:
        candidates = [self.process.pid, *descendants(self.process.pid)]
        return next((pid for pid in candidates if is_petstream(pid)), None)

    def healthcheck(self) -> int:
        return self.execute("healthcheck", "--url", self.url).returncode

    def execute(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs petstream once more in a chroot of the same folder."""
        return subprocess.run([*self._command, *arguments], env=self._variables, capture_output=True, text=True)

    def peak_memory(self) -> int:
        """The most memory that the process itself has used, in bytes: anonymous and of files."""
        return int(self.status("VmHWM")[0]) * 1024


def possible(folder_of) -> tuple[list, list[str]]:
    """What runs on this machine, and why not the rest. `folder_of` makes a folder with a name."""
    roots, reasons = [], []
    for runtime in ("crun", "runc"):
        if not shutil.which("podman") or not shutil.which(runtime):
            reasons.append(f"no container with {runtime}: podman or {runtime} is not installed")
            continue
        folder = folder_of(runtime)
        try:
            roots.append(Containers(folder, runtime))
            break
        except AssertionError as error:
            reasons.append(f"no container with {runtime}: {str(error).strip().splitlines()[-1]}")
            shutil.rmtree(folder, ignore_errors=True)
    try:
        roots.append(Chroots(folder_of("chroot")))
    except AssertionError as error:
        reasons.append(f"no chroot: {error}")
    return roots, reasons


def key_environment() -> dict[str, str]:
    """The variables of a server with one key, on a free port of loopback."""
    return {"PETSTREAM_API_KEY": KEY, "PETSTREAM_LISTEN": ANY_PORT, "PETSTREAM_CONFIG": "/etc/petstream/petstream.yaml"}

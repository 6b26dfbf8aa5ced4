"""Runs the units in deploy/systemd under a systemd of their own: see boot-systemd."""

import os
import signal
import subprocess
from pathlib import Path

from petstream import BINARY, KEY, REPOSITORY, TIMEOUT, eventually
from roots import descendants

UNITS = REPOSITORY / "deploy/systemd"
SCRIPT = Path(__file__).parent / "boot-systemd"
# Variables of systemd's protocols, which a binary that speaks them contains.
PROTOCOLS = (b"NOTIFY_SOCKET", b"LISTEN_FDS")


class NotPossible(Exception):
    """This machine does not let systemd run."""


class Systemd:
    """A systemd with the units of petstream, which are not started yet."""

    def __init__(self, folder: Path):
        binary = BINARY.read_bytes()
        # Whether the binary tells systemd that it is ready, and takes its sockets. Otherwise the rest of the unit runs.
        self.notifies = all(name in binary for name in PROTOCOLS)
        for name in ("units", "memory"):
            (folder / name).mkdir()
        (folder / "environment").write_text(f"PETSTREAM_API_KEY={KEY}\n")
        for unit in UNITS.iterdir():
            text = unit.read_text()
            if not self.notifies:
                text = text.replace("Type=notify\nNotifyAccess=main\n", "Type=exec\n")
                text = text.replace("Requires=petstream.socket\nAfter=petstream.socket\n", "")
            (folder / "units" / unit.name).write_text(text)
        self._group = f"petstream-test-{os.getpid()}"
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [SCRIPT, folder, BINARY, self._group], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            eventually(lambda: self._process.poll() is not None or self._booted(), every=0.1)
            if self._process.poll() is not None:
                raise NotPossible((folder / "log").read_text().strip() or "systemd ended")
        except BaseException:
            self.close()
            raise

    def _booted(self) -> bool:
        """systemd has started"""
        return self._pid() is not None and self.run("systemctl", "is-active", "basic.target").stdout == "active\n"

    def _pid(self) -> int | None:
        for pid in descendants(self._process.pid):
            try:
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/lib/systemd/systemd\0--system"):
                    return pid
            except FileNotFoundError:
                continue
        return None

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Runs a command beside the units."""
        enter = ["nsenter", "--target", str(self._pid()), "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup"]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        return subprocess.run(
            [*enter, "--root", "--wd", "--", *command],
            env=environment, capture_output=True, text=True, timeout=TIMEOUT,
        )

    def ready(self) -> bool:
        """the service is ready"""
        return '"ready"' in self.run("curl", "-sS", "-m", "5", "http://127.0.0.1:4000/readyz").stdout

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()

    def status(self, pid: int) -> dict[str, list[str]]:
        """/proc/PID/status of a process by its number beside the units."""
        lines = self.run("cat", f"/proc/{pid}/status").stdout.splitlines()
        return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}

    def close(self) -> None:
        """Ends systemd and everything under it, and removes its control groups."""
        if pid := self._pid():
            os.kill(pid, signal.SIGKILL)
        try:
            self._process.wait(TIMEOUT)
        finally:
            for tree in Path("/sys/fs/cgroup").rglob(self._group):
                folders = [folder for folder in tree.rglob("*") if folder.is_dir()]
                for folder in [*sorted(folders, key=lambda path: -len(path.parts)), tree]:
                    eventually(lambda folder=folder: removed(folder))


def removed(folder: Path) -> bool:
    """a control group is empty and removed"""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True

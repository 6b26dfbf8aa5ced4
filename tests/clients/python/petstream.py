"""Starts the real binary for tests, with a direct and a proxied route to its model."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

REPOSITORY = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("PETSTREAM_BIN", REPOSITORY / "target/debug/petstream"))
KEY = "sk-test-0123456789abcdef0123456789abcdef"
LISTENING = "listening on "
# Seconds. Far more than needed, so only a hanging server reaches it.
TIMEOUT = 60


class Petstream:
    """A server in its own folder, on a free port.

    `configuration` is the content of its petstream.yaml. The environment is empty except for the key, so that variables
    such as OPENAI_BASE_URL have no effect. `key` is the server's API key; without one it generates its own and prints it.
    `files` are the names and texts of others in the folder. A configuration with `listen` decides where the server
    listens: `url` is the first of its addresses.
    """

    def __init__(self, folder: Path, configuration: dict, key: str | None = KEY, files: dict[str, str] | None = None):
        folder.mkdir(parents=True)
        self.folder = folder
        self.configure(configuration)
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        listen = [] if "listen" in configuration else ["--listen", "127.0.0.1:0"]
        self._tail: deque[str] = deque(maxlen=50)
        self._unexpected: list[str] = []
        self._ready = threading.Event()
        self.printed = folder / "stdout"
        with self.printed.open("w") as stdout:
            self._process = subprocess.Popen(
                [BINARY, *listen, "--log-format", "json", "--print-key"],
                cwd=folder,
                env={"PETSTREAM_API_KEY": key} if key else {},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(TIMEOUT)
        if not hasattr(self, "url"):
            self._process.kill()
            raise AssertionError("petstream did not start:\n" + "".join(self._tail))

    def _read(self) -> None:
        for line in self._process.stderr:
            self._tail.append(line)
            try:
                message = json.loads(line)["message"]
            except (ValueError, KeyError):
                # Not a log record: a panic.
                self._unexpected.append(line)
                continue
            if message.startswith(LISTENING) and not self._ready.is_set():
                self.url = message.removeprefix(LISTENING)
                self._ready.set()
        self._ready.set()

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def configure(self, configuration: dict) -> None:
        """Replaces petstream.yaml."""
        # JSON is valid YAML.
        (self.folder / "petstream.yaml").write_text(json.dumps(configuration))

    def reload(self) -> None:
        """`petstream reload`, which must report nothing."""
        done = subprocess.run(
            [BINARY, "reload"], cwd=self.folder, env={}, capture_output=True, text=True, timeout=TIMEOUT
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "OK\n", "")

    def requests(self, path: str) -> list[dict]:
        """The lines of the log about requests for this path, of the last lines."""
        records = [json.loads(line) for line in list(self._tail) if line.startswith("{")]
        return [record for record in records if record.get("path") == path]

    def pets(self, **query) -> list[dict]:
        """The pets of the inventory that match the query, at most 100."""
        url = f"{self.url}/api/pets?{urlencode({'limit': 100} | query)}"
        request = Request(url, headers={"Authorization": f"Bearer {KEY}"})
        with urlopen(request, timeout=TIMEOUT) as response:
            return json.load(response)["data"]

    def stop(self) -> None:
        """Stops the server by SIGTERM. Fails if it panicked, does not end, or ends with an error."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError("petstream did not end:\n" + "".join(self._tail)) from None
        finally:
            self._reader.join(TIMEOUT)
            self._process.stderr.close()
        assert not self._unexpected, "".join(self._unexpected)
        assert status == 0, f"exit status {status}:\n" + "".join(self._tail)


@dataclass(frozen=True)
class Route:
    """A route to the local model: its own server, or a second petstream in front of it."""

    name: str
    server: Petstream
    model: str
    # The server that generates the answers and has the pets.
    origin: Petstream

    @property
    def base_url(self) -> str:
        return self.server.base_url


def eventually(attempt, every=0.05):
    """Repeats `attempt` every `every` seconds until its result is truthy, and returns it."""
    deadline = time.monotonic() + TIMEOUT
    while not (result := attempt()):
        assert time.monotonic() < deadline, f"{attempt.__doc__ or attempt.__name__}: not in {TIMEOUT} s"
        time.sleep(every)
    return result

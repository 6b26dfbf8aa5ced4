"""The real binary, started for a test, and the two ways to a model of it."""

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
# Seconds. Far more than it takes: only a server that hangs gets here.
PATIENCE = 60


class Petstream:
    """A server in a folder of its own, on a free port.

    `configuration` is the text of its petstream.yaml. Of our environment it sees nothing, so that an OPENAI_BASE_URL of
    the person who runs the tests changes nothing. `key` is the one that it takes; without one it makes its own.
    """

    def __init__(self, folder: Path, configuration: dict, key: str | None = KEY):
        folder.mkdir(parents=True)
        # JSON is YAML.
        (folder / "petstream.yaml").write_text(json.dumps(configuration))
        self._tail: deque[str] = deque(maxlen=50)
        self._strange: list[str] = []
        self._ready = threading.Event()
        self.printed = folder / "stdout"
        with self.printed.open("w") as stdout:
            self._process = subprocess.Popen(
                [BINARY, "--listen", "127.0.0.1:0", "--log-format", "json"],
                cwd=folder,
                env={"PETSTREAM_API_KEY": key} if key else {},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(PATIENCE)
        if not hasattr(self, "url"):
            self._process.kill()
            raise AssertionError("petstream did not start:\n" + "".join(self._tail))

    def _read(self) -> None:
        for line in self._process.stderr:
            self._tail.append(line)
            try:
                message = json.loads(line)["message"]
            except (ValueError, KeyError):
                # Not a line of the log: a panic.
                self._strange.append(line)
                continue
            if message.startswith(LISTENING):
                self.url = message.removeprefix(LISTENING)
                self._ready.set()
        self._ready.set()

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def pets(self, **query) -> list[dict]:
        """The pets of the inventory that match, at most 100."""
        url = f"{self.url}/api/pets?{urlencode({'limit': 100} | query)}"
        request = Request(url, headers={"Authorization": f"Bearer {KEY}"})
        with urlopen(request, timeout=PATIENCE) as response:
            return json.load(response)["data"]

    def stop(self) -> None:
        """Ends the server as an operator would, and complains if it panicked or does not end."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError("petstream did not end:\n" + "".join(self._tail)) from None
        finally:
            self._reader.join(PATIENCE)
            self._process.stderr.close()
        assert not self._strange, "".join(self._strange)
        assert status == 0, f"exit status {status}:\n" + "".join(self._tail)


@dataclass(frozen=True)
class Route:
    """A way to the local model: asked at its own server, or at a second petstream in front of it."""

    name: str
    server: Petstream
    model: str
    # The server that generates the answer, with its pets.
    origin: Petstream

    @property
    def base_url(self) -> str:
        return self.server.base_url


def eventually(attempt, every=0.05):
    """The first true result of `attempt`, which is repeated until it has one, with `every` seconds in between."""
    deadline = time.monotonic() + PATIENCE
    while not (result := attempt()):
        assert time.monotonic() < deadline, f"{attempt.__doc__ or attempt.__name__}: not in {PATIENCE} s"
        time.sleep(every)
    return result

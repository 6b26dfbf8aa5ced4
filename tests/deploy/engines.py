"""Postgres, Redis and nginx as Debian packages them, on free ports of loopback, as a user without privileges."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import podman_compose
import yaml

from petstream import REPOSITORY, TIMEOUT, eventually

# Of Postgres and Redis. In URLs, so letters and digits only.
PASSWORD = "3f9c0d5b7a1e4862"
_ADMIN_PATHS = os.pathsep.join(["/usr/sbin", "/usr/local/sbin"])


def replica_services() -> dict:
    """The services of deploy/compose.replicas.yaml, with its variables replaced as podman-compose does it."""
    parsed = yaml.safe_load((REPOSITORY / "deploy/compose.replicas.yaml").read_text())
    return podman_compose.rec_subs(parsed, {"POSTGRES_PASSWORD": PASSWORD, "REDIS_PASSWORD": PASSWORD})["services"]


class Port:
    """A port of loopback that stays reserved until it is closed, also while its server does not run."""

    def __init__(self):
        # Servers set the same option, and so may bind the port beside a socket that does not listen.
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()


def program(name: str) -> str:
    """A program, also outside of the path of users. PostgreSQL's are in a folder for each version."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    places = os.pathsep.join([os.environ["PATH"], _ADMIN_PATHS, *map(str, newest_first)])
    found = shutil.which(name, path=places)
    assert found, f"{name} is not installed"
    return found


class Engine:
    """A server with a folder of its own, which belongs to its user and is removed in the end."""

    def __init__(self):
        self._port = Port()
        self.port = self._port.number
        # Postgres refuses to run as root.
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="petstream-engine-"))
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._process: subprocess.Popen | None = None

    def _as_user(self) -> dict:
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}

    def run(self, *command: str, **environment: str) -> str:
        """Runs a program as the user of the server; returns what it has printed."""
        done = subprocess.run(
            command, cwd=self.folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C"} | environment,
            capture_output=True, text=True, timeout=TIMEOUT, **self._as_user(),
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def launch(self, *command: str, **environment: str) -> None:
        """Starts the server; returns when it accepts connections."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C"} | environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_user(),
            )

        def accepts() -> bool:
            assert self._process.poll() is None, self.log.read_text()
            return self._is_ready()

        eventually(accepts)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def _is_ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(with_signal)
            self._process.wait(TIMEOUT)

    def close(self) -> None:
        # nginx would wait for its streams on other signals; Postgres, for its clients.
        self.stop(signal.SIGINT)
        self._port.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Engine):
    """A cluster with the user and the database `petstream`."""

    def __init__(self):
        super().__init__()
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        data = str(self.folder / "data")
        options = ["--no-sync", "--username=petstream", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8"]
        self.run(program("initdb"), *options, "-D", data)
        self._command = [program("postgres"), "-D", data, "-p", str(self.port)]
        self._command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        self.start()
        self.psql("CREATE DATABASE petstream", database="postgres")

    def start(self) -> None:
        self.launch(*self._command)

    def _is_ready(self) -> bool:
        done = subprocess.run([program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)])
        return done.returncode == 0

    def psql(self, sql: str, database: str = "petstream") -> str:
        """The result of a statement as text."""
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "petstream", "-d", database]
        return self.run(program("psql"), "-XAtq", *place, "-c", sql, PGPASSWORD=PASSWORD).strip()

    @property
    def url(self) -> str:
        return f"postgres://petstream:{PASSWORD}@127.0.0.1:{self.port}/petstream"


class Redis(Engine):
    """A server started by the command of its container in deploy/compose.replicas.yaml, on a port of its own."""

    def __init__(self):
        super().__init__()
        command = replica_services()["redis"]["command"]
        lines = f"\nport {self.port}\nbind 127.0.0.1\nappendonly no\n"
        changed = [word.replace("\nappendonly no\n", lines) for word in command]
        assert changed != command, "the command has no line `appendonly no`"
        self._command = changed
        self.start()

    def start(self) -> None:
        self.launch(*self._command, REDIS_PASSWORD=PASSWORD)

    def _is_ready(self) -> bool:
        command = [program("redis-cli"), "-p", str(self.port), "ping"]
        done = subprocess.run(command, env={"REDISCLI_AUTH": PASSWORD}, capture_output=True, text=True)
        return done.stdout == "PONG\n"

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}"


class Nginx(Engine):
    """nginx with a configuration, whose addresses and paths `replacements` changes."""

    def __init__(self, configuration: str, replacements: dict[str, str]):
        super().__init__()
        for old, new in replacements.items():
            assert old in configuration, f"no {old} in the configuration"
            configuration = configuration.replace(old, new.format(port=self.port, folder=self.folder))
        file = self.folder / "nginx.conf"
        file.write_text(configuration)
        file.chmod(0o644)
        arguments = ["-c", str(file), "-p", str(self.folder)]
        self.run(program("nginx"), "-t", "-q", *arguments)
        self.launch(program("nginx"), *arguments, "-g", "daemon off;")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

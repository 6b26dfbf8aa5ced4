"""What petstream talks to in these tests: clients, an upstream that waits for the test, a DNS server."""

import asyncio
import json
import socket
import struct
import threading
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from petstream import KEY, TIMEOUT, eventually

# Chunks of a stream before and after the upstream waits.
BEFORE, AFTER = 5, 5
_open = build_opener(ProxyHandler({})).open


def get(url: str, key: str | None = KEY) -> tuple[int, str]:
    """A GET request; returns status and body."""
    request = Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with _open(request, timeout=TIMEOUT) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def complete(url: str, model: str = "petstore-ai", stream: bool = True) -> str:
    """The body of an answer to a completion."""
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "List all pets"}]})
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with _open(Request(f"{url}/v1/chat/completions", body.encode(), headers), timeout=TIMEOUT) as response:
        return response.read().decode()


def _chunk(content: str | None, finish: str | None = None) -> bytes:
    delta = {} if content is None else {"role": "assistant", "content": content}
    chunk = {
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


class Upstream:
    """Answers each request with a stream that stops in its middle until `release` is called."""

    def __init__(self):
        self.waiting = 0
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            writer.write(b"".join(_chunk(f"before {number} ") for number in range(BEFORE)))
            await writer.drain()
            self.waiting += 1
            await self._released.wait()
            self.waiting -= 1
            writer.write(b"".join(_chunk(f"after {number} ") for number in range(AFTER)))
            writer.write(_chunk(None, "stop") + b"data: [DONE]\n\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def release(self) -> None:
        """Lets all streams go on to their ends."""
        self._loop.call_soon_threadsafe(self._released.set)

    def hold(self) -> None:
        """Lets later streams wait again."""
        self._loop.call_soon_threadsafe(self._released.clear)

    def close(self) -> None:
        async def end() -> None:
            self._released.set()
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait(tasks, timeout=TIMEOUT) if tasks else None

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()


class Streams:
    """Clients that read streams at the same time, in a thread of their own."""

    def __init__(self, url: str, count: int, model: str = "m"):
        self._url, self._count, self._model = urlsplit(url), count, model
        self.begun = 0
        self.bodies: list[str] = []
        self.errors: list[Exception] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)
        self._thread.start()

    async def _all(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(self._count)))

    async def _one(self) -> None:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
            messages = [{"role": "user", "content": "hello"}]
            body = json.dumps({"model": self._model, "stream": True, "messages": messages}).encode()
            writer.write(
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: petstream\r\nauthorization: Bearer {KEY}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            )
            writer.write(body)
            received = await reader.readuntil(f"before {BEFORE - 1} ".encode())
            self.begun += 1
            received += await reader.read(-1)
            self.bodies.append(received.decode())
        except Exception as error:  # noqa: BLE001 - reported by `end`
            self.errors.append(error)
        finally:
            if writer:
                writer.close()

    def wait_begun(self) -> None:
        """Waits until each has got what is before the wait of the upstream."""

        def all_begun() -> bool:
            assert not self.errors, self.errors[0]
            return self.begun == self._count

        eventually(all_begun)

    def end(self) -> list[str]:
        """Waits for the ends of all; returns what each has received."""
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "streams without end"
        assert not self.errors, self.errors[0]
        return self.bodies


@contextmanager
def dns_server(address: str, name: str, answer: str):
    """Answers questions for the A record of one name, on port 53; all others do not exist. Yields the questions."""
    questions: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        stopping = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not stopping.is_set():
                try:
                    query, client = server.recvfrom(512)
                except TimeoutError:
                    continue
                server.sendto(_answer(query, name, answer, questions), client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield questions
        finally:
            stopping.set()
            thread.join(TIMEOUT)


def _answer(query: bytes, name: str, answer: str, questions: list[str]) -> bytes:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    question, kind = query[12 : at + 5], struct.unpack(">H", query[at + 1 : at + 3])[0]
    asked = ".".join(labels)
    questions.append(asked)
    known, address_wanted = asked == name, kind == 1
    code = 0 if known else 3
    head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, int(known and address_wanted), 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(answer)
    return head + question + record * int(known and address_wanted)

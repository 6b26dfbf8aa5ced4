"""Embeddings and completions through the Python SDK, in front of a small upstream."""

import base64
import json
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest

VECTOR = [0.5, -1.25, 3.0]


class Upstream(BaseHTTPRequestHandler):
    """Answers as OpenAI does: embeddings in the encoding that was asked for, completions of two words."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/embeddings":
            inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
            vector = VECTOR
            if request.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
            data = [{"object": "embedding", "index": at, "embedding": vector} for at, _ in enumerate(inputs)]
            usage = {"prompt_tokens": 2 * len(inputs), "total_tokens": 2 * len(inputs)}
            return self.send({"object": "list", "data": data, "model": "e-2026", "usage": usage})
        assert self.path == "/v1/completions", self.path
        if not request.get("stream"):
            return self.send(chunk("hello world", "stop") | {"usage": USAGE})
        frames = [chunk("hello", None), chunk(" world", None), chunk("", "stop")]
        if request.get("stream_options", {}).get("include_usage"):
            frames.append(chunk("", None) | {"choices": [], "usage": USAGE})
        events = [f"data: {json.dumps(frame)}\n\n" for frame in frames] + ["data: [DONE]\n\n"]
        self.send("".join(events), "text/event-stream")

    def send(self, body, kind="application/json"):
        body = body if isinstance(body, str) else json.dumps(body)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chunk(text, finish_reason):
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "up", "choices": [choice]}


@pytest.fixture(scope="module")
def server(servers):
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=upstream.serve_forever)
    thread.start()
    entry = {"base_url": f"http://127.0.0.1:{upstream.server_port}/v1", "apis": ["completions", "embeddings"]}
    yield servers({"models": [{"name": "m", "upstreams": [entry]}]})
    upstream.shutdown()
    thread.join()
    upstream.server_close()


@pytest.fixture
def client(server, connect):
    return connect(server)


@pytest.mark.parametrize("encoding", ["float", "base64", openai.NOT_GIVEN])
def test_embeddings_of_several_inputs(client, encoding):
    answer = client.embeddings.create(model="m", input=["cats", "dogs"], encoding_format=encoding)
    expected = base64.b64encode(struct.pack("<3f", *VECTOR)).decode() if encoding == "base64" else VECTOR
    assert [one.embedding for one in answer.data] == [expected, expected]
    assert (answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens) == ("e-2026", 4, 4)


def test_embeddings_of_tokens(client):
    assert len(client.embeddings.create(model="m", input=[1, 2, 3]).data) == 3
    assert len(client.embeddings.create(model="m", input=[[1, 2], [3]]).data) == 2


def test_a_whole_completion(client):
    answer = client.completions.create(model="m", prompt="Say hello.")
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("hello world", "stop")
    assert answer.usage.total_tokens == 5


@pytest.mark.parametrize("usage", [False, True])
def test_a_streamed_completion(client, usage):
    options = {"stream_options": {"include_usage": True}} if usage else {}
    chunks = list(client.completions.create(model="m", prompt="Say hello.", stream=True, **options))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "hello world"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([5] if usage else [])


def test_a_model_that_does_not_serve_the_operation(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="petstore-ai", input="dogs")
    assert (caught.value.code, caught.value.param) == ("unsupported_api", "model")
    assert "`m`" in caught.value.message


def test_models_tell_what_they_serve(client):
    assert {model.id: model.apis for model in client.models.list()} == {
        "petstore-ai": ["chat", "responses", "messages"],
        "m": ["completions", "embeddings"],
    }

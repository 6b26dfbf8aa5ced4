"""Requests by curl: every byte of a stream, the defaults of `curl -d`, and the line that the first start prints."""

import json
import re
import subprocess

import pytest

from petstream import KEY, TIMEOUT, eventually

AUTHORIZATION = f"Authorization: Bearer {KEY}"
QUESTION = {"messages": [{"role": "user", "content": "What can you do?"}]}


def compact(value) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("include_usage", [False, True])
def test_every_byte_of_a_stream(curl, route, include_usage):
    ask = QUESTION | {"model": route.model, "stream": True, "n": 2}
    if include_usage:
        ask["stream_options"] = {"include_usage": True}
    url = f"{route.base_url}/chat/completions"
    status, headers, body = curl(url, "-H", AUTHORIZATION, "-H", "Content-Type: application/json", body=ask)
    assert status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert re.fullmatch("req_[0-9a-f]{32}", headers["x-request-id"])

    # The exact frames for these contents. Random ids and times are taken from the first one.
    frames = [json.loads(frame.removeprefix("data: ")) for frame in body.decode().split("\n\n")[:-2]]
    first = frames[0]
    fixed = {
        "id": first["id"],
        "object": "chat.completion.chunk",
        "created": first["created"],
        "model": "petstore-ai",
        "service_tier": "default",
        "system_fingerprint": first["system_fingerprint"],
    }
    contents = [[f["choices"][0]["delta"]["content"] for f in frames if of_choice(f, i)] for i in (0, 1)]
    usage = {"usage": None} if include_usage else {}

    def chunk(index: int, delta: dict, reason: str | None = None) -> dict:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return fixed | {"choices": [choice]} | usage

    expected = [chunk(index, {"role": "assistant", "content": "", "refusal": None}) for index in (0, 1)]
    for pieces in zip(*contents, strict=True):
        expected += [chunk(index, {"content": piece}) for index, piece in enumerate(pieces)]
    expected += [chunk(index, {}, "stop") for index in (0, 1)]
    if include_usage:
        expected.append(fixed | {"choices": [], "usage": frames[-1]["usage"]})
    assert body.decode() == "".join(f"data: {compact(frame)}\n\n" for frame in expected) + "data: [DONE]\n\n"
    assert len(contents[0]) > 10


def of_choice(frame: dict, index: int) -> bool:
    """Whether the frame has text of this choice."""
    return any(c["index"] == index and list(c["delta"]) == ["content"] for c in frame["choices"])


def test_a_stream_arrives_while_it_is_generated(routes, route_name):
    route = routes(route_name, responder={"tokens_per_second": 5})
    ask = QUESTION | {"model": route.model, "stream": True}
    command = ["curl", "-q", "-sS", "-N", f"{route.base_url}/chat/completions", "-H", AUTHORIZATION, "-d", compact(ask)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        # Dozens of tokens at five per second: enough time to see that curl is still running.
        assert b'"role":"assistant"' in curl.stdout.readline()
        assert curl.poll() is None
        assert curl.stdout.readline() == b"\n"
        assert b'"delta":{"content":"' in curl.stdout.readline()
        assert curl.poll() is None
        curl.kill()


def test_a_killed_curl_frees_its_stream(routes, route_name, curl):
    limits = {"per_key": {"concurrent_streams": 1}}
    route = routes(route_name, limits=limits, responder={"tokens_per_second": 2})
    url = f"{route.base_url}/chat/completions"
    ask = QUESTION | {"model": route.model, "stream": True, "max_tokens": 1}
    long = compact(ask | {"max_tokens": 1000})
    command = ["curl", "-q", "-sS", "-N", url, "-H", AUTHORIZATION, "-d", long]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as endless:
        assert endless.stdout.readline().startswith(b"data: {")
        status, _, body = curl(url, "-H", AUTHORIZATION, body=ask)
        assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit_exceeded")
        endless.kill()
    eventually(lambda: curl(url, "-H", AUTHORIZATION, body=ask)[0] == 200)


def test_curl_without_a_content_type(curl, route):
    """`curl -d` sends the content type of a form."""
    url = f"{route.base_url}/chat/completions"
    status, headers, body = curl(url, "-H", AUTHORIZATION, body=QUESTION | {"model": route.model})
    assert (status, headers["content-type"]) == (200, "application/json")
    answer = json.loads(body)
    keys = ["id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"]
    assert list(answer) == keys
    assert list(answer["choices"][0]) == ["index", "message", "logprobs", "finish_reason"]
    assert list(answer["usage"]) == [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    ]


def error(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    return compact({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()


def test_the_body_of_a_401(curl, route):
    url = f"{route.base_url}/chat/completions"
    status, headers, body = curl(url, body=QUESTION | {"model": route.model})
    assert (status, headers["content-type"], headers["www-authenticate"]) == (401, "application/json", "bearer")
    message = (
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY)."
    )
    assert body == error(message, "invalid_request_error", None, None)

    status, _, body = curl(url, "-H", "Authorization: Bearer sk-0123456789abcdefghij", body=QUESTION)
    assert status == 401
    told = json.loads(body)["error"]
    assert re.fullmatch(r"Incorrect API key provided: sk-\S*\*+\S{0,4}\.", told["message"])
    assert "0123456789" not in told["message"]
    assert (told["type"], told["param"], told["code"]) == ("invalid_request_error", None, "invalid_api_key")


def test_bodies_that_are_not_requests(curl, route):
    url = f"{route.base_url}/chat/completions"
    for data in ("", "{", "[]", '"hello"', "model=petstore-ai"):
        status, _, body = curl(url, "-H", AUTHORIZATION, "--data-binary", data)
        told = json.loads(body)["error"]
        assert (status, told["type"], told["code"]) == (400, "invalid_request_error", None), data
        assert told["message"].startswith("We could not parse the JSON body of your request."), data
    status, _, body = curl(url, "-H", AUTHORIZATION, body=QUESTION)
    assert status == 400
    assert body == error("you must provide a model parameter", "invalid_request_error", None, None)


def test_paths_and_methods_that_do_not_exist(curl, route):
    status, headers, body = curl(f"{route.base_url}/nothing", "-H", AUTHORIZATION, body={})
    assert status == 404
    assert body == error("Invalid URL (POST /v1/nothing)", "invalid_request_error", None, None)
    assert headers["x-request-id"].startswith("req_")

    status, headers, body = curl(f"{route.base_url}/chat/completions", "-H", AUTHORIZATION)
    assert (status, headers["allow"]) == (405, "post")
    assert json.loads(body)["error"]["code"] == "method_not_supported"


def test_health_endpoints_need_no_key(curl, route):
    for probe in ("healthz", "readyz"):
        assert curl(f"{route.server.url}/{probe}")[0] == 200


def test_the_command_that_the_first_start_prints_works(servers):
    server = servers({}, key=None)
    # Printed after the address is logged to stderr.
    (line,) = eventually(lambda: re.findall(r"^ *(curl .*)\n", server.printed.read_text(), re.MULTILINE))
    (key,) = set(re.findall(r"sk-petstream-[0-9a-f]{64}", server.printed.read_text()))
    assert f"Bearer {key}" in line
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('data: {"id":"chatcmpl-') and done.stdout.endswith("\n\ndata: [DONE]\n\n")
    assert '"finish_reason":"stop"' in done.stdout

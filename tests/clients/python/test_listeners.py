"""curl and the SDK over TLS, with client certificates, over unix sockets, and behind the PROXY protocol."""

import json
import socket
import ssl
import subprocess
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import openai
import pytest

from petstream import KEY, TIMEOUT, eventually

AUTHORIZATION = f"Authorization: Bearer {KEY}"
QUESTION = {"model": "petstore-ai", "messages": [{"role": "user", "content": "What can you do?"}]}
STREAM = QUESTION | {"stream": True}
END = b"\n\ndata: [DONE]\n\n"
TLS = {"cert": "server.pem", "key": "server.key"}


@pytest.fixture
def serve_tls(servers, authority):
    """Starts a server with a certificate for 127.0.0.1."""

    def serve(configuration: dict | None = None, tls: dict | None = None):
        own = authority.issue("127.0.0.1", "localhost")
        files = {"server.pem": own.cert_pem, "server.key": own.key_pem, "ca.pem": authority.pem}
        return servers({"tls": TLS | (tls or {})} | (configuration or {}), files=files)

    return serve


def identity(authority, folder, *names: str) -> list[str]:
    """The arguments of curl for a client certificate with these names."""
    cert, key = authority.issue(*names).write(folder, "client")
    return ["--cert", str(cert), "--key", str(key)]


def text_of(stream: bytes) -> str:
    """The text of a stream, which must end with [DONE]."""
    assert stream.endswith(END), stream[-200:]
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in stream.decode().split("\n\n")[:-2]]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


def test_curl_over_tls(serve_tls, curl):
    server = serve_tls()
    assert server.url.startswith("https://127.0.0.1:")
    url = f"{server.base_url}/chat/completions"
    trusted = ["--cacert", str(server.folder / "ca.pem"), "-H", AUTHORIZATION]
    for version in (["--tlsv1.3"], ["--tlsv1.2", "--tls-max", "1.2"]):
        status, headers, body = curl(url, *trusted, *version, body=STREAM)
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert len(text_of(body)) > 100
    # The cookie with which browsers reconnect.
    _, headers, _ = curl(f"{server.url}/api/events/sessions", *trusted, "-X", "POST")
    assert headers["set-cookie"].endswith("; secure")
    # curl's exit status 60: the certificate is of no authority that it knows.
    with pytest.raises(AssertionError, match=r"\(60\)"):
        curl(url, "-H", AUTHORIZATION, body=STREAM)


def test_a_client_certificate_of_curl_stands_for_a_key(serve_tls, authority, curl, tmp_path):
    keys = [{"name": "alice", "certificate": "spiffe://test/alice"}]
    server = serve_tls({"keys": keys}, {"client_ca": "ca.pem", "client_auth": "request"})
    trusted = ["--cacert", str(server.folder / "ca.pem")]
    alice = identity(authority, tmp_path, "alice.example", "spiffe://test/alice")
    status, _, body = curl(f"{server.url}/api/me", *trusted, *alice)
    assert (status, json.loads(body)["key"]) == (200, "alice")
    assert text_of(curl(f"{server.base_url}/chat/completions", *trusted, *alice, body=STREAM)[2])
    stranger = identity(authority, tmp_path, "alice.example", "spiffe://test/mallory")
    assert curl(f"{server.url}/api/me", *trusted, *stranger)[0] == 401
    assert curl(f"{server.url}/api/me", *trusted)[0] == 401
    assert curl(f"{server.url}/api/me", *trusted, "-H", AUTHORIZATION)[0] == 200


def test_curl_without_a_client_certificate_is_refused_where_one_is_required(serve_tls, authority, curl, tmp_path):
    server = serve_tls(tls={"client_ca": "ca.pem"})
    trusted = ["--cacert", str(server.folder / "ca.pem"), "-H", AUTHORIZATION]
    url = f"{server.base_url}/models"
    assert curl(url, *trusted, *identity(authority, tmp_path, "anybody.example"))[0] == 200
    with pytest.raises(AssertionError, match="certificate required"):
        curl(url, *trusted)


def test_curl_over_a_unix_socket(servers, curl):
    server = servers({"listen": "unix:petstream.sock"})
    path = server.folder / "petstream.sock"
    assert server.url == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o600
    over = ["--unix-socket", str(path), "-H", AUTHORIZATION]
    assert text_of(curl("http://localhost/v1/chat/completions", *over, body=STREAM)[2])
    assert curl("http://localhost/readyz", *over[:2])[0] == 200


@pytest.mark.parametrize("tls", [False, True])
def test_curl_with_the_proxy_protocol(serve_tls, curl, tls):
    listen = {"address": "127.0.0.1:0", "proxy_protocol": True, "tls": tls}
    server = serve_tls({"listen": listen})
    trusted = ["--cacert", str(server.folder / "ca.pem"), "-H", AUTHORIZATION]
    announced, client = ["--haproxy-protocol"], "127.0.0.1"
    options = subprocess.run(["curl", "--help", "all"], capture_output=True, text=True, timeout=TIMEOUT).stdout
    # Since curl 8.2.
    if "--haproxy-clientip" in options:
        announced, client = ["--haproxy-clientip", "192.0.2.7"], "192.0.2.7"
    assert text_of(curl(f"{server.base_url}/chat/completions", *trusted, *announced, body=STREAM)[2])
    (record,) = eventually(lambda: server.requests("/v1/chat/completions"))
    assert record["client"] == client
    # A connection without the header is closed without an answer.
    with pytest.raises(AssertionError, match=r"curl: \((35|52|56)\)"):
        curl(f"{server.base_url}/models", *trusted)


def test_curl_with_the_proxy_protocol_over_a_unix_socket(servers, curl):
    """curl sends `PROXY UNKNOWN`."""
    server = servers({"listen": {"address": "unix:petstream.sock", "proxy_protocol": True}})
    over = ["--unix-socket", str(server.folder / "petstream.sock"), "--haproxy-protocol", "-H", AUTHORIZATION]
    assert text_of(curl("http://localhost/v1/chat/completions", *over, body=STREAM)[2])


def stream_of(client: openai.OpenAI, **options) -> str:
    chunks = list(client.chat.completions.create(**STREAM, **options))
    assert chunks[-1].choices[0].finish_reason == "stop"
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_the_sdk_over_tls(serve_tls, connect):
    server = serve_tls()
    context = ssl.create_default_context(cafile=server.folder / "ca.pem")
    client = connect(server, http_client=openai.DefaultHttpxClient(verify=context))
    assert len(stream_of(client)) > 100
    with pytest.raises(openai.APIConnectionError):
        stream_of(connect(server))


def test_the_sdk_with_a_client_certificate_and_no_key(serve_tls, authority, connect, tmp_path):
    """A key in the request takes the place of the certificate, so the SDK must send none."""
    keys = [{"name": "alice", "certificate": "alice.example"}]
    server = serve_tls({"keys": keys}, {"client_ca": "ca.pem"})
    context = ssl.create_default_context(cafile=server.folder / "ca.pem")
    context.load_cert_chain(*authority.issue("alice.example").write(tmp_path, "client"))
    client = connect(server, http_client=openai.DefaultHttpxClient(verify=context))
    assert len(stream_of(client, extra_headers={"Authorization": openai.Omit()})) > 100


def test_the_sdk_over_a_unix_socket(servers, connect):
    server = servers({"listen": "unix:petstream.sock"})
    transport = httpx2.HTTPTransport(uds=str(server.folder / "petstream.sock"))
    http_client = openai.DefaultHttpxClient(transport=transport)
    client = connect(server, base_url="http://localhost/v1", http_client=http_client)
    assert len(stream_of(client)) > 100


def presented(server) -> bytes:
    """The certificate that the server presents to a new connection."""
    context = ssl.create_default_context(cafile=server.folder / "ca.pem")
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), TIMEOUT) as tcp:
        with context.wrap_socket(tcp, server_hostname=address.hostname) as tls:
            return tls.getpeercert(binary_form=True)


def test_fifty_certificates_and_reloads_cut_no_stream(serve_tls, authority, tmp_path):
    # A stream takes four times as long as all reloads on two slow cores: about 15 s.
    configuration = {"responder": {"tokens_per_second": 50}}
    server = serve_tls(configuration)
    ask = json.dumps(STREAM | {"messages": [{"role": "user", "content": "List all available pets"}]})
    url = f"{server.base_url}/chat/completions"
    cacert = str(server.folder / "ca.pem")
    command = ["curl", "-q", "-sS", "-N", "--cacert", cacert, url, "-H", AUTHORIZATION, "-d", ask]
    with ExitStack() as stack:
        files = [stack.enter_context((tmp_path / f"stream-{number}").open("w+b")) for number in range(20)]
        curls = [stack.enter_context(subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE)) for file in files]
        for curl in curls:
            stack.callback(curl.kill)
        eventually(lambda: all(file.seek(0, 2) > 0 for file in files))
        for number in range(50):
            renewed = authority.issue("127.0.0.1")
            renewed.write(server.folder, "server")
            server.configure({"tls": TLS} | configuration | {"heartbeat": f"{10 + number % 2}s"})
            server.reload()
            assert presented(server) == renewed.der
        assert all(curl.poll() is None for curl in curls), "the streams were to last longer than the reloads"
        for curl in curls:
            assert curl.wait(TIMEOUT) == 0, curl.stderr.read()
        texts = set()
        for file in files:
            file.seek(0)
            texts.add(text_of(file.read()))
        assert len(texts) == 1 and len(texts.pop()) > 1000

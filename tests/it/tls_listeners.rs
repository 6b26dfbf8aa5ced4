//! TLS for clients: certificates that are replaced while streams run, certificates of clients as API keys.

use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use test_support::config::one_model;
use test_support::frames;
use test_support::tls::{Authority, Issued};
use test_support::upstream::{Gate, Script, Upstream};
use test_support::{becomes, soon};

use crate::listeners::{exchange, get};
use crate::server::Server;

const LISTEN: &str = "listen: 127.0.0.1:0\n";
const TLS: &str = "tls: {cert: server.pem, key: server.key}\n";

async fn connect(server: &Server, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(server.address).await.unwrap();
    connector.connect(ServerName::try_from("127.0.0.1").unwrap(), tcp).await
}

fn files<'a>(server: &'a Issued, authority: &'a str) -> [(&'static str, &'a str); 3] {
    [("server.pem", &server.cert), ("server.key", &server.key), ("clients.pem", authority)]
}

/// The certificate that the server presents.
fn presented(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn der(issued: &Issued) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap().to_vec()
}

/// The certificate that the server presents on a new connection.
async fn presents(server: &Server, connector: &TlsConnector) -> Vec<u8> {
    presented(&connect(server, connector).await.unwrap())
}

#[tokio::test]
async fn a_replaced_certificate_is_used_for_new_connections_and_cuts_no_stream() {
    let authority = Authority::new();
    let [first, second] = [(); 2].map(|()| authority.issue(&["127.0.0.1"]));
    let gate = Gate::new();
    let begun = Script::stream().frame(&frames::first()).frame(&frames::text("a"));
    let rest = Script::new().frame(&frames::text("b")).frame(&frames::last("stop")).frame("[DONE]").end();
    let upstream = Upstream::start([begun.wait(&gate).then(rest)]).await;
    let yaml = format!("{LISTEN}{TLS}{}", one_model(&upstream, ""));
    let server = Server::start_listening(&yaml, &files(&first, "")).await;
    assert!(server.addresses()[0].to_string().starts_with("https://127.0.0.1:"));
    let connector = authority.connector(None);

    let mut stream = connect(&server, &connector).await.unwrap();
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut begun = [0; 4096];
    let count = soon("the first token", stream.read(&mut begun)).await.unwrap();
    assert!(begun[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));

    // The key first: for a moment they don't belong together.
    server.replace_file("server.key", &second.key);
    server.replace_file("server.pem", &second.cert);
    becomes(&der(&second), || presents(&server, &connector)).await;

    gate.open();
    let mut rest = String::new();
    soon("the end of the stream", stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.contains("data: [DONE]"), "{rest}");
}

#[tokio::test]
async fn a_name_in_a_clients_certificate_stands_for_its_key() {
    let authority = Authority::new();
    let pem = authority.pem();
    let own = authority.issue(&["127.0.0.1"]);
    let yaml = format!(
        "{LISTEN}tls: {{cert: server.pem, key: server.key, client_ca: clients.pem, client_auth: request}}\n\
         keys: [{{name: alice, certificate: 'spiffe://test/alice'}}, {{name: bob, key: secret-of-bob}}, \
         {{name: carol, certificate: Carol.example}}, {{name: dave, certificate: 'urn:Test:dave'}}]\n"
    );
    let server = Server::start_listening(&yaml, &files(&own, &pem)).await;
    let alice = authority.issue(&["other.example", "spiffe://test/alice"]);
    let stranger = authority.issue(&["spiffe://test/mallory"]);
    let [carol, dave, false_carol] =
        ["carol.example", "urn:Test:dave", "uri:carol.example"].map(|name| authority.issue(&[name]));
    let from_page = |header: &str| -> Vec<u8> {
        format!("GET /api/me HTTP/1.1\r\nhost: localhost\r\n{header}\r\nconnection: close\r\n\r\n").into()
    };
    let without = "GET /api/me HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".as_bytes().to_vec();
    let cases = [
        (Some(&alice), without.clone(), " 200 ", "alice"),
        // A key in the request takes the place of the certificate.
        (Some(&alice), get("/api/me", "secret-of-bob"), " 200 ", "bob"),
        (Some(&alice), get("/api/me", "wrong"), " 401 ", ""),
        (Some(&stranger), without.clone(), " 401 ", ""),
        (Some(&carol), without.clone(), " 200 ", "carol"),
        (Some(&dave), without.clone(), " 200 ", "dave"),
        // A URI of the same text as a DNS name is another name.
        (Some(&false_carol), without.clone(), " 401 ", ""),
        // A browser adds the certificate to requests of other sites' pages too.
        (Some(&alice), from_page("sec-fetch-site: cross-site"), " 401 ", ""),
        (Some(&alice), from_page("origin: https://other.example"), " 401 ", ""),
        (Some(&alice), from_page("origin: https://localhost\r\nsec-fetch-site: same-origin"), " 200 ", "alice"),
        (None, without, " 401 ", ""),
        (None, get("/api/me", "secret-of-bob"), " 200 ", "bob"),
    ];
    for (number, (identity, request, status, name)) in cases.into_iter().enumerate() {
        let stream = connect(&server, &authority.connector(identity)).await.unwrap();
        let answer = exchange(stream, &request).await;
        assert!(answer.contains(status) && answer.contains(name), "case {number}: {answer}");
    }
    // Of another authority: refused in the handshake, which TLS 1.3 reports at the first read.
    let other = Authority::new().issue(&["spiffe://test/alice"]);
    let stream = connect(&server, &authority.connector(Some(&other))).await.unwrap();
    assert_eq!(exchange(stream, &get("/api/me", "secret-of-bob")).await, "");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_one_is_required() {
    let authority = Authority::new();
    let own = authority.issue(&["127.0.0.1"]);
    let yaml = format!("{LISTEN}tls: {{cert: server.pem, key: server.key, client_ca: clients.pem}}\nauth: none\n");
    let server = Server::start_listening(&yaml, &files(&own, &authority.pem())).await;
    let identity = authority.issue(&["client.example"]);
    let stream = connect(&server, &authority.connector(Some(&identity))).await.unwrap();
    assert!(exchange(stream, &get("/v1/models", "x")).await.starts_with("HTTP/1.1 200 "));
    let stream = connect(&server, &authority.connector(None)).await.unwrap();
    assert_eq!(exchange(stream, &get("/v1/models", "x")).await, "");
    // Plain text is not answered either.
    let plain = TcpStream::connect(server.address).await.unwrap();
    assert!(!exchange(plain, &get("/v1/models", "x")).await.starts_with("HTTP/"));
}

#[tokio::test]
async fn a_connection_that_does_not_begin_in_time_is_closed_without_an_answer() {
    let authority = Authority::new();
    let own = authority.issue(&["127.0.0.1"]);
    let yaml = "listen: {address: 127.0.0.1:0, proxy_protocol: true}\nauth: none\nlimits: {header_read: 1s}\n";
    let server = Server::start_listening(&format!("{yaml}{TLS}"), &files(&own, "")).await;
    let begins = [b"".as_slice(), b"PROXY TCP4 ", b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN\r\n\x16\x03\x01\x02\x00"];
    let closed = begins.map(async |sent| {
        let begin = Instant::now();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        // Bytes of a handshake that the server has not read make the end a reset.
        let _ = soon("the server to close the connection", stream.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"", "{sent:?}");
        assert!(begin.elapsed() >= Duration::from_secs(1), "{sent:?}: {:?}", begin.elapsed());
    });
    futures_util::future::join_all(closed).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_over_tls_is_cut_although_tokens_still_fit_into_a_record() {
    let authority = Authority::new();
    let own = authority.issue(&["127.0.0.1"]);
    let gate = Gate::new();
    // More than the sockets hold, and then a token now and again.
    let filling = frames::text(&"x".repeat(60_000));
    let full = (0..200).fold(Script::stream().frame(&frames::first()), |script, _| script.frame(&filling));
    let upstream = Upstream::start([full.wait(&gate)]).await;
    let yaml = format!("{LISTEN}{TLS}limits: {{write_idle: 1s}}\nheartbeat: 1s\n{}", one_model(&upstream, ""));
    let server = Server::start_listening(&yaml, &files(&own, "")).await;
    let mut stream = connect(&server, &authority.connector(None)).await.unwrap();
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    upstream.request(1).await;
    // Nothing is read: the server gives up, and with it the upstream.
    soon("the upstream's connection to be closed", upstream.await_closed()).await;
}

//! The settings of TLS on listeners: `tls`, and the `tls` of an entry of `listen`.

use std::path::PathBuf;

use super::value::{choice, name};
use super::walk::{Field, Section, Walk, join};

/// Longest PEM file, bytes.
const MAX_PEM_LEN: u64 = 1 << 20;

/// The files of a listener's certificate. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those of the intermediate authorities.
    pub cert: PemFile,
    /// The private key of the first certificate.
    pub key: PemFile,
    /// Authorities whose certificates clients present; none: clients present no certificate.
    pub client_ca: Option<PemFile>,
    /// Whether clients must present one. Default [`ClientAuth::Require`].
    pub client_auth: ClientAuth,
}

/// A PEM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFile {
    /// Its path.
    pub path: PathBuf,
    /// The path relative to the working folder, for messages.
    pub shown: String,
    /// The setting that names it, such as `tls.cert`.
    pub setting: String,
}

/// Whether a client must present a certificate where `client_ca` is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// A connection without one is refused in the handshake.
    #[default]
    Require,
    /// A client without one needs an API key.
    Request,
}

impl PemFile {
    /// The content.
    ///
    /// # Errors
    /// Why it can't be read, with a remedy.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        use std::io::Read as _;
        let unreadable = |error| format!("can't read {}: {error}; mount the file or correct the path", self.shown);
        let file = std::fs::File::open(&self.path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_PEM_LEN + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_PEM_LEN {
            return Err(format!("{} is longer than 1 MiB; is it the right file?", self.shown));
        }
        Ok(bytes)
    }
}

/// Reads a mapping of TLS settings. Whether the files fit together is checked when they are used.
pub(super) fn tls_files(walk: &mut Walk, field: Field) -> Option<TlsFiles> {
    const CLIENT_AUTH: &[(&str, ClientAuth)] = &[("require", ClientAuth::Require), ("request", ClientAuth::Request)];
    let (path, line) = (field.path.clone(), field.node.line);
    let mut section = walk.section(&path, Some(field));
    let errors = walk.errors.len();
    let cert = pem_file(walk, &mut section, "cert", "CERTIFICATE");
    let key = pem_file(walk, &mut section, "key", "PRIVATE KEY");
    if section.is_open() && walk.errors.len() == errors {
        for (key, is_set) in [("cert", cert.is_some()), ("key", key.is_some())] {
            if !is_set {
                walk.error(&join(&path, key), line, "missing; write the path of a PEM file");
            }
        }
    }
    let client_ca = pem_file(walk, &mut section, "client_ca", "CERTIFICATE");
    let client_auth = walk.take(&mut section, "client_auth");
    if let Some(field) = &client_auth
        && client_ca.is_none()
    {
        walk.error(&field.path, field.node.line, "it has no effect without client_ca; remove it, or write client_ca");
    }
    let client_auth = client_auth.and_then(|field| walk.check(&field, choice(CLIENT_AUTH))).unwrap_or_default();
    walk.finish(section);
    Some(TlsFiles { cert: cert?, key: key?, client_ca, client_auth })
}

/// Reads the path of a PEM file at `key`, and checks that the file has a part of this kind.
fn pem_file(walk: &mut Walk, section: &mut Section, key: &'static str, kind: &str) -> Option<PemFile> {
    let field = walk.take(section, key)?;
    walk.check(&field, name(4096))?;
    let (path, shown) = walk.resolve(&field.node.value)?;
    let file = PemFile { path, shown, setting: field.path.clone() };
    let marker = format!("{kind}-----");
    let problem = match file.read() {
        Ok(bytes) if memchr::memmem::find(&bytes, marker.as_bytes()).is_some() => return Some(file),
        Ok(_) => format!("{} has no {}; expected a PEM file", file.shown, kind.to_lowercase()),
        Err(problem) => problem,
    };
    walk.error(&field.path, field.node.line, problem);
    None
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Flags, Sources, load};

    const TLS: &str = "tls: {cert: p.pem, key: p.pem}\n";

    /// Loads a file beside a PEM file, with PETSTREAM_LISTEN and `--listen` where they are not empty.
    fn read(file: &str, variable: &str, flag: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        // Only the markers: whether there is a certificate is checked when it is used.
        std::fs::write(folder.path().join("p.pem"), "-----BEGIN CERTIFICATE-----\n-----END PRIVATE KEY-----\n")
            .unwrap();
        std::fs::write(folder.path().join("petstream.yaml"), file).unwrap();
        let listen = (!flag.is_empty()).then(|| flag.to_owned());
        let sources = Sources {
            flags: Flags { listen, ..Flags::default() },
            environment: [("PETSTREAM_LISTEN".to_owned(), variable.to_owned())].into_iter().collect(),
            folder: folder.path().to_owned(),
        };
        load(&sources).unwrap().config
    }

    fn speaks_tls(config: &Config) -> Vec<bool> {
        config.listen.iter().map(|listener| listener.tls.is_some()).collect()
    }

    #[test]
    fn the_certificate_at_the_top_covers_every_tcp_listener_whatever_sets_its_address_and_no_unix_socket() {
        assert_eq!(speaks_tls(&read(TLS, "", "")), [true]);
        assert!(read(TLS, "", "").listen_is_default);
        assert_eq!(speaks_tls(&read("", "", "")), [false]);
        assert_eq!(speaks_tls(&read(TLS, "127.0.0.1:1,unix:p.sock,systemd", "")), [true, false, true]);
        assert_eq!(speaks_tls(&read(TLS, "", "unix:p.sock,127.0.0.1:1")), [false, true]);
        let file = format!("{TLS}listen: [127.0.0.1:1, unix:p.sock, {{address: 127.0.0.1:2, tls: false}}]\n");
        assert_eq!(speaks_tls(&read(&file, "", "")), [true, false, false]);
        // A variable replaces the whole list of the file, with the settings of its entries.
        assert_eq!(speaks_tls(&read(&file, "127.0.0.1:2", "")), [true]);
    }

    #[test]
    fn cookies_are_secure_where_every_tcp_listener_speaks_tls_unless_the_file_says_otherwise() {
        let secure = |file: &str, variable: &str| read(file, variable, "").secure_cookies();
        assert!(secure(TLS, "") && secure(TLS, "127.0.0.1:1,unix:p.sock"));
        // Behind a unix socket there is a proxy, and what that speaks is not known.
        assert!(!secure("", "") && !secure(TLS, "unix:p.sock"));
        assert!(!secure(&format!("{TLS}listen: [127.0.0.1:1, {{address: 127.0.0.1:2, tls: false}}]\n"), ""));
        assert!(!secure(&format!("{TLS}cookies: {{secure: false}}\n"), ""));
        assert!(!secure("cookies:\n  secure:\n", "") && secure("cookies: {secure: true}\n", ""));
    }
}

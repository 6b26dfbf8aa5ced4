//! API keys as data: secrets, their hashes, and scopes. Secrets are never stored, printed or compared, only their
//! SHA-256.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The prefix of every new secret, by which scanners for leaked secrets recognise it.
pub const SECRET_PREFIX: &str = "sk-petstream-";

/// Length of a new secret, bytes.
pub const SECRET_LEN: usize = SECRET_PREFIX.len() + 64;

/// Whether `text` has the form of a secret from [`new_secret`].
#[must_use]
pub fn is_secret(text: &str) -> bool {
    text.len() == SECRET_LEN && text.strip_prefix(SECRET_PREFIX).is_some_and(is_lower_hex)
}

/// Whether `text` is what a secret from [`new_secret`] may begin with, and shorter.
#[must_use]
pub fn may_begin_secret(text: &str) -> bool {
    text.len() < SECRET_LEN
        && (SECRET_PREFIX.starts_with(text) || text.strip_prefix(SECRET_PREFIX).is_some_and(is_lower_hex))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A new secret: [`SECRET_PREFIX`] and 256 random bits in hexadecimal.
///
/// # Errors
/// When the operating system can't provide random bytes.
pub fn new_secret() -> Result<String, getrandom::Error> {
    Ok(format!("{SECRET_PREFIX}{}", new_token()?))
}

/// A new session token: 256 random bits in hexadecimal.
///
/// # Errors
/// When the operating system can't provide random bytes.
pub fn new_token() -> Result<String, getrandom::Error> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits)?;
    Ok(hex::encode(bits))
}

/// The SHA-256 of a secret. Two hashes are compared in constant time, and `Debug` shows no digits.
///
/// ```
/// use petstream::wire::api_key::KeyHash;
///
/// let hash = KeyHash::of("sk-petstream-0123");
/// assert!(KeyHash::from_hex(&hash.to_hex()) == Some(hash));
///
/// let sealed = hash.sealed("a session's token");
/// assert!(KeyHash::unseal(&sealed, "a session's token") == Some(hash));
/// assert!(KeyHash::unseal(&sealed, "another token") != Some(hash));
/// ```
#[derive(Clone, Copy, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of `secret`.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// What stands for the secret of a key that is a client's certificate, by a name in it. No secret has this hash: the
    /// zero byte in front of the name is in none.
    #[must_use]
    pub fn of_certificate(name: &CertificateName) -> Self {
        let (kind, name): (&[u8], _) = match name {
            CertificateName::Dns(name) => (b"certificate dns\0", name),
            CertificateName::Uri(name) => (b"certificate uri\0", name),
        };
        Self(Sha256::new().chain_update(kind).chain_update(name).finalize().into())
    }

    /// Parses 64 hexadecimal digits; none for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The hash encrypted with a token that is stored elsewhere: 64 hexadecimal digits, useless without the token.
    /// (From a plain hash a short secret could be found by trying all.) Use each token for one hash only: the key
    /// stream is fixed.
    #[must_use]
    pub fn sealed(&self, token: &str) -> String {
        self.masked(token).to_hex()
    }

    /// Decrypts a [sealed](Self::sealed) hash. The wrong token yields a wrong hash; none for what is no sealed hash.
    #[must_use]
    pub fn unseal(sealed: &str, token: &str) -> Option<Self> {
        Self::from_hex(sealed).map(|sealed| sealed.masked(token))
    }

    fn masked(&self, token: &str) -> Self {
        // Another hash than the plain one, by which sessions look up tokens.
        let mask: [u8; 32] = Sha256::new().chain_update(b"sealed key\0").chain_update(token).finalize().into();
        Self(std::array::from_fn(|at| self.0[at] ^ mask[at]))
    }

    /// The hash as 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        // Eight bytes at a time: the barrier in each comparison costs more than the comparison.
        let words = |hash: &Self| -> [u64; 4] {
            let (words, _) = hash.0.as_chunks();
            std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
        };
        words(self).ct_eq(&words(other)).into()
    }
}

impl std::hash::Hash for KeyHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(&self.0[..8]);
    }
}

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A few digits would be enough to find a short secret by trying.
        f.write_str("KeyHash(…)")
    }
}

/// A name in the certificate of a client (RFC 5280, section 4.2.1.6). A DNS name and a URI of the same text are different
/// names: an authority may be allowed to issue one of them only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// In lower case: letters of either case are the same.
    Dns(String),
    /// As it is written.
    Uri(String),
}

impl CertificateName {
    /// A DNS name.
    #[must_use]
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_ascii_lowercase())
    }

    /// A URI.
    #[must_use]
    pub fn uri(name: &str) -> Self {
        Self::Uri(name.to_owned())
    }

    /// The name that an operator has written: a URI has a colon, a DNS name has none.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        if name.contains(':') { Self::uri(name) } else { Self::dns(name) }
    }
}

/// A permission of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Chat completions and the list of models.
    #[serde(rename = "chat")]
    Chat,
    /// Read pets, orders, inventory and events.
    #[serde(rename = "store:read")]
    StoreRead,
    /// Change pets and orders.
    #[serde(rename = "store:write")]
    StoreWrite,
    /// Read statistics and metrics.
    #[serde(rename = "stats")]
    Stats,
}

impl Scope {
    /// All scopes, in the order in which they are printed.
    pub const ALL: [Self; 4] = [Self::Chat, Self::StoreRead, Self::StoreWrite, Self::Stats];

    /// The name used in configuration, in the database and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::StoreRead => "store:read",
            Self::StoreWrite => "store:write",
            Self::Stats => "stats",
        }
    }

    /// The scope of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A set of [`Scope`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All scopes: those of keys from the environment, and of the first key.
    pub const ALL: Self = Self(0b1111);
    /// No scopes.
    pub const NONE: Self = Self(0);

    /// Whether `scope` is in the set.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// The scopes in the set, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl Default for Scopes {
    /// All scopes but `stats`.
    fn default() -> Self {
        [Scope::Chat, Scope::StoreRead, Scope::StoreWrite].into_iter().collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u8))
    }
}

/// A secret for display: its first four characters and `***`; of secrets up to eight characters only `***`.
///
/// ```
/// assert_eq!(petstream::wire::api_key::mask("sk-abcdefghij"), "sk-a***");
/// ```
#[must_use]
pub fn mask(secret: &str) -> String {
    let shown: String = secret.chars().take(4).filter(char::is_ascii_graphic).collect();
    if secret.chars().count() <= 8 { "***".to_owned() } else { format!("{shown}***") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_256_random_bits() {
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), SECRET_PREFIX.len() + 64);
    }

    #[test]
    fn a_hash_round_trips_through_hexadecimal() {
        let hash = KeyHash::of("sk-x");
        for at in 0..32 {
            let mut other = hash;
            other.0[at] ^= 1;
            assert!(other != hash, "byte {at}");
        }
        assert!(KeyHash::from_hex(&hash.to_hex()) == Some(hash));
        assert!(KeyHash::from_hex("12").is_none());
    }

    #[test]
    fn only_its_token_unseals_a_hash() {
        let (hash, token) = (KeyHash::of("abcd"), new_token().unwrap());
        let sealed = hash.sealed(&token);
        assert!(KeyHash::unseal(&sealed, &token) == Some(hash));
        assert!(KeyHash::unseal(&sealed, &new_token().unwrap()) != Some(hash));
        assert!(sealed != hash.to_hex() && sealed != KeyHash::of("").sealed(&token));
        assert_eq!(format!("{hash:?}"), "KeyHash(…)");
    }

    #[test]
    fn stats_is_no_default_scope() {
        assert!(!Scopes::default().contains(Scope::Stats));
        assert!(Scope::ALL.into_iter().all(|scope| Scopes::ALL.contains(scope)));
    }

    #[test]
    fn a_mask_hides_short_secrets_entirely() {
        assert_eq!(mask("abcdefgh"), "***");
        assert_eq!(mask("sk-abcdefghij"), "sk-a***");
    }
}

//! Request heads, after RFC 9112, sections 2, 3, 5 and 6. As section 2.2 allows, a bare LF ends a line and empty lines
//! before the head are skipped.

/// A head that is accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// Names in lower case and values, in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Whether it is HTTP/1.1 instead of 1.0.
    pub is_new: bool,
    /// The length of the body; none if it is chunked.
    pub length: Option<u64>,
    /// Whether another request may follow on the connection.
    pub keeps: bool,
    /// Whether the client waits for `100 Continue`.
    pub waits: bool,
    /// The length of the head with its empty line.
    pub end: usize,
}

/// The result for an input.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A head that is accepted.
    Head(Head),
    /// A head that must be rejected.
    EngineRefusal,
    /// The input is incomplete.
    More,
}

/// The largest number of fields.
const MAX_FIELDS: usize = 100;

/// Reads a head from the beginning of `input`.
#[must_use]
pub fn read(input: &[u8]) -> Outcome {
    let Some((lines, end)) = lines(input) else { return Outcome::More };
    read_lines(&lines).map_or(Outcome::EngineRefusal, |mut head| {
        head.end = end;
        Outcome::Head(head)
    })
}

/// The lines of a head without their line ends, and the offset of its end.
fn lines(input: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let (mut lines, mut at) = (Vec::new(), 0);
    loop {
        let length = input[at..].iter().position(|byte| *byte == b'\n')?;
        let line = &input[at..at + length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        at += length + 1;
        match (line.is_empty(), lines.is_empty()) {
            (true, true) => {}
            (true, false) => return Some((lines, at)),
            _ => lines.push(line),
        }
    }
}

fn read_lines(lines: &[&[u8]]) -> Option<Head> {
    let (first, fields) = lines.split_first()?;
    let mut words = first.splitn(3, |byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_new = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return None,
    };
    if !is_token(method) || target.is_empty() || fields.len() > MAX_FIELDS {
        return None;
    }
    let target = std::str::from_utf8(target).ok()?;
    if target.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    // The rest of the syntax is checked by the library that the server uses, too.
    let uri = target.parse::<http::Uri>().ok()?;
    // User information must not be sent (RFC 9110, section 4.2.4).
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return None;
    }
    let fields: Option<Vec<_>> = fields.iter().map(|line| field(line)).collect();
    let mut head = Head {
        method: String::from_utf8(method.to_vec()).ok()?,
        target: target.to_owned(),
        fields: fields?,
        is_new,
        length: None,
        keeps: true,
        waits: false,
        end: 0,
    };
    head.read_framing().then_some(head)
}

impl Head {
    fn values(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| &value[..]).collect()
    }

    fn lists(&self, name: &str, token: &[u8]) -> bool {
        let values = self.values(name);
        values
            .iter()
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
    }

    /// Reads host, framing and connection options; false when the head must be rejected.
    fn read_framing(&mut self) -> bool {
        let hosts = self.values("host");
        if hosts.len() > 1 || self.is_new && hosts.is_empty() || !hosts.into_iter().all(is_host) {
            return false;
        }
        let mut lengths = Vec::new();
        for value in self.values("content-length") {
            let plain = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let Some(length) =
                std::str::from_utf8(value).ok().filter(|_| plain).and_then(|text| text.parse::<u64>().ok())
            else {
                return false;
            };
            lengths.push(length);
        }
        if lengths.iter().any(|length| *length != lengths[0]) {
            return false;
        }
        let codings = self.values("transfer-encoding");
        self.length = match (&codings[..], lengths.first()) {
            ([], length) => Some(length.copied().unwrap_or(0)),
            // `chunked` is the only transfer coding that is supported.
            ([one], None) if self.is_new && one.trim_ascii().eq_ignore_ascii_case(b"chunked") => None,
            _ => return false,
        };
        self.keeps = !self.lists("connection", b"close") && (self.is_new || self.lists("connection", b"keep-alive"));
        self.waits =
            self.is_new && self.values("expect").iter().any(|value| value.eq_ignore_ascii_case(b"100-continue"));
        true
    }
}

/// Whether a `Host` is a host, which may be empty, with an optional port: RFC 3986, section 3.2.2, without IPvFuture,
/// and without commas, which may separate two hosts.
#[must_use]
pub fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let text = text.trim_matches([' ', '\t']);
    let (is_host, port) = match text.strip_prefix('[') {
        Some(inside) => match inside.split_once(']') {
            Some((address, port)) => (address.parse::<std::net::Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_name(name), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            plain
                && (digits.is_empty()
                    || digits.trim_start_matches('0').len() <= 5 && digits.parse::<u64>().unwrap_or(0) <= 65_535)
        }
        None => port.is_empty(),
    };
    is_host && is_port
}

/// Whether it is a `reg-name`: unreserved characters, delimiters, and percent-encoded ones.
fn is_name(name: &str) -> bool {
    let mut parts = name.split('%');
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte));
    let encoded = |part: &str| {
        let digits = part.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digits && plain(&part[2..])
    };
    parts.next().is_some_and(plain) && parts.all(encoded)
}

/// Whether it is a token: RFC 9110, section 5.6.2.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let at = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..at], &line[at + 1..]);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(begin, |at| at + 1);
    let value = &value[begin..end];
    let plain = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
    (is_token(name) && plain).then(|| (String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}

//! Heads of requests: RFC 9112, sections 2, 3, 5 and 6, with what section 2.2 lets a server accept (a bare LF ends a line,
//! empty lines before the head are passed over).

/// A head that can be served.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// Names in lower case and values, in their order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// HTTP/1.1, not 1.0.
    pub is_new: bool,
    /// Length of the body; none: it is chunked.
    pub length: Option<u64>,
    /// Another request may follow.
    pub keeps: bool,
    /// `100 Continue` is waited for.
    pub waits: bool,
    /// Length of the head, with its last empty line.
    pub end: usize,
}

/// What the input begins with.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A head.
    Head(Head),
    /// A head that has to be refused.
    EngineRefusal,
    /// No whole head.
    More,
}

/// Most fields of a head.
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

/// The lines of a head without their ends, and where it ends.
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
    // What else a target may be is the library's business, also here.
    let uri = target.parse::<http::Uri>().ok()?;
    // A user in it is nobody's business here (RFC 9110, section 4.2.4).
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
    head.judge().then_some(head)
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

    /// Reads what the fields say of the connection; false: it can't be served.
    fn judge(&mut self) -> bool {
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
            // Nothing but chunks is understood, and only alone.
            ([one], None) if self.is_new && one.trim_ascii().eq_ignore_ascii_case(b"chunked") => None,
            _ => return false,
        };
        self.keeps = !self.lists("connection", b"close") && (self.is_new || self.lists("connection", b"keep-alive"));
        self.waits =
            self.is_new && self.values("expect").iter().any(|value| value.eq_ignore_ascii_case(b"100-continue"));
        true
    }
}

/// Whether a `Host` is a host, which may be empty, and perhaps a port: RFC 3986, section 3.2.2, without IPvFuture, and
/// without commas, which might stand between two hosts.
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

/// `reg-name`: unreserved characters, delimiters, and encoded ones.
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

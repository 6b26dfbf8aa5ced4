//! The page: `GET /` and `GET /assets/{name}`.
//!
//! Its files are part of the binary: those of `dist/`, which are `index.html` and assets with a hash of their content
//! in their names, so that browsers cache the assets for good and revalidate only the first. No key is needed to load
//! them; the page loads its data with the key of its user.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use rust_embed::Embed;

use crate::error::ApiError;
use crate::wire::etag;

/// The prefix of assets, in URLs and in `dist`.
const ASSETS: &str = "assets/";
const INDEX: &str = "index.html";
/// Shortest file that is compressed, bytes.
const MIN_COMPRESSED_LEN: usize = 1024;

/// The headers of every file: the page loads nothing from other origins, and can't be framed.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Cargo does not notice new files. That is enough: `index.html` has the names of all others, which contain their
/// hashes, so it changes whenever any of them does.
#[derive(Embed)]
#[folder = "src/web/dist"]
struct Dist;

/// The same for every server of the process.
static FILES: LazyLock<Vec<File>> = LazyLock::new(|| Dist::iter().filter_map(|path| File::read(&path)).collect());

/// A file, ready to be sent.
struct File {
    /// `index.html`, or the name below `assets/`.
    name: String,
    media_type: &'static str,
    tag: HeaderValue,
    plain: Bytes,
    /// The file in gzip, if that is shorter.
    gzipped: Option<Bytes>,
}

/// Compresses the files in advance, so that the first request need not wait for it.
pub fn warm() {
    LazyLock::force(&FILES);
}

/// `GET /`
pub(crate) async fn index(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    // Revalidated each time, since it names the assets of this version.
    answer(INDEX, "no-cache", &headers)
        .unwrap_or_else(|| ApiError::no_path(method.as_str(), uri.path(), None).into_response())
}

/// `GET /assets/{name}`
pub(crate) async fn asset(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches('/').strip_prefix(ASSETS).filter(|name| *name != INDEX);
    let found = name.and_then(|name| answer(name, "public, max-age=31536000, immutable", &headers));
    found.unwrap_or_else(|| ApiError::no_path(method.as_str(), uri.path(), None).into_response())
}

/// The response with the file `name`, if there is one; 304 if the browser has it.
fn answer(name: &str, caching: &'static str, request: &HeaderMap) -> Option<Response> {
    let file = FILES.iter().find(|file| file.name == name)?;
    let mut response = Response::new(Body::empty());
    if has(request, &file.tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
        let gzipped = file.gzipped.as_ref().filter(|_| accepts_gzip(request));
        if gzipped.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *response.body_mut() = Body::from(gzipped.unwrap_or(&file.plain).clone());
    }
    let headers = response.headers_mut();
    headers.insert(ETAG, file.tag.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    Some(response)
}

impl File {
    fn read(path: &str) -> Option<Self> {
        let file = Dist::get(path)?;
        let plain = match file.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let (media_type, text) = media_type(path);
        let gzipped = if text && plain.len() >= MIN_COMPRESSED_LEN { gzip(&plain) } else { None };
        // Weak: it is the same for both forms of the file.
        let tag = HeaderValue::try_from(format!("W/\"{}\"", hex::encode(&file.metadata.sha256_hash()[..12]))).ok()?;
        let name = path.strip_prefix(ASSETS).unwrap_or(path).to_owned();
        Some(Self { name, media_type, tag, plain, gzipped })
    }
}

/// The content type of a file, by its name, and whether it is text.
fn media_type(path: &str) -> (&'static str, bool) {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => ("text/html; charset=utf-8", true),
        "js" | "mjs" => ("text/javascript; charset=utf-8", true),
        "css" => ("text/css; charset=utf-8", true),
        "json" | "map" => ("application/json", true),
        "webmanifest" => ("application/manifest+json", true),
        "svg" => ("image/svg+xml", true),
        "txt" => ("text/plain; charset=utf-8", true),
        "ico" => ("image/x-icon", true),
        "png" => ("image/png", false),
        "webp" => ("image/webp", false),
        "woff2" => ("font/woff2", false),
        _ => ("application/octet-stream", false),
    }
}

fn gzip(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    let gzipped = encoder.finish().ok()?;
    (gzipped.len() < plain.len()).then(|| gzipped.into())
}

/// Whether `If-None-Match` names `tag`.
fn has(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().ok().and_then(|tag| etag::opaque_tag(tag, true));
    etag::matches_any(request, IF_NONE_MATCH)
        || etag::list_tags(request, IF_NONE_MATCH, true).any(|other| Some(other) == tag)
}

/// Whether `Accept-Encoding` allows gzip (RFC 9110, section 12.5.3): its own name takes precedence over `*`.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let lines = request.get_all(ACCEPT_ENCODING).into_iter().filter_map(|line| line.to_str().ok());
    let (mut named, mut any) = (None, None);
    for part in lines.flat_map(|line| line.split(',')) {
        let (name, weight) = part.split_once(';').unwrap_or((part, ""));
        let weight = weight.trim().trim_start_matches("q=").trim();
        let wanted = weight.is_empty() || weight.parse::<f32>().is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => named = Some(wanted),
            "*" => any = Some(wanted),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn gzip_is_sent_to_clients_that_accept_it() {
        for (accepts, takes) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5, br", true),
            ("*", true),
            ("*;q=0, gzip", true),
            ("gzip;q=0, *", false),
            ("gzip; q=0.0", false),
            ("identity", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(&headers(ACCEPT_ENCODING, accepts)), takes, "{accepts}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        let tag = HeaderValue::from_static("W/\"abc\"");
        for (known, has_it) in [
            ("W/\"abc\"", true),
            ("\"abc\"", true),
            ("\"x\", W/\"abc\"", true),
            ("*", true),
            ("\"ab\"", false),
            ("abc", false),
        ] {
            assert_eq!(has(&headers(IF_NONE_MATCH, known), &tag), has_it, "{known}");
        }
    }

    #[test]
    fn every_file_of_the_page_has_a_type_and_a_name_of_its_own() {
        assert!(FILES.iter().any(|file| file.name == INDEX));
        let mut names: Vec<_> = FILES.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FILES.len());
        for file in FILES.iter() {
            assert_ne!(file.media_type, "application/octet-stream", "{}", file.name);
            assert!(!file.name.contains('/'), "{}: a browser asks for one name behind assets/", file.name);
            assert!(file.gzipped.as_ref().is_none_or(|gzipped| gzipped.len() < file.plain.len()), "{}", file.name);
        }
    }

    #[test]
    fn gzipped_text_is_the_same_after_decompression() {
        let text = "the same again and again, ".repeat(100);
        let gzipped = gzip(text.as_bytes()).unwrap();
        let mut ungzipped = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&gzipped[..]), &mut ungzipped).unwrap();
        assert!(ungzipped == text && gzipped.len() < text.len() / 10);
        assert_eq!(gzip(b"x"), None);
    }
}

//! Translates the parts of a content: texts, images, files.

use crate::wire::request::{InvalidRequest, Path, decode_string, each_element, object, pick, present, string};
use crate::wire::translation::{Object, refuse_others};

const CONTENT_TYPE: &str = "one of a string or array of objects";

/// A block that a part became.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// The index of the part; 0 for a content that is a string.
    pub(super) index: usize,
    pub(super) json: String,
    /// The text of a text block, as JSON.
    pub(super) text: Option<&'a str>,
    /// The value of `cache_control`, as JSON.
    pub(super) cache_control: Option<&'a str>,
}

/// Calls `each` with the block of every part of a content. Texts that are blank have none.
pub(super) fn each_block<'a>(
    path: Path<'_>,
    content: &'a str,
    mut each: impl FnMut(Block<'a>),
) -> Result<(), InvalidRequest> {
    if content.starts_with('"') {
        if let Some(json) = text_block(path, content, None)? {
            each(Block { index: 0, json, text: Some(content), cache_control: None });
        }
        return Ok(());
    }
    each_element(path, CONTENT_TYPE, content, |index, part| {
        if let Some(block) = translate_part(Path::element(&path, index), index, part)? {
            each(block);
        }
        Ok(())
    })
    .map(drop)
}

/// As [`each_block`], for a content that has texts only. Calls `each` with the block, its text as JSON and its
/// `cache_control`.
pub(super) fn each_text<'a>(
    path: Path<'_>,
    content: &'a str,
    mut each: impl FnMut(String, &'a str, Option<&'a str>),
) -> Result<(), InvalidRequest> {
    let mut other = None;
    each_block(path, content, |block| match block.text {
        Some(text) => each(block.json, text, block.cache_control),
        None => other = other.or(Some(block.index)),
    })?;
    let Some(index) = other else { return Ok(()) };
    Err(InvalidRequest::untranslatable(Path::member(&Path::element(&path, index), "type")))
}

fn translate_part<'a>(path: Path<'_>, index: usize, part: &'a str) -> Result<Option<Block<'a>>, InvalidRequest> {
    let at_type = Path::member(&path, "type");
    let [kind, control] = pick(path, part, &["type", "cache_control"])?;
    let kind = string(at_type, present(kind).ok_or_else(|| InvalidRequest::missing(at_type))?)?;
    let control = present(control);
    if let Some(control) = control {
        object(Path::member(&path, "cache_control"), control)?;
    }
    let member: &str = match &*kind {
        "text" | "refusal" | "image_url" | "file" => &kind,
        _ => return Err(InvalidRequest::untranslatable(at_type)),
    };
    refuse_others(path, part, &["type", member, "cache_control", "prompt_cache_breakpoint"])?;
    let [value] = pick(path, part, &[member])?;
    let at = Path::member(&path, member);
    let value = present(value).ok_or_else(|| InvalidRequest::missing(at))?;
    let (json, text) = match member {
        "image_url" => (image_block(at, value, control)?, None),
        "file" => (document_block(at, value, control)?, None),
        _ => match text_block(at, value, control)? {
            Some(json) => (json, Some(value)),
            None => return Ok(None),
        },
    };
    Ok(Some(Block { index, json, text, cache_control: control }))
}

/// The block of a text, which is given as JSON; none where it is blank.
pub(super) fn text_block(
    path: Path<'_>,
    text: &str,
    cache_control: Option<&str>,
) -> Result<Option<String>, InvalidRequest> {
    if string(path, text)?.trim().is_empty() {
        return Ok(None);
    }
    let mut block = Object::new();
    block.raw("type", "\"text\"").raw("text", text).raw_if("cache_control", cache_control);
    Ok(Some(block.finish()))
}

fn image_block(path: Path<'_>, image: &str, cache_control: Option<&str>) -> Result<String, InvalidRequest> {
    let [url, detail] = pick(path, image, &["url", "detail"])?;
    refuse_others(path, image, &["url", "detail"])?;
    // Images are always read in their full resolution, up to the model's own bound.
    let is_full = |detail| matches!(decode_string(detail).as_deref(), Some("auto" | "high"));
    if present(detail).is_some_and(|detail| !is_full(detail)) {
        return Err(InvalidRequest::untranslatable(Path::member(&path, "detail")));
    }
    let at = Path::member(&path, "url");
    let json = present(url).ok_or_else(|| InvalidRequest::missing(at))?;
    let url = string(at, json)?;
    let source = match data_source(&url) {
        Some(source) => source,
        None if url.starts_with("https:") || url.starts_with("http:") => {
            Object::new().raw("type", "\"url\"").raw("url", json).finish()
        }
        None => return Err(InvalidRequest::unfit(at, "a URL of https, or of data in base64")),
    };
    Ok(sourced("\"image\"", &source, None, cache_control))
}

fn document_block(path: Path<'_>, file: &str, cache_control: Option<&str>) -> Result<String, InvalidRequest> {
    let [name, data] = pick(path, file, &["filename", "file_data"])?;
    refuse_others(path, file, &["filename", "file_data"])?;
    if let Some(name) = present(name) {
        string(Path::member(&path, "filename"), name)?;
    }
    let at = Path::member(&path, "file_data");
    let data = string(at, present(data).ok_or_else(|| InvalidRequest::missing(at))?)?;
    let source = data_source(&data).ok_or_else(|| InvalidRequest::unfit(at, "a data URL in base64"))?;
    Ok(sourced("\"document\"", &source, present(name), cache_control))
}

fn sourced(kind: &str, source: &str, title: Option<&str>, cache_control: Option<&str>) -> String {
    let mut block = Object::new();
    block.raw("type", kind).raw("source", source).raw_if("title", title).raw_if("cache_control", cache_control);
    block.finish()
}

/// The source that a data URL in base64 becomes: `data:image/png;base64,…`. None for any other URL.
fn data_source(url: &str) -> Option<String> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().filter(|media_type| !media_type.is_empty())?;
    let mut source = Object::new();
    source.raw("type", "\"base64\"").text("media_type", media_type).text("data", data);
    Some(source.finish())
}

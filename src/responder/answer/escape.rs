//! Escapes text from the inventory or the user for use within a line of Markdown.

/// Characters that are invisible or change the direction of writing: they could disguise a text as another.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `text` on one line, with all characters escaped that have a meaning in Markdown or HTML. Never empty.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() || c.is_control() => {
                if !escaped.ends_with(' ') {
                    escaped.push(' ');
                }
                continue;
            }
            c if is_invisible(c) => continue,
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '#' => escaped.push('\\'),
            // Autolinks ("https://...", "www.", mail addresses) are broken up.
            ':' if chars.peek() == Some(&'/') => escaped.push('\\'),
            '.' if escaped.to_ascii_lowercase().ends_with("www") => escaped.push('\\'),
            '@' => escaped.push('\\'),
            _ => {}
        }
        escaped.push(c);
    }
    let escaped = escaped.trim();
    if escaped.is_empty() { "(none)".to_owned() } else { escaped.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_the_text_is_escaped_and_stays_on_one_line() {
        assert_eq!(escape("a\n\n# b\r\n| c |"), "a \\# b \\| c \\|");
        assert_eq!(escape("<img src=x>&amp;"), "\\<img src=x\\>\\&amp;");
        assert_eq!(escape("**x** `y` [z](http://w)"), "\\*\\*x\\*\\* \\`y\\` \\[z\\](http\\://w)");
        assert_eq!(escape("www.x.y \u{202e}z"), "www\\.x.y z");
        assert_eq!(escape(" \n"), "(none)");
    }

    #[test]
    fn ordinary_text_is_unchanged() {
        assert_eq!(escape("St. Bernard (long-haired), 1st!"), "St. Bernard (long-haired), 1st!");
    }
}

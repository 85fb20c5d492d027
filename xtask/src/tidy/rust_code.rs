//! Just enough of Rust's lexical structure to see code without its comments, strings and tests, and where functions
//! begin and end.

/// The text with comments, strings and character literals blanked, line by line the same length in characters.
pub(crate) fn without_text(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let length = text_length(&chars, at);
        if length == 0 {
            out.push(chars[at]);
            at += 1;
        } else {
            let end = (at + length).min(chars.len());
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// The length of the comment, string or character literal that begins at `at`; 0 where none does.
fn text_length(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let continues_word = at > 0 && is_word(chars[at - 1]);
    match rest {
        ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment_length(rest),
        ['"', ..] => quoted_length(rest, '"'),
        ['b' | 'c', '"', ..] if !continues_word => 1 + quoted_length(&rest[1..], '"'),
        ['b', '\'', ..] if !continues_word => 1 + quoted_length(&rest[1..], '\''),
        ['r', '"' | '#', ..] if !continues_word => raw_length(rest, 1),
        ['b' | 'c', 'r', '"' | '#', ..] if !continues_word => raw_length(rest, 2),
        ['\'', '\\', ..] => quoted_length(rest, '\''),
        // A lifetime has no closing quote after one character.
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment_length(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A raw string after a prefix of `prefix` letters; 0 where it is a raw identifier.
fn raw_length(rest: &[char], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|&&c| c == '#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return 0;
    }
    let closes = |at: &usize| {
        rest[*at] == '"' && rest[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    (open + 1..rest.len()).find(closes).map_or(rest.len(), |at| at + 1 + hashes)
}

/// Code (see [`without_text`]) with the items under `#[cfg(test)]` blanked.
pub(crate) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let length = item_length(item);
        out.extend(item[..length].chars().filter(|&c| c == '\n'));
        rest = &item[length..];
    }
    out.push_str(rest);
    out
}

/// The length in bytes of the item at the start of `code`: up to its semicolon or the end of its braces.
fn item_length(code: &str) -> usize {
    match code.find(['{', ';']) {
        Some(at) if code[at..].starts_with('{') => at + braces_length(&code[at..]),
        Some(at) => at + 1,
        None => code.len(),
    }
}

/// The length in bytes of the braces that open at the start of `code`.
fn braces_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line where it begins, from 1.
    pub(crate) line: usize,
    /// Its lines from `fn` to the closing brace.
    pub(crate) lines: usize,
}

/// The functions of some code (see [`without_text`]).
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        let name: String = code[at + 3..].chars().take_while(|&c| is_word(c)).collect();
        let item = &code[at..at + item_length(&code[at..])];
        if before.is_some_and(is_word) || name.is_empty() || !item.ends_with('}') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        found.push(Function { name, line, lines: item.matches('\n').count() + 1 });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blanked() {
        for (source, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y", b"z")"#, "f(      ,     )"),
            (r##"f(r#"x"y"#, r"z")"##, "f(        ,     )"),
            (r"'a' '\n' 'b", "         'b"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("r#type", "r#type"),
            ("var\"x\"", "var   "),
            ("\"open", "     "),
        ] {
            assert_eq!(without_text(source), code, "{source}");
        }
    }

    #[test]
    fn tests_are_blanked_and_lines_kept() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { x.unwrap(); }\n}\nfn c() {}\n";
        let code = without_tests(&without_text(source));
        assert_eq!(code, "fn a() {}\n\n\n\n\nfn c() {}\n");
    }

    #[test]
    fn functions_are_measured_from_head_to_closing_brace() {
        let source = "struct S;\nfn one() {}\nimpl S {\n    fn three(\n    ) {\n    }\n    fn none(&self);\n}\ntype F = fn (u8);";
        let names: Vec<_> = functions(&without_text(source));
        let function = |name: &str, line, lines| Function { name: name.to_owned(), line, lines };
        assert_eq!(names, [function("one", 2, 1), function("three", 4, 3)]);
    }
}

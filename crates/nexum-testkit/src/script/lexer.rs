//! A line as its words.
//!
//! Words stand between spaces. Text in quotes is one word, and so is what stands in brackets, up to
//! the bracket that closes it: `Transfer(address indexed from, address indexed to)`. What follows a
//! `#` outside of quotes is a comment.

use super::words::ScriptProblem;

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word, without the quotes around it.
    pub(crate) text: String,
    /// Whether it stood in quotes.
    pub(crate) is_quoted: bool,
}

impl Word {
    /// True for a word of the language itself, which nobody quotes.
    pub(crate) fn is(&self, word: &str) -> bool {
        !self.is_quoted && self.text == word
    }
}

/// The texts of words, for what takes no text in quotes.
pub(crate) fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}

/// The words of a line; none where there is only a comment.
pub(crate) fn words_of(line: &str) -> Result<Vec<Word>, ScriptProblem> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = first(rest)?;
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

/// The first word, and what is behind it.
fn first(text: &str) -> Result<(Word, &str), ScriptProblem> {
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        let (content, after) = quoted(text, quote)?;
        if !(after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || c == '#')) {
            return Err(ScriptProblem::BehindQuote);
        }
        let word = Word {
            text: content,
            is_quoted: true,
        };
        return Ok((word, after));
    }
    let end = end_of_word(text)?;
    let word = Word {
        text: text[..end].to_owned(),
        is_quoted: false,
    };
    Ok((word, &text[end..]))
}

/// The content of the quotes that `text` begins with, and what is behind them. Between `"` there
/// are the escapes `\"`, `\\`, `\n` and `\t`; between `'` everything is meant as it stands.
fn quoted(text: &str, quote: char) -> Result<(String, &str), ScriptProblem> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((content, &text[index + 1..])),
            '\\' if quote == '"' => match characters.next() {
                Some((_, 'n')) => content.push('\n'),
                Some((_, 't')) => content.push('\t'),
                Some((_, escaped @ ('"' | '\\'))) => content.push(escaped),
                _ => return Err(ScriptProblem::Escape),
            },
            _ => content.push(character),
        }
    }
    Err(ScriptProblem::Unclosed(quote))
}

/// Where the word ends that `text` begins with. A `{` that nothing follows opens a block, and is
/// a word for itself.
fn end_of_word(text: &str) -> Result<usize, ScriptProblem> {
    let mut open: Vec<char> = Vec::new();
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut characters = text.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        if let Some(end) = quote {
            let closes = character == end && !escaped;
            escaped = character == '\\' && !escaped;
            quote = (!closes).then_some(end);
            continue;
        }
        match character {
            '"' | '\'' if !open.is_empty() => quote = Some(character),
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => {
                let is_block = index == 0
                    && characters
                        .peek()
                        .is_none_or(|(_, next)| next.is_whitespace() || *next == '#');
                if is_block {
                    return Ok(1);
                }
                open.push('}');
            }
            ')' | ']' | '}' if open.last() == Some(&character) => {
                open.pop();
            }
            ')' | ']' if open.is_empty() => return Err(ScriptProblem::Unopened(character)),
            ')' | ']' | '}' if !open.is_empty() => return Err(ScriptProblem::Unopened(character)),
            _ if open.is_empty() && (character.is_whitespace() || character == '#') => {
                return Ok(index);
            }
            _ => {}
        }
    }
    match quote.or(open.pop()) {
        Some(missing) => Err(ScriptProblem::Unclosed(missing)),
        None => Ok(text.len()),
    }
}

/// The elements of a list, between its commas. `None`: one of them is no word.
pub(crate) fn split_list(inner: &str) -> Option<Vec<Word>> {
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let (mut elements, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    let (mut quote, mut escaped) = (None, false);
    for (index, character) in inner.char_indices() {
        match (quote, character) {
            (Some(end), _) => {
                let closes = character == end && !escaped;
                escaped = character == '\\' && !escaped;
                quote = (!closes).then_some(end);
            }
            (None, '"' | '\'') => quote = Some(character),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                elements.push(&inner[start..index]);
                start = index + 1;
            }
            (None, _) => {}
        }
    }
    elements.push(&inner[start..]);
    let one = |element: &str| {
        let mut words = words_of(element).ok()?;
        let word = words.pop()?;
        words.is_empty().then_some(word)
    };
    elements.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        let words = words_of(line).unwrap();
        words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_what_stands_between_spaces() {
        assert_eq!(split("  mine  3 # blocks"), ["mine", "3"]);
        assert_eq!(split("mine#3"), ["mine"]);
        assert_eq!(split("# nothing"), [""; 0]);
        assert_eq!(split("reorg 2 { # open"), ["reorg", "2", "{"]);
        assert_eq!(split("}"), ["}"]);
    }

    #[test]
    fn brackets_and_quotes_hold_words_together() {
        assert_eq!(
            split("emit 0xa1 T(address indexed a, (bool, bytes)[2] b) [1, 2] 3"),
            [
                "emit",
                "0xa1",
                "T(address indexed a, (bool, bytes)[2] b)",
                "[1, 2]",
                "3"
            ]
        );
        assert_eq!(
            split(r##"log "a # \"b\"" 'c\'"##),
            ["log", "a # \"b\"", r"c\"]
        );
        assert_eq!(
            split(r#"= 200 {"a b": [")", 1]} # json"#),
            ["=", "200", r#"{"a b": [")", 1]}"#]
        );
        assert_eq!(split(r#"""#.repeat(2).as_str()), [""]);
    }

    #[test]
    fn what_is_open_at_the_end_is_told() {
        let problem = |line: &str| words_of(line).unwrap_err();
        assert_eq!(problem("log \"a"), ScriptProblem::Unclosed('"'));
        assert_eq!(problem("T(a, b"), ScriptProblem::Unclosed(')'));
        assert_eq!(problem("T(a]"), ScriptProblem::Unopened(']'));
        assert_eq!(problem("a)"), ScriptProblem::Unopened(')'));
        assert_eq!(problem(r#""\x""#), ScriptProblem::Escape);
        assert_eq!(problem(r#""a"b"#), ScriptProblem::BehindQuote);
    }
}

//! A file's text and places in it.
//!
//! What an excerpt may show is decided here: the text handed to a renderer never holds a secret
//! that stands in the file, nor a control character that a terminal would obey.

use std::{collections::BTreeSet, fmt, io::Read, ops::Range, path::Path, sync::Arc};

/// A range of bytes of a file's text.
pub(crate) type Span = Range<usize>;

/// No manifest is longer than this, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// One file, as it was read.
pub(crate) struct Source {
    name: String,
    text: String,
    excerpt: String,
}

/// Which parts of a file an excerpt shows. Everything else becomes `*`, byte by byte, so that
/// offsets stay.
pub(crate) enum Shown<'a> {
    /// All of it.
    Everything,
    /// The structure, the words that are keys, and these values. A comment, a value under an
    /// unknown key or a line that does not parse may hold a secret as well as a secret's own
    /// field, so this names what is public, not what is secret.
    Only {
        /// The keys that the file can have.
        words: &'a BTreeSet<String>,
        /// The places of public values.
        values: &'a [Span],
    },
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Source {
    pub(crate) fn new(name: &Path, text: String, shown: &Shown<'_>) -> Arc<Self> {
        let excerpt = excerpt(&text, shown);
        Arc::new(Self {
            name: name.display().to_string(),
            text,
            excerpt,
        })
    }

    /// A file whose text is not known.
    pub(crate) fn unread(name: &Path) -> Arc<Self> {
        Self::new(name, String::new(), &Shown::Everything)
    }

    pub(crate) fn place(self: &Arc<Self>, span: Span) -> Place {
        Place {
            source: Arc::clone(self),
            span: Some(span),
        }
    }

    pub(crate) fn whole(self: &Arc<Self>) -> Place {
        Place {
            source: Arc::clone(self),
            span: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

/// A place in one of the two files, or a file as a whole. Shown as `file:line:column`.
///
/// Whoever finds out later that what was written there does not hold (a component with another
/// digest, an endpoint of another chain) makes a [`Problem`](crate::Problem) of it.
#[derive(Clone)]
pub struct Place {
    source: Arc<Source>,
    span: Option<Span>,
}

impl Place {
    /// A line of a text that is the author's own and no manifest, counted from 1.
    #[must_use]
    pub fn of_line(file: &Path, text: &str, line: usize) -> Self {
        let source = Source::new(file, text.to_owned(), &Shown::Everything);
        let before: usize = text
            .split_inclusive('\n')
            .take(line.saturating_sub(1))
            .map(str::len)
            .sum();
        let content = text[before..].lines().next().unwrap_or_default();
        let start = before + (content.len() - content.trim_start().len());
        let end = start + content.trim().len();
        source.place(start..end)
    }

    /// The file, as its path was given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The line, from 1. `None` where the whole file is meant.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.before().map(|before| before.matches('\n').count() + 1)
    }

    /// The column, in characters from 1. `None` where the whole file is meant.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        let line = |before: &str| before.rfind('\n').map_or(0, |newline| newline + 1);
        self.before()
            .map(|before| before[line(before)..].chars().count() + 1)
    }

    pub(crate) fn span(&self) -> Option<Span> {
        self.span.clone()
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    fn before(&self) -> Option<&str> {
        self.span.as_ref().map(|span| {
            self.source
                .text
                .get(..span.start)
                .unwrap_or(&self.source.text)
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file())?;
        match (self.line(), self.column()) {
            (Some(line), Some(column)) => write!(f, ":{line}:{column}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// Reads a file that is not trusted to be short, to be text, or to be a file.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    };
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err("this is not a file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("the file is longer than {MAX_FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        format!("the file is not UTF-8: byte {offset} begins no character")
    })
}

fn excerpt(text: &str, shown: &Shown<'_>) -> String {
    let public = match shown {
        Shown::Everything => vec![true; text.len()],
        Shown::Only { words, values } => public_bytes(text, words, values),
    };
    let mut excerpt = String::with_capacity(text.len());
    for (offset, c) in text.char_indices() {
        let substitute = match c {
            '\n' | '\r' | '\t' => None,
            _ if c.is_control() => Some('?'),
            _ if public[offset] || c == ' ' || "=[]{},.#\"'".contains(c) => None,
            _ => Some('*'),
        };
        match substitute {
            Some(substitute) => (0..c.len_utf8()).for_each(|_| excerpt.push(substitute)),
            None => excerpt.push(c),
        }
    }
    excerpt
}

/// One flag for each byte of `text`: whether it belongs to a public value, to a word that is a
/// key, or to the id in `chains.<id>`.
fn public_bytes(text: &str, words: &BTreeSet<String>, values: &[Span]) -> Vec<bool> {
    let mut public = vec![false; text.len()];
    let mut show = |span: Span| {
        if let Some(bytes) = public.get_mut(span) {
            bytes.fill(true);
        }
    };
    let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut rest = 0;
    while let Some(start) = text[rest..].find(in_word).map(|at| rest + at) {
        let end = text[start..]
            .find(|c| !in_word(c))
            .map_or(text.len(), |at| start + at);
        let word = &text[start..end];
        let is_id = || text[..start].ends_with("chains.") && word.parse::<u64>().is_ok();
        if words.contains(word) || is_id() {
            show(start..end);
        }
        rest = end;
    }
    values.iter().cloned().for_each(show);
    public
}

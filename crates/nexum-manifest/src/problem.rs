//! What is wrong with the files: every problem at once, each with its place and its remedy.

use std::{fmt, sync::Arc};

use miette::{Diagnostic, LabeledSpan, MietteError, SourceCode, SourceSpan, SpanContents};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::source::{Place, Source};

/// One thing that is wrong, where, and what to do about it.
///
/// No text of it, and no excerpt rendered from it, holds a secret of the operator's file.
#[derive(Debug, Clone)]
pub struct Problem {
    place: Place,
    message: String,
    label: String,
    help: Option<String>,
    also: Vec<(Place, String)>,
}

impl Problem {
    /// A problem at `place`. The message is one sentence without a full stop, and names no
    /// secret.
    #[must_use]
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            label: "here".to_owned(),
            help: None,
            also: Vec::new(),
        }
    }

    /// With these words at the place itself.
    #[must_use]
    pub fn with_label(self, label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..self
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// With a second place that has to do with it, and what is there.
    #[must_use]
    pub fn with_also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The file, as its path was given.
    #[must_use]
    pub fn file(&self) -> &str {
        self.place.file()
    }

    /// The line, from 1. `None` where the file as a whole is the problem.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.line()
    }

    /// The column, in characters from 1. `None` where the file as a whole is the problem.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.place.column()
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.help.as_deref()
    }

    fn shares_file(&self, place: &Place) -> bool {
        Arc::ptr_eq(place.source(), self.place.source())
    }
}

impl fmt::Display for Problem {
    /// The message alone, for a renderer that shows place and help itself; `{:#}` has all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() && self.place.span().is_some() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.place, self.message)?;
        if !f.alternate() {
            return Ok(());
        }
        for (place, label) in &self.also {
            write!(f, "\n  {place}: {label}")?;
        }
        for (index, line) in self.help.iter().flat_map(|help| help.lines()).enumerate() {
            write!(
                f,
                "\n  {}{line}",
                if index == 0 { "help: " } else { "      " }
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    /// The remedy, after the places in other files, which an excerpt cannot label.
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let elsewhere = self
            .also
            .iter()
            .filter(|(place, _)| !self.shares_file(place));
        let lines = elsewhere.map(|(place, label)| format!("{place}: {label}"));
        let lines: Vec<_> = lines.chain(self.help.clone()).collect();
        (!lines.is_empty()).then(|| Box::new(lines.join("\n")) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place
            .span()
            .is_some()
            .then_some(&**self.place.source() as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let main = self.place.span()?;
        let here = self
            .also
            .iter()
            .filter(|(place, _)| self.shares_file(place));
        let also = here.filter_map(|(place, label)| {
            place
                .span()
                .map(|span| LabeledSpan::at(span, label.as_str()))
        });
        let main = LabeledSpan::new_primary_with_span(Some(self.label.clone()), main);
        Some(Box::new(std::iter::once(main).chain(also)))
    }
}

impl Serialize for Problem {
    /// `{ file, line, column, message, help }`; the numbers and `help` may be null.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Problem", 5)?;
        object.serialize_field("file", self.file())?;
        object.serialize_field("line", &self.line())?;
        object.serialize_field("column", &self.column())?;
        object.serialize_field("message", self.message())?;
        object.serialize_field("help", &self.remedy())?;
        object.end()
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let excerpt = self.excerpt().read_span(span, lines_before, lines_after)?;
        let named = miette::MietteSpanContents::new_named(
            self.name().to_owned(),
            excerpt.data(),
            *excerpt.span(),
            excerpt.line(),
            excerpt.column(),
            excerpt.line_count(),
        );
        Ok(Box::new(named.with_language("toml")))
    }
}

/// Every problem of the files that were read. Never empty.
///
/// `Display` lists them all as plain text, one `file:line:column: message` each, followed by its
/// help. To render them with excerpts, print each [`Problem`] (a `miette` diagnostic) on its own,
/// or [`summary`](Self::summary).
#[derive(Debug, Clone)]
pub struct ManifestErrors(Vec<Problem>);

impl ManifestErrors {
    /// All `problems`, file by file as they come, and within a file in the order of their places.
    /// `None` where there are none.
    #[must_use]
    pub fn new(mut problems: Vec<Problem>) -> Option<Self> {
        let mut files: Vec<String> = Vec::new();
        for problem in &problems {
            if !files.iter().any(|file| file == problem.file()) {
                files.push(problem.file().to_owned());
            }
        }
        problems.sort_by_key(|problem| {
            let file = files.iter().position(|file| file == problem.file());
            (file, problem.place.span().map(|span| span.start))
        });
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The problems, in order.
    pub fn problems(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.0.iter()
    }

    /// A diagnostic whose own text is one line, such as `2 problems in nexum.toml`, with the
    /// problems as its related ones: for a renderer that shows excerpts.
    #[must_use]
    pub fn summary(self) -> Summary {
        Summary(self)
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem:#}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestErrors {}

impl Diagnostic for ManifestErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.0.iter().map(|problem| problem as &dyn Diagnostic),
        ))
    }
}

impl From<Problem> for ManifestErrors {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// The same problems under one line of text. See [`ManifestErrors::summary`].
#[derive(Debug, Clone)]
pub struct Summary(ManifestErrors);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = &self.0.0;
        let mut files: Vec<_> = problems.iter().map(Problem::file).collect();
        files.dedup();
        match problems.len() {
            1 => f.write_str("1 problem in ")?,
            count => write!(f, "{count} problems in ")?,
        }
        f.write_str(&files.join(", "))
    }
}

impl std::error::Error for Summary {}

impl Diagnostic for Summary {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.0.related()
    }
}

//! What was measured, as lines that can be read and copied.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// How often one thing took how long. Never empty.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds one sample: what each of `count` took, of which all together took `took`.
    pub(crate) fn push(&mut self, took: Duration, count: u64) {
        self.0.push(took.as_secs_f64() / count as f64);
    }

    /// Adds one sample of something that runs once.
    pub(crate) fn time(&mut self, work: impl FnOnce()) {
        let begun = Instant::now();
        work();
        self.push(begun.elapsed(), 1);
    }

    /// The seconds that this share of all took at most.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * share) as usize]
    }

    fn fastest(&self) -> f64 {
        self.at(0.0)
    }

    fn median(&self) -> f64 {
        self.at(0.5)
    }
}

/// The most that something may take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Budget {
    /// More than the raw limit by this.
    Over(Duration),
    /// This many times the raw limit.
    Ratio(f64),
    /// So that at least this many fit into a second.
    PerSecond(f64),
    /// This.
    Within(Duration),
}

impl Budget {
    fn is_kept(self, measured: f64, raw: f64) -> bool {
        match self {
            Self::Over(most) => measured - raw <= most.as_secs_f64(),
            Self::Ratio(most) => measured <= raw * most,
            Self::PerSecond(least) => measured * least <= 1.0,
            Self::Within(most) => measured <= most.as_secs_f64(),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over(most) => write!(f, "raw + {}", Shown(most.as_secs_f64())),
            Self::Ratio(most) => write!(f, "{most}x raw"),
            Self::PerSecond(least) => write!(f, "{least}/s"),
            Self::Within(most) => write!(f, "{}", Shown(most.as_secs_f64())),
        }
    }
}

/// One budget: its raw limit, and what is compared with it.
#[derive(Debug)]
pub(crate) struct Row {
    title: &'static str,
    raw: (&'static str, Samples),
    lines: Vec<(&'static str, Samples, Option<Budget>)>,
}

impl Row {
    pub(crate) fn new(title: &'static str, raw: &'static str, samples: Samples) -> Self {
        Self {
            title,
            raw: (raw, samples),
            lines: Vec::new(),
        }
    }

    /// Adds what has no budget of its own.
    pub(crate) fn also(mut self, label: &'static str, samples: Samples) -> Self {
        self.lines.push((label, samples, None));
        self
    }

    /// Adds what the budget is about.
    pub(crate) fn budget(mut self, label: &'static str, samples: Samples, budget: Budget) -> Self {
        self.lines.push((label, samples, Some(budget)));
        self
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (raw_label, raw) = &self.raw;
        writeln!(f, "{}", self.title)?;
        writeln!(
            f,
            "  {:<50}{:>10}{:>10}{:>11}{:>9}",
            "", "fastest", "median", "a second", "ratio"
        )?;
        write_line(f, raw_label, raw, raw)?;
        for (label, samples, budget) in &self.lines {
            writeln!(f)?;
            write_line(f, label, samples, raw)?;
            if let Some(budget) = budget {
                let kept = budget.is_kept(samples.median(), raw.median());
                let verdict = if kept { "kept" } else { "NOT KEPT" };
                write!(f, "  budget {budget}: {verdict}")?;
            }
        }
        Ok(())
    }
}

/// The ratio is that of the medians.
fn write_line(
    f: &mut fmt::Formatter<'_>,
    label: &str,
    samples: &Samples,
    raw: &Samples,
) -> fmt::Result {
    let median = samples.median();
    write!(
        f,
        "  {label:<50}{:>10}{:>10}{:>11.0}{:>8.2}x",
        Shown(samples.fastest()).to_string(),
        Shown(median).to_string(),
        1.0 / median,
        median / raw.median(),
    )
}

/// Seconds, in a unit that suits them.
struct Shown(f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds < 1e-3 => write!(f, "{:.2} µs", seconds * 1e6),
            seconds => write!(f, "{:.2} ms", seconds * 1e3),
        }
    }
}

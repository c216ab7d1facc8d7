//! What was measured, as lines that can be read and copied.

use std::time::Duration;

/// How long one thing took, again and again. Never empty where it is read.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// The time that this share of all took at most.
    pub(crate) fn at(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted[((sorted.len() - 1) as f64 * share).round() as usize]
    }

    pub(crate) fn median(&self) -> Duration {
        self.at(0.5)
    }
}

/// One way through the past: how long it took, and what it asked each time.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) label: String,
    pub(crate) times: Times,
    pub(crate) requests: usize,
    pub(crate) messages: usize,
}

/// Prints passages over `blocks` blocks, the first as what the others are compared with. A budget
/// is the most that the second may take, as a multiple of the first.
pub(crate) fn print_passages(title: &str, blocks: u64, passages: &[Passage], budget: Option<f64>) {
    println!("  {title}");
    println!(
        "  {:<34}{:>12}{:>11}{:>15}{:>15}{:>8}",
        "", "median", "blocks/s", "requests/1,000", "messages/1,000", "ratio"
    );
    let thousands = blocks as f64 / 1_000.0;
    let raw = passages[0].times.median();
    for (index, passage) in passages.iter().enumerate() {
        let median = passage.times.median();
        let ratio = median.as_secs_f64() / raw.as_secs_f64();
        let verdict = match budget.filter(|_| index == 1) {
            None => String::new(),
            Some(most) if ratio <= most => format!("  budget {most}x: kept"),
            Some(most) => format!("  budget {most}x: NOT KEPT"),
        };
        println!(
            "  {:<34}{:>9.2} ms{:>11.0}{:>15.1}{:>15.1}{ratio:>7.2}x{verdict}",
            passage.label,
            median.as_secs_f64() * 1e3,
            blocks as f64 / median.as_secs_f64(),
            passage.requests as f64 / thousands,
            passage.messages as f64 / thousands,
        );
    }
}

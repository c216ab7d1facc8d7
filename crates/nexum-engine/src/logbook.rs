//! The lines that were logged of late, for whoever follows them, and the levels of the log. Written
//! by the program's own log, of which this crate knows nothing else.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nexum_manifest::LogLevels;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// The lines that are kept.
const KEPT_LINES: usize = 2_000;
/// The lines that one follower may be behind; what is beyond that it misses, and is told so.
const FOLLOWERS_LAG: usize = 1_024;

/// One line of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in milliseconds since the Unix epoch, UTC.
    pub time_ms: u64,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// The part that logged it.
    pub target: String,
    /// The module that it is of, if it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// What it says.
    pub message: String,
    /// Everything else, by name.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// Changes the levels of the program's log, or says why not.
pub type SetLevels = Box<dyn Fn(&LogLevels) -> Result<(), String> + Send + Sync>;

/// The lines of late, and the levels.
pub struct LogBook {
    kept: Mutex<Kept>,
    news: broadcast::Sender<Arc<LogLine>>,
    levels: Mutex<Option<(LogLevels, SetLevels)>>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Arc<LogLine>>,
    /// How many there have been, those that are gone included.
    written: u64,
}

impl Default for LogBook {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            news: broadcast::Sender::new(FOLLOWERS_LAG),
            levels: Mutex::default(),
        }
    }
}

impl LogBook {
    /// Keeps a line, and tells it to whoever follows.
    pub fn write(&self, line: LogLine) {
        let line = Arc::new(line);
        let mut kept = self.kept();
        if kept.lines.len() == KEPT_LINES {
            kept.lines.pop_front();
        }
        kept.lines.push_back(Arc::clone(&line));
        kept.written += 1;
        // Within the lock, so that who begins to follow misses none. Nobody may listen.
        let _ = self.news.send(line);
    }

    /// The levels as they are, and how they are changed.
    pub fn levels_are(&self, levels: LogLevels, set: SetLevels) {
        *self.switch() = Some((levels, set));
    }

    /// The last lines, of one module or of everything, and those to come.
    pub(crate) fn follow(
        &self,
        module: Option<&str>,
        last: usize,
    ) -> (Vec<Arc<LogLine>>, broadcast::Receiver<Arc<LogLine>>) {
        let kept = self.kept();
        let wanted = kept.lines.iter().filter(|line| is_of(line, module));
        let mut found: Vec<_> = wanted.rev().take(last).cloned().collect();
        found.reverse();
        (found, self.news.subscribe())
    }

    /// Of the lines after the one of number `seen`, the last `most` that are kept, each with its
    /// number. The first line of all has number 1.
    pub(crate) fn after(&self, seen: u64, most: usize) -> Vec<(u64, Arc<LogLine>)> {
        let kept = self.kept();
        let numbers = (0..=kept.written).rev().take_while(|number| *number > seen);
        let newest = numbers.zip(kept.lines.iter().rev()).take(most);
        let mut found: Vec<_> = newest
            .map(|(number, line)| (number, Arc::clone(line)))
            .collect();
        found.reverse();
        found
    }

    /// The levels; none where the program has not said.
    pub(crate) fn levels(&self) -> Option<LogLevels> {
        self.switch().as_ref().map(|(levels, _)| levels.clone())
    }

    /// Changes the levels.
    pub(crate) fn set_levels(&self, levels: LogLevels) -> Result<(), String> {
        let mut switch = self.switch();
        let Some((current, set)) = &mut *switch else {
            return Err("the levels of this program's log cannot be changed".into());
        };
        set(&levels)?;
        *current = levels;
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change leaves whole lines.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn switch(&self) -> MutexGuard<'_, Option<(LogLevels, SetLevels)>> {
        // It is only ever replaced.
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a line is of the module that is asked for.
pub(crate) fn is_of(line: &LogLine, module: Option<&str>) -> bool {
    module.is_none() || line.module.as_deref() == module
}

impl fmt::Debug for LogBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBook").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(module: &str, message: usize) -> LogLine {
        LogLine {
            module: Some(module.to_owned()),
            message: message.to_string(),
            ..LogLine::default()
        }
    }

    #[test]
    fn so_many_lines_are_kept_and_a_follower_misses_none() {
        let book = LogBook::default();
        for n in 0..KEPT_LINES + 10 {
            book.write(line(if n % 2 == 0 { "even" } else { "odd" }, n));
        }
        let (all, _) = book.follow(None, usize::MAX);
        assert_eq!((all.len(), all[0].message.as_str()), (KEPT_LINES, "10"));
        let (odd, mut news) = book.follow(Some("odd"), 2);
        let messages: Vec<_> = odd.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages, ["2007", "2009"]);
        book.write(line("odd", 7));
        assert_eq!(news.try_recv().unwrap().message, "7");
    }

    #[test]
    fn lines_are_numbered_from_the_first_one_ever() {
        let book = LogBook::default();
        let after = |seen, most| -> Vec<(u64, String)> {
            let found = book.after(seen, most).into_iter();
            found
                .map(|(number, line)| (number, line.message.clone()))
                .collect()
        };
        assert_eq!(after(0, 100), []);
        for n in 1..=KEPT_LINES + 10 {
            book.write(line("m", n));
        }
        let told = |numbers: std::ops::RangeInclusive<u64>| -> Vec<_> {
            numbers.map(|number| (number, number.to_string())).collect()
        };
        assert_eq!(after(0, 3), told(2008..=2010));
        assert_eq!(after(2008, 100), told(2009..=2010));
        assert_eq!(after(2010, 100), []);
        // Those that are gone are not told, whoever has seen how much.
        assert_eq!(after(0, usize::MAX), told(11..=2010));
    }
}

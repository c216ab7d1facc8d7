//! The lines that were logged of late, for whoever follows them, and the levels of the log. Written
//! by the program's own log, of which this crate knows nothing else.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nexum_manifest::LogLevels;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// The lines that are kept of each module, and of the engine itself: one that logs much leaves
/// those of the others where they are.
const KEPT_LINES: usize = 1_000;
/// What all kept lines may take together, in bytes. Beyond it the oldest of whoever has most go.
const KEPT_BYTES: usize = 16 * 1024 * 1024;
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
    /// By number. The first line of all has number 1.
    lines: BTreeMap<u64, Arc<LogLine>>,
    /// Whose lines they are: a module's, or under none the engine's own.
    rings: HashMap<Option<String>, Ring>,
    bytes: usize,
    /// How many there have been, those that are gone included.
    written: u64,
}

/// The lines of one module.
#[derive(Default)]
struct Ring {
    /// Their numbers, oldest first.
    numbers: VecDeque<u64>,
    bytes: usize,
}

impl Kept {
    fn push(&mut self, line: Arc<LogLine>) {
        self.written += 1;
        let bytes = line.bytes();
        let whose = line.module.clone();
        self.lines.insert(self.written, line);
        self.bytes += bytes;
        let ring = self.rings.entry(whose.clone()).or_default();
        ring.numbers.push_back(self.written);
        ring.bytes += bytes;
        if ring.numbers.len() > KEPT_LINES {
            self.drop_oldest(&whose);
        }
        while self.bytes > KEPT_BYTES {
            let most = self.rings.iter().max_by_key(|(_, ring)| ring.bytes);
            let Some(whose) = most.map(|(whose, _)| whose.clone()) else {
                break;
            };
            self.drop_oldest(&whose);
        }
    }

    fn drop_oldest(&mut self, whose: &Option<String>) {
        let Some(ring) = self.rings.get_mut(whose) else {
            return;
        };
        let oldest = ring.numbers.pop_front();
        if let Some(line) = oldest.and_then(|number| self.lines.remove(&number)) {
            let bytes = line.bytes();
            self.bytes -= bytes;
            ring.bytes -= bytes;
        }
        if ring.numbers.is_empty() {
            self.rings.remove(whose);
        }
    }
}

impl LogLine {
    /// What it takes, about, in bytes.
    fn bytes(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| {
            let value = value.as_str().map_or(size_of_val(value), str::len);
            name.len() + value
        });
        size_of_val(self) + self.target.len() + self.message.len() + fields.sum::<usize>()
    }
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
        kept.push(Arc::clone(&line));
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
        let wanted = kept.lines.values().filter(|line| is_of(line, module));
        let mut found: Vec<_> = wanted.rev().take(last).cloned().collect();
        found.reverse();
        (found, self.news.subscribe())
    }

    /// Of the lines after the one of number `seen`, the last `most` that are kept, each with its
    /// number. The first line of all has number 1.
    pub(crate) fn after(&self, seen: u64, most: usize) -> Vec<(u64, Arc<LogLine>)> {
        let kept = self.kept();
        let newest = kept.lines.range(seen.saturating_add(1)..).rev().take(most);
        let mut found: Vec<_> = newest
            .map(|(number, line)| (*number, Arc::clone(line)))
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
    fn so_many_lines_are_kept_of_each_and_a_follower_misses_none() {
        let book = LogBook::default();
        book.write(line("quiet", 0));
        for n in 0..KEPT_LINES + 10 {
            book.write(line("loud", n));
        }
        let (all, _) = book.follow(None, usize::MAX);
        assert_eq!((all.len(), all[0].message.as_str()), (KEPT_LINES + 1, "0"));
        assert_eq!(all[1].message, "10", "the loud one's own are gone");
        let (loud, mut news) = book.follow(Some("loud"), 2);
        let messages: Vec<_> = loud.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages, ["1008", "1009"]);
        book.write(line("quiet", 7));
        assert_eq!(news.try_recv().unwrap().message, "7");
    }

    #[test]
    fn long_lines_of_many_modules_are_bounded_together() {
        let book = LogBook::default();
        book.write(line("quiet", 0));
        let long = LogLine {
            message: "x".repeat(10 * 1024),
            ..LogLine::default()
        };
        for n in 0..10 * KEPT_LINES {
            let module = Some(format!("loud-{}", n % 10));
            book.write(LogLine {
                module,
                ..long.clone()
            });
        }
        let kept = book.kept();
        let taken: usize = kept.lines.values().map(|line| line.bytes()).sum();
        assert_eq!(kept.bytes, taken);
        assert!(
            taken <= KEPT_BYTES && taken > KEPT_BYTES * 9 / 10,
            "{taken}"
        );
        assert_eq!(kept.lines.first_key_value().unwrap().1.message, "0");
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
        assert_eq!(after(0, 3), told(1008..=1010));
        assert_eq!(after(1008, 100), told(1009..=1010));
        assert_eq!(after(1010, 100), []);
        // Those that are gone are not told, whoever has seen how much.
        assert_eq!(after(0, usize::MAX), told(11..=1010));
    }
}

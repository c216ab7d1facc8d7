//! A fixture, step by step: the next one comes once the engine has handled everything before it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use nexum_engine::{ModuleStatus, OperateError, Phase};
use nexum_host::{Clock as _, Host};
use nexum_testkit::{Act, Action, Expect, Expectation, FixtureStep};
use nexum_types::{Cursor, Depth, ModuleName, ScheduleId, Source, StateBackend as _};

use super::{
    Told,
    book::Book,
    clock::MockClock,
    fit,
    report::{RunReport, UnmetReport},
    seed::Entry,
    stage::{self, Staged},
    tell,
    weather::Weather,
};
use crate::{build::Built, cli::RunArgs, exit::Failure, output};

/// How often the engine is looked at while something is to happen.
const LOOK: Duration = Duration::from_millis(1);

/// Plays one fixture in an engine of its own.
pub(super) async fn play(
    (host, clock): (&Arc<Host>, &Arc<MockClock>),
    built: &Built,
    told: &Told,
    given: &[Entry],
    args: &RunArgs,
) -> Result<RunReport, Failure> {
    let fixture = told.path.display().to_string();
    let manifest = &built.manifest;
    if !args.json {
        let heading = format!("{} {} on {fixture}\n", manifest.name, manifest.version);
        output::print(&output::styled(output::Style::Strong, &heading))?;
    }
    let book = Arc::new(Book::new(args.json));
    let staged = Staged::start(host, built, told, given, Arc::clone(&book) as _).await?;
    let weather = staged
        .chains
        .iter()
        .map(|chain| (chain.id(), Weather::fair(chain.endpoints())))
        .collect();
    let mut player = Player {
        name: manifest.name.clone(),
        clock: Arc::clone(clock),
        staged,
        book,
        told,
        weather,
        timeout: args.timeout,
        is_quiet: args.json,
        met: 0,
        unmet: Vec::new(),
    };
    let played = player.play().await;
    let Player {
        staged,
        book,
        met,
        unmet,
        ..
    } = player;
    staged.engine.stop().await;
    played?;
    let (totals, calls) = book.close();
    let report = RunReport {
        ok: unmet.is_empty(),
        module: manifest.name.to_string(),
        version: manifest.version.clone(),
        fixture,
        calls,
        events: totals.events,
        failed: totals.failed,
        requests: totals.requests,
        met,
        unmet,
    };
    if !args.json {
        output::print(&report.summary())?;
    }
    Ok(report)
}

/// How waiting for the engine has ended.
#[derive(Debug, PartialEq, Eq)]
enum Settled {
    /// There is nothing left to do, or nothing that the module can do.
    Yes,
    /// Not in time.
    No,
}

struct Player<'a> {
    name: ModuleName,
    clock: Arc<MockClock>,
    staged: Staged,
    book: Arc<Book>,
    told: &'a Told,
    /// What stands between the engine and each chain.
    weather: BTreeMap<u64, Weather>,
    timeout: Duration,
    is_quiet: bool,
    met: usize,
    unmet: Vec<UnmetReport>,
}

impl Player<'_> {
    async fn play(&mut self) -> Result<(), Failure> {
        if self.settle(0).await == Settled::No {
            return self.late(1);
        }
        for step in &self.told.fixture.steps {
            self.say(step.line)?;
            let is_settled = match &step.act {
                Act::Expect(expectations) => {
                    self.look(step.line, expectations).await?;
                    Settled::Yes
                }
                Act::Chain(chain, action) => self.act(step, *chain, action).await?,
                Act::Tick { schedule } => self.tick(schedule).await?,
                Act::Http {
                    method,
                    url,
                    answer,
                } => {
                    self.staged.servers.answer(method, url, answer);
                    Settled::Yes
                }
                // There since genesis, or refused before anything ran.
                _ => Settled::Yes,
            };
            if is_settled == Settled::No {
                return self.late(step.line);
            }
        }
        // What came after the last expectations: nothing of it may have failed.
        let last = self.told.fixture.steps.last().map_or(1, |step| step.line);
        let (seen, first_failure) = self.book.take();
        if seen.failed > 0 {
            self.unexpected(last, seen.failed, first_failure)?;
        }
        Ok(())
    }

    /// Does something to a chain or its endpoints, and waits until the engine has handled it.
    async fn act(
        &mut self,
        step: &FixtureStep,
        chain: u64,
        action: &Action,
    ) -> Result<Settled, Failure> {
        let before = self.status();
        let Some((_, staged)) = self.staged.chain(chain) else {
            return Ok(Settled::Yes);
        };
        staged
            .apply(step.line, action)
            .map_err(|error| stage::refused(self.told, error.line, error.problem.to_string()))?;
        if action.waits_for_a_block() {
            // Nobody can have heard of it, and the next attempt would be for nothing.
            return Ok(Settled::Yes);
        }
        if let Some(weather) = self.weather.get_mut(&chain) {
            weather.turns(action);
        }
        if let Action::Wait(duration) = action {
            tokio::time::sleep(*duration).await;
        }
        self.clock
            .is(Duration::from_secs(staged.chain.head().timestamp));
        if before.phase == Phase::Backoff {
            self.hurry().await?;
        }
        if self.settle(before.failed).await == Settled::No {
            return Ok(Settled::No);
        }
        // By now all that the chain has brought is handled.
        self.clock.lets_schedules_come();
        Ok(self.settle(before.failed).await)
    }

    /// Lets time pass until a schedule is due, and waits until the engine has handled that.
    async fn tick(&mut self, schedule: &str) -> Result<Settled, Failure> {
        let before = self.status();
        let schedules = self.staged.schedules.iter();
        let mut named = schedules.filter(|known| known.text() == schedule);
        let now = u64::try_from(self.clock.schedules().as_millis()).unwrap_or(u64::MAX);
        if let Some(due) = named.next().and_then(|known| known.next_after(now)) {
            self.clock.is(Duration::from_millis(due));
            self.clock.lets_schedules_come();
        }
        if before.phase == Phase::Backoff {
            self.hurry().await?;
        }
        Ok(self.settle(before.failed).await)
    }

    /// The next attempt of a module that has failed: time has passed.
    async fn hurry(&self) -> Result<(), Failure> {
        let operator = self.staged.engine.operator();
        let hurried = operator.hurry(&self.name).await;
        hurried.map_err(|error: OperateError| Failure::other("the engine", error))
    }

    /// Waits until the engine has nothing left to do with the chains as they are, or the module
    /// has failed once more than `failed` times.
    async fn settle(&self, failed: u64) -> Settled {
        let began = Instant::now();
        loop {
            if self.is_settled(&self.status(), failed) {
                return Settled::Yes;
            }
            if began.elapsed() > self.timeout {
                return Settled::No;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_settled(&self, status: &ModuleStatus, failed: u64) -> bool {
        match status.phase {
            Phase::Dead | Phase::Stopped => true,
            Phase::Backoff => status.failed > failed,
            Phase::Init | Phase::Park => false,
            Phase::Run => {
                let mut sources = self.staged.sources.iter();
                status.stalled.is_some() || sources.all(|source| self.rests(status, *source))
            }
        }
    }

    /// Whether the module is done with a source as it is, or cannot come to know how it is.
    fn rests(&self, status: &ModuleStatus, source: Source) -> bool {
        let (chain, depth) = match source {
            Source::Chain(chain, depth) => (chain, depth),
            Source::Schedule(id) => return self.is_past(status, id),
        };
        let Some((_, staged)) = self.staged.chain(chain.0) else {
            return true;
        };
        if self.weather.get(&chain.0).is_some_and(Weather::is_foul) {
            return true;
        }
        let Some(rest) = status.rests.get(&source) else {
            return false;
        };
        let is_at_head = rest.head.hash == staged.chain.head().hash;
        let knows_depth = match depth {
            Depth::Head | Depth::Confirmations(_) => true,
            // The engine asks for these by itself, some time after the head.
            Depth::Safe | Depth::Finalized => {
                stage::newest(&staged.chain, depth).is_none_or(|newest| rest.next.0 > newest)
            }
        };
        is_at_head && knows_depth
    }

    /// Whether nothing of a schedule is due.
    fn is_past(&self, status: &ModuleStatus, id: ScheduleId) -> bool {
        let Some(Cursor::Tick(done_ms)) = status.cursors.get(&Source::Schedule(id)) else {
            return false;
        };
        let mut schedules = self.staged.schedules.iter();
        let schedule = schedules.find(|schedule| schedule.id() == id);
        let next = schedule.and_then(|schedule| schedule.next_after(*done_ms));
        next.is_none_or(|next| Duration::from_millis(next) > self.clock.schedules())
    }

    fn status(&self) -> ModuleStatus {
        let mut modules = self.staged.engine.status();
        // It runs the one module of this run, until it is stopped.
        match modules.pop() {
            Some(status) => status,
            None => unreachable!("the engine runs the module that it was started with"),
        }
    }

    /// Holds what has happened against what was expected.
    async fn look(&mut self, line: usize, expectations: &[Expectation]) -> Result<(), Failure> {
        let (seen, first_failure) = self.book.take();
        let state = self.state(expectations).await?;
        let unmet = seen.unmet(expectations, |key| {
            Ok::<_, std::convert::Infallible>(state.get(key).cloned().flatten())
        });
        let Ok(unmet) = unmet;
        self.met += expectations.len() - unmet.len();
        for one in unmet {
            self.note(one.into())?;
        }
        let says_so = |one: &Expectation| matches!(one.expect, Expect::Failed(_));
        if seen.failed > 0 && !expectations.iter().any(says_so) {
            self.unexpected(line, seen.failed, first_failure)?;
        }
        Ok(())
    }

    /// What the state holds under the keys that are looked at.
    async fn state(
        &self,
        expectations: &[Expectation],
    ) -> Result<BTreeMap<String, Option<Vec<u8>>>, Failure> {
        let keys = expectations.iter().filter_map(|one| match &one.expect {
            Expect::State { key, .. } => Some(key.clone()),
            _ => None,
        });
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let read = self
            .staged
            .engine
            .operator()
            .read(&self.name, move |store| {
                let snapshot = store.snapshot();
                Ok(snapshot.and_then(|snapshot| {
                    keys.into_iter()
                        .map(|key| Ok((key.clone(), snapshot.get(&key)?)))
                        .collect::<Result<_, _>>()
                }))
            });
        read.await
            .map_err(|error| Failure::other("reading the state", error))?
            .map_err(|error| Failure::other("reading the state", error))
    }

    fn unexpected(
        &mut self,
        line: usize,
        count: u64,
        first: Option<String>,
    ) -> Result<(), Failure> {
        let first = first.unwrap_or_default();
        let what = format!("{count} calls failed, and none is expected to; the first: {first}");
        self.note(UnmetReport { line, what })
    }

    fn late(&mut self, line: usize) -> Result<(), Failure> {
        let timeout = humantime::format_duration(self.timeout);
        let phase = self.status().phase.as_str();
        let what = format!(
            "the engine has not handled this within {timeout}; the module is in the phase {phase}"
        );
        self.note(UnmetReport { line, what })
    }

    fn note(&mut self, unmet: UnmetReport) -> Result<(), Failure> {
        if !self.is_quiet {
            output::print(&tell::unmet(unmet.line, &unmet.what))?;
        }
        self.unmet.push(unmet);
        Ok(())
    }

    fn say(&self, line: usize) -> Result<(), Failure> {
        if self.is_quiet {
            return Ok(());
        }
        output::print(&tell::step(line, fit::line_of(self.told, line)))
    }
}

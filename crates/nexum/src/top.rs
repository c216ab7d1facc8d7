//! `nexum top`: the running engine's modules and chains, live. It asks once a second, and changes
//! nothing.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    path::Path,
    time::{Duration, Instant},
};

use nexum_engine::wire::{EngineReport, ModuleReport};
use ratatui::{
    Frame,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Block, Paragraph, Row, Table, TableState},
};

use crate::{cli::ConfigFile, client::Client, exit::Failure, modules::bytes, place};

/// The time between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a key waits to be seen.
const KEYS: Duration = Duration::from_millis(100);

/// What is shown.
#[derive(Default)]
struct View {
    report: Option<EngineReport>,
    /// Events a second since the look before, by module.
    rates: BTreeMap<String, f64>,
    /// Why there is nothing new, if there is not.
    trouble: Option<String>,
    table: TableState,
}

impl View {
    /// Takes a report, so long after the one before.
    fn take(&mut self, report: EngineReport, since: Duration) {
        let before: BTreeMap<_, _> = self
            .report
            .iter()
            .flat_map(|report| &report.modules)
            .map(|module| (module.name.as_str(), module.delivered))
            .collect();
        let rate = |module: &ModuleReport| {
            let before = *before.get(module.name.as_str())?;
            // Counts are far below what a float holds exactly.
            let events = module.delivered.saturating_sub(before) as f64;
            Some((module.name.clone(), events / since.as_secs_f64()))
        };
        self.rates = report.modules.iter().filter_map(rate).collect();
        self.report = Some(report);
        self.trouble = None;
    }
}

pub(crate) async fn top(config: &ConfigFile, state_dir: Option<&Path>) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        let help = "for other uses there is `nexum health --json`";
        return Err(Failure::usage("nexum top needs a terminal", help));
    }
    let client = Client::connect(&place::named(state_dir, config)?).await?;
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::other("the terminal cannot be used", error))?;
    let done = watch(&client, &mut terminal).await;
    ratatui::restore();
    done
}

async fn watch(client: &Client, terminal: &mut ratatui::DefaultTerminal) -> Result<(), Failure> {
    let failed = |error| Failure::other("the terminal cannot be used", error);
    let mut view = View::default();
    let mut looked: Option<Instant> = None;
    loop {
        if looked.is_none_or(|at| at.elapsed() >= PERIOD) {
            let since = looked.map_or(PERIOD, |at| at.elapsed());
            match client.get::<EngineReport>("/v1/engine").await {
                Ok(report) => view.take(report, since),
                // It may be starting again.
                Err(failure) => view.trouble = Some(failure.summary()),
            }
            looked = Some(Instant::now());
        }
        terminal
            .draw(|frame| draw(frame, &mut view))
            .map_err(failed)?;
        if !event::poll(KEYS).map_err(failed)? {
            continue;
        }
        if let Event::Key(key) = event::read().map_err(failed)?
            && !obey(key, &mut view)
        {
            return Ok(());
        }
    }
}

/// Does what a key asks for. False where that is the end.
fn obey(key: KeyEvent, view: &mut View) -> bool {
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if key.kind == KeyEventKind::Release => true,
        _ if is_interrupt => false,
        KeyCode::Char('q') | KeyCode::Esc => false,
        KeyCode::Down => {
            view.table.select_next();
            true
        }
        KeyCode::Up => {
            view.table.select_previous();
            true
        }
        _ => true,
    }
}

fn draw(frame: &mut Frame<'_>, view: &mut View) {
    let chains = view.report.as_ref().map_or(0, |report| {
        let lines = report
            .chains
            .iter()
            .map(|chain| chain.endpoints.len().max(1));
        lines.sum::<usize>()
    });
    let chains = u16::try_from(chains).unwrap_or(u16::MAX).min(12);
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(chains + 3),
        Constraint::Min(3),
        Constraint::Length(1),
    ]);
    let [head, chains, modules, foot] = areas.areas(frame.area());
    let Some(report) = &view.report else {
        let text = view.trouble.as_deref().unwrap_or("asking the engine");
        frame.render_widget(Paragraph::new(text), frame.area());
        return;
    };
    let up = Duration::from_secs(report.uptime_ms / 1000);
    let title = format!(
        "nexum {} (process {}), up {up:?}, {} modules",
        report.version,
        report.pid,
        report.modules.len()
    );
    frame.render_widget(Line::styled(title, Modifier::BOLD), head);
    frame.render_widget(chain_table(report), chains);
    let table = module_table(report, &view.rates);
    frame.render_stateful_widget(table, modules, &mut view.table);
    let text = match &view.trouble {
        Some(trouble) => Line::styled(trouble.as_str(), Color::Red),
        None => Line::from("q ends, arrows move"),
    };
    frame.render_widget(text, foot);
}

fn chain_table(report: &EngineReport) -> Table<'static> {
    let rows = report.chains.iter().flat_map(|chain| {
        let head = chain.head.map_or("-".to_owned(), |head| head.to_string());
        chain
            .endpoints
            .iter()
            .enumerate()
            .map(move |(index, node)| {
                let (id, head) = match index {
                    0 => (chain.chain_id.to_string(), head.clone()),
                    _ => (String::new(), String::new()),
                };
                let cells = [
                    id,
                    head,
                    node.endpoint.clone(),
                    node.state.clone(),
                    node.lag.to_string(),
                    node.requests.to_string(),
                    node.errors.to_string(),
                ];
                let is_well = node.state == "well";
                Row::new(cells).style(if is_well {
                    Style::new()
                } else {
                    Color::Red.into()
                })
            })
    });
    let widths = [
        Constraint::Length(12),
        Constraint::Length(12),
        Constraint::Min(20),
        Constraint::Length(12),
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(8),
    ];
    let head = [
        "CHAIN", "HEAD", "ENDPOINT", "STATE", "BEHIND", "REQUESTS", "ERRORS",
    ];
    Table::new(rows, widths)
        .header(Row::new(head).style(Modifier::BOLD))
        .block(Block::bordered())
}

fn module_table(report: &EngineReport, rates: &BTreeMap<String, f64>) -> Table<'static> {
    let rows = report.modules.iter().map(|module| {
        let at = module
            .cursors
            .iter()
            .filter_map(|cursor| cursor.block)
            .max();
        let rate = rates.get(&module.name);
        let error = module.stalled.as_ref().or(module.last_error.as_ref());
        let cells = [
            module.name.clone(),
            module.version.clone(),
            module.phase.clone(),
            rate.map_or("-".to_owned(), |rate| format!("{rate:.1}")),
            module.delivered.to_string(),
            module.failed.to_string(),
            module.dead_letters.to_string(),
            module.state_bytes.map_or("-".to_owned(), bytes),
            at.map_or("-".to_owned(), |block| block.to_string()),
            error.cloned().unwrap_or_default(),
        ];
        let style = match module.phase.as_str() {
            "dead" => Color::Red.into(),
            "backoff" | "park" => Color::Yellow.into(),
            _ => Style::new(),
        };
        Row::new(cells).style(style)
    });
    let widths = [
        Constraint::Min(16),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(10),
        Constraint::Length(7),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(10),
        Constraint::Fill(1),
    ];
    let head = [
        "MODULE",
        "VERSION",
        "PHASE",
        "EVENTS/S",
        "EVENTS",
        "FAILED",
        "LETTERS",
        "STATE",
        "BLOCK",
        "LAST ERROR",
    ];
    Table::new(rows, widths)
        .header(Row::new(head).style(Modifier::BOLD))
        .row_highlight_style(Modifier::REVERSED)
        .block(Block::bordered())
}

#[cfg(test)]
mod tests {
    use nexum_engine::{
        Origin,
        wire::{ChainReport, EndpointReport},
    };
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    fn report(delivered: u64, phase: &str) -> EngineReport {
        EngineReport {
            version: "0.3.0".into(),
            pid: 7,
            uptime_ms: 61_000,
            modules: vec![ModuleReport {
                name: "price-alert".into(),
                version: "1.2.3".into(),
                origin: Origin::Configured,
                digest: String::new(),
                phase: phase.into(),
                delivered,
                failed: 3,
                parked: 0,
                dead_letters: 2,
                skipped: 0,
                state_bytes: Some(2048),
                cursors: Vec::new(),
                stalled: None,
                last_error: Some("it trapped".into()),
            }],
            chains: vec![ChainReport {
                chain_id: 1,
                head: Some(23_000_000),
                endpoints: vec![EndpointReport {
                    endpoint: "wss://node.example".into(),
                    state: "well".into(),
                    head: Some(23_000_000),
                    lag: 0,
                    requests: 12,
                    errors: 1,
                }],
            }],
        }
    }

    fn shown(view: &mut View, width: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, 12)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_module_is_shown_with_what_it_handles_in_a_second() {
        let mut view = View::default();
        assert!(shown(&mut view, 120).contains("asking the engine"));
        view.take(report(100, "run"), PERIOD);
        view.take(report(150, "run"), Duration::from_secs(2));
        let text = shown(&mut view, 140);
        for part in [
            "up 61s",
            "23000000",
            "wss://node.example",
            "price-alert",
            "25.0",
            "2 KiB",
            "it trapped",
        ] {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
        // Whatever there is room for is shown, and nothing fails.
        for width in [1, 20, 60] {
            shown(&mut view, width);
        }
        view.trouble = Some("no engine runs".into());
        assert!(shown(&mut view, 140).contains("no engine runs"));
    }

    #[test]
    fn q_escape_and_an_interrupt_end_it() {
        let mut view = View::default();
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        assert!(!obey(
            key(KeyCode::Char('q'), KeyModifiers::NONE),
            &mut view
        ));
        assert!(!obey(key(KeyCode::Esc, KeyModifiers::NONE), &mut view));
        assert!(!obey(
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
            &mut view
        ));
        assert!(obey(key(KeyCode::Char('c'), KeyModifiers::NONE), &mut view));
        assert!(obey(key(KeyCode::Down, KeyModifiers::NONE), &mut view));
    }
}

//! The status page in a real browser, over the real binary.

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    engine::{Engine, free_port, get},
    folder::{Folder, component, manifest},
    node::Node,
    page_server::{PageServer, module, report},
};

const DEAD_LETTER: &str =
    "[module.restart]\nmax_consecutive_failures = 1\non_failure = \"dead-letter\"\n";
const MORTAL: &str = "[module.restart]\nmax_consecutive_failures = 1\n";

/// An engine with a module that is well, one that speaks markup and parks events, one that parks
/// others, and one that is dead.
fn folder(node: &Node) -> Folder {
    let folder = Folder::empty();
    let bundles = [
        ("counter", "", ""),
        ("markup", DEAD_LETTER, "[config]\nevery = 4\n"),
        ("poison", DEAD_LETTER, ""),
        ("trap-in-init", MORTAL, ""),
    ];
    for (name, restart, config) in bundles {
        let text = manifest(name) + restart + config;
        folder.bundle(name, &text, &component(name));
    }
    folder.engine_file("", &node.ws(), &bundles.map(|(name, ..)| name));
    folder
}

/// Opens the page of an engine, and waits until it shows something.
fn open(browser: &mut Browser, engine: &Engine) -> String {
    let url = format!("http://{}/", engine.health());
    browser.open(&url);
    browser.until("the page is live", "document.body?.dataset.link === 'live'");
    url
}

/// The text of the cells of the module's row, by their labels.
fn row(browser: &mut Browser, module: &str) -> Value {
    browser.value(&format!(
        r##"(() => {{
            const row = document.querySelector("#modules [data-module='{module}'] tr");
            const cells = [...row.querySelectorAll("td")];
            return Object.fromEntries(cells.map((cell) => [cell.dataset.label, cell.textContent]));
        }})()"##
    ))
}

/// Every text that is seen, with the contrast of its colour to what is behind it (WCAG 2.2, 1.4.3);
/// the lowest.
const LOWEST_CONTRAST: &str = r#"(() => {
    const parse = (text) => {
        const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
        return [r, g, b, a];
    };
    const over = ([r, g, b, a], below) =>
        [r, g, b].map((value, at) => value * a + below[at] * (1 - a));
    const behind = (element) => {
        if (element === null) return [255, 255, 255];
        const colour = parse(getComputedStyle(element).backgroundColor);
        return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
    };
    const luminance = (colour) => {
        const [r, g, b] = colour.map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => {
        const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
        return (light + 0.05) / (dark + 0.05);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let lowest = { contrast: 21, text: "" };
    let seen = 0;
    const judge = (element, pseudo, text) => {
        const below = behind(element);
        const colour = over(parse(getComputedStyle(element, pseudo).color), below);
        seen += 1;
        const ratio = contrast(colour, below);
        if (ratio < lowest.contrast) lowest = { contrast: ratio, text };
    };
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.textContent.trim();
        if (text === "" || !element.checkVisibility() || element.closest("style, script")) continue;
        judge(element, null, text);
    }
    for (const cell of document.querySelectorAll("td")) {
        const { content } = getComputedStyle(cell, "::before");
        if (content !== "none" && cell.checkVisibility()) judge(cell, "::before", content);
    }
    judge(document.getElementById("filter"), "::placeholder", "the placeholder");
    return { ...lowest, seen };
})()"#;

#[track_caller]
fn assert_legible(browser: &mut Browser, how: &str) {
    let lowest = browser.value(LOWEST_CONTRAST);
    assert!(lowest["seen"].as_u64() > Some(40), "{how}: {lowest}");
    assert!(lowest["contrast"].as_f64() >= Some(4.5), "{how}: {lowest}");
}

/// Nothing is wider than the screen.
#[track_caller]
fn assert_fits(browser: &mut Browser, width: u32) {
    let wide = browser.value("document.documentElement.scrollWidth");
    let widest = browser.value(&format!(
        "[...document.querySelectorAll('body *')] \
         .filter((element) => element.getBoundingClientRect().right > {width}) \
         .map((element) => `${{element.tagName}} ${{element.id}} ${{element.className}}`) \
         .slice(0, 10)"
    ));
    assert!(
        wide.as_u64() <= Some(width.into()),
        "{wide} on a screen of {width}: {widest}"
    );
    let sticking_out = browser.value(
        "[...document.querySelectorAll('.figures > div, .chain, #modules tbody, #letters tbody tr')] \
         .flatMap((card) => [...card.querySelectorAll('*')] \
             .filter((part) => part.getBoundingClientRect().right > card.getBoundingClientRect().right) \
             .map((part) => part.outerHTML))",
    );
    assert_eq!(sticking_out, json!([]), "on a screen of {width}");
}

#[track_caller]
fn assert_no_complaint(browser: &mut Browser) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_browser_shows_the_engine_as_it_changes_and_asks_nobody_else() {
    let node = Node::at(3);
    let folder = folder(&node);
    let engine = folder.run();
    engine.wait_for_line("module is dead");
    let mut browser = Browser::start();
    let url = open(&mut browser, &engine);

    // Modules, their states, and what is wrong with whom.
    browser.until(
        "everything is shown",
        "document.querySelectorAll('#modules tbody').length === 4",
    );
    browser.until(
        "block 3 is a dead letter",
        "document.querySelectorAll('#letters tbody tr').length === 1",
    );
    let handled = |module: &str, count: u64| {
        format!(
            "document.querySelector('[data-module={module}] [data-label=Events]').textContent === '{count}'"
        )
    };
    browser.until("the first blocks are handled", &handled("counter", 3));
    let names = browser
        .value("[...document.querySelectorAll('#modules tbody th')].map((th) => th.textContent)");
    assert_eq!(
        names,
        json!(["trap-in-init", "counter", "markup", "poison"])
    );
    assert_eq!(row(&mut browser, "trap-in-init")["State"], "dead");
    let counter = row(&mut browser, "counter");
    assert_eq!(
        (&counter["State"], &counter["Events"]),
        (&json!("run"), &json!("3"))
    );
    assert_eq!(
        (&counter["Blocks behind"], &counter["Failed"]),
        (&json!("0"), &json!("0"))
    );
    assert_eq!(browser.text("document.title"), "Degraded: Nexum");
    assert_eq!(
        browser.text("document.getElementById('verdict').textContent"),
        "Degraded"
    );
    let reasons = browser.text("document.getElementById('reasons').textContent");
    assert!(reasons.contains("module trap-in-init is dead"), "{reasons}");
    let why = browser.text("document.querySelector('[data-module=trap-in-init] .why').textContent");
    assert!(why.contains("trapped"), "{why}");
    let letter = browser.text("document.querySelector('#letters tbody').textContent");
    assert!(
        letter.contains("block 3 of chain 31337") && letter.contains("poison"),
        "{letter}"
    );

    // Live: each block that is mined is shown, without the page being loaded again.
    let head = "document.querySelector('[data-chain=\"31337\"] .block').textContent";
    for block in 4..=8 {
        node.chain().mine(1);
        browser.until("the head rises", &format!("{head} === 'block {block}'"));
    }
    let pace = "document.querySelector('[data-module=counter] [data-label=\"Events a second\"] span').textContent";
    browser.until("there is a pace", &format!("Number({pace}) > 0"));
    browser.until("its blocks are handled", &handled("counter", 8));
    browser.until("but for 3 and 6", &handled("poison", 6));
    browser.until("but for 4 and 8", &handled("markup", 6));
    let latency = "document.querySelector('[data-module=counter] .latency span').textContent";
    browser.until(
        "there is a latency",
        &format!("/^\\d.* [µm]?s \\/ \\d.* [µm]?s$/.test({latency})"),
    );
    let line = "document.querySelector('[data-module=counter] .spark .line').getAttribute('d')";
    browser.until(
        "there is a line of it",
        &format!("{line}.split('L').length > 2"),
    );
    let node_url = node.ws();
    let endpoint = browser.text("document.querySelector('.endpoint').textContent");
    assert!(
        endpoint.contains(node_url.trim_end_matches('/')),
        "{endpoint}"
    );
    assert!(
        endpoint.contains("well") && endpoint.contains("in use"),
        "{endpoint}"
    );

    // Letters of both modules, newest first, and what they have said.
    browser.until(
        "all letters are shown",
        "document.querySelectorAll('#letters tbody tr').length === 4",
    );
    browser.until(
        "the log is shown as it goes on",
        "document.getElementById('log').textContent.includes('<b>block 7</b> &amp;')",
    );

    // Whatever a module says is text.
    let log = browser.text("document.getElementById('log').textContent");
    for said in [
        "<script>document.title='owned'</script><b>block 7</b> &amp;",
        "</li></ol><h1>7</h1>",
        "module is dead",
    ] {
        assert!(log.contains(said), "no {said} in\n{log}");
    }
    let letters = browser.text("document.getElementById('letters').textContent");
    assert!(
        letters.contains("<img src=x onerror=\"document.title='owned'\"> at 8"),
        "{letters}"
    );
    let foreign = "document.querySelectorAll('img, iframe, #log h1, #log b, script:not(body > script)').length";
    assert_eq!(browser.value(foreign), 0);
    assert_eq!(browser.value("document.scripts.length"), 1);
    assert_eq!(browser.text("document.title"), "Degraded: Nexum");

    // The filter, by keyboard: name, then state, then those with trouble.
    let shown = "[...document.querySelectorAll('#modules tbody')].map((body) => body.dataset.module).join()";
    let mut filter = |text: &str| {
        browser.value(&format!(
            "(() => {{ const filter = document.getElementById('filter'); filter.value = '{text}'; \
             filter.dispatchEvent(new Event('input')); }})()"
        ));
        let count = browser.text("document.getElementById('modules-count').textContent");
        (browser.text(shown), count)
    };
    assert_eq!(filter("OUNT"), ("counter".into(), "1 of 4 modules".into()));
    assert_eq!(
        filter("dead"),
        ("trap-in-init".into(), "1 of 4 modules".into())
    );
    assert_eq!(filter("no such").0, "");
    assert_eq!(
        filter(""),
        (
            "trap-in-init,counter,markup,poison".into(),
            "4 modules".into()
        )
    );
    browser.value("document.getElementById('only-trouble').click()");
    assert_eq!(browser.text(shown), "trap-in-init");
    browser.value("document.getElementById('only-trouble').click()");

    // Nobody else was asked for anything, and the browser found nothing wrong.
    let requests = browser.requests();
    assert!(requests.contains(&url) && requests.contains(&format!("{url}events")));
    let elsewhere = |request: &&String| !request.starts_with(&url) && !request.starts_with("data:");
    assert_eq!(requests.iter().find(elsewhere), None, "{requests:?}");
    assert_no_complaint(&mut browser);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn the_page_is_legible_on_a_desk_and_on_a_phone_by_day_and_by_night() {
    let node = Node::at(3);
    let folder = folder(&node);
    let engine = folder.run();
    engine.wait_for_line("module is dead");
    let mut browser = Browser::start();
    open(&mut browser, &engine);
    node.chain().mine(3);
    browser.until(
        "there is a pace",
        "Number(document.getElementById('figure-rate').textContent) > 0",
    );
    browser.until(
        "there is a letter of block 4",
        "document.getElementById('letters').textContent.includes(' at 4')",
    );
    node.chain().mine(2);
    browser.until(
        "the lines have some points",
        "document.querySelector('.spark .line').getAttribute('d').split('L').length > 12",
    );

    let ground = "getComputedStyle(document.body).backgroundColor";
    let mut grounds = Vec::new();
    let mut pictures = Vec::new();
    for (screen, width, height) in [("desk", 1440, 900), ("phone", 360, 740)] {
        for scheme in ["light", "dark"] {
            browser.resize(width, height);
            browser.prefer(scheme, "no-preference");
            let how = format!("{screen}-{scheme}");
            assert_legible(&mut browser, &how);
            assert_fits(&mut browser, width);
            grounds.push(browser.text(ground));
            pictures.push((how.clone(), browser.picture(&how)));
        }
    }
    assert_ne!(grounds[0], grounds[1], "by night it is another colour");
    assert_eq!((&grounds[0], &grounds[1]), (&grounds[2], &grounds[3]));
    assert_fits(&mut browser, 360);

    // On the phone rows are cards, which still are a table to who hears them.
    let display = "getComputedStyle(document.querySelector('#modules tbody tr')).display";
    assert_eq!(browser.text(display), "grid");
    let roles = "[...document.querySelectorAll('#modules, #modules tbody tr, #modules tbody td')]\
                 .every((element) => element.hasAttribute('role'))";
    assert_eq!(browser.value(roles), true);
    browser.resize(1440, 900);
    assert_eq!(browser.text(display), "table-row");

    // A state has a word beside its colour, and nothing moves for who wants no motion.
    let wordless = "[...document.querySelectorAll('.mark')].filter((mark) => \
                    mark.parentElement.id !== 'link-mark' && mark.nextElementSibling === null).length";
    assert_eq!(browser.value(wordless), 0);
    let motion = "document.getAnimations().length";
    assert_eq!(browser.value(motion), 1, "the mark of a live page beats");
    browser.prefer("light", "reduce");
    assert_eq!(browser.value(motion), 0);

    // One line alone is read out by itself, and only when it changes.
    let polite = "[...document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log]')]\
                  .map((element) => `${element.id} ${element.getAttribute('aria-live')}`).join()";
    assert_eq!(browser.text(polite), "link-word polite");

    // The keyboard comes to everything that can be used.
    browser.value("document.activeElement.blur()");
    let mut visited = Vec::new();
    for _ in 0..5 {
        browser.press("Tab", 9);
        visited.push(browser.text("document.activeElement.id || document.activeElement.className"));
    }
    assert_eq!(
        visited,
        ["skip", "filter", "only-trouble", "log-level", "log"]
    );

    assert_no_complaint(&mut browser);
    for (how, picture) in pictures {
        let (colours, most) = picture.colours(&mut browser);
        assert!(
            colours > 50 && most < 0.95,
            "{how}: {colours} colours, {most} of it one"
        );
    }
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn the_page_says_when_the_engine_is_gone_and_goes_on_with_the_next_one() {
    let node = Node::at(3);
    let folder = folder(&node);
    // The next engine has to get it, too.
    let health = format!("health = \"127.0.0.1:{}\"", free_port());
    let text = std::fs::read_to_string(folder.path("nexum-engine.toml")).unwrap();
    let text = text.replace("health = \"127.0.0.1:0\"", &health);
    folder.write("nexum-engine.toml", text);
    let engine = folder.run();
    let mut browser = Browser::start();
    open(&mut browser, &engine);
    let lines = "document.getElementById('log').textContent.split('engine is starting').length - 1";
    browser.until("the log is shown", &format!("{lines} === 1"));
    let handled = |count: u64| {
        format!(
            "document.querySelector('[data-module=counter] [data-label=Events]')?.textContent === '{count}'"
        )
    };
    browser.until("the blocks are handled", &handled(3));
    assert_eq!(engine.stop().code, Some(0));
    browser.until("the loss is told", "document.body.dataset.link === 'lost'");
    let told = "document.getElementById('link').textContent";
    let is_told =
        format!("/^Connection lost, trying again. What is shown is \\d+ s old.$/.test({told})");
    browser.until("with the age of what is shown", &is_told);
    assert_legible(&mut browser, "lost");
    browser.picture("desk-lost");

    // What was shown is still there, and new blocks come as soon as there is an engine.
    assert_eq!(row(&mut browser, "counter")["Events"], "3");
    node.chain().mine(2);
    let engine = folder.run();
    engine.wait_for_line("engine is running");
    browser.until("it is live again", "document.body.dataset.link === 'live'");
    let head = "document.querySelector('[data-chain=\"31337\"] .block')?.textContent === 'block 5'";
    browser.until("the new engine's head is shown", head);
    // Its counts are those of the new engine, and so is its log.
    browser.until("it has handled two", &handled(2));
    browser.until("the log is the new engine's", &format!("{lines} === 1"));
    assert_eq!(engine.stop().code, Some(0));
}

/// Given a thousand modules, with names and errors as long as they can be.
#[test]
fn a_thousand_modules_are_a_table_with_a_filter() {
    let node = Node::at(1);
    let folder = Folder::following(&node.ws(), &["counter"]);
    let engine = folder.run();
    let page = get(engine.health(), "/");
    assert_eq!(engine.stop().code, Some(0));

    let names = (0..1000).map(|index| format!("module-{index:04}"));
    let mut modules: Vec<_> = names.map(|name| module(&name)).collect();
    modules[500]["phase"] = json!("dead");
    modules[500]["last_error"] = json!("x".repeat(1024));
    modules[501]["name"] = json!("w".repeat(64));
    modules[501]["phase"] = json!("backoff");
    modules[501]["lag"] = json!([
        { "chain_id": u64::MAX >> 12, "blocks": 123_456_789 },
        { "chain_id": 1, "blocks": 0 },
    ]);
    let server = PageServer::start(page, report(&modules));
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", server.address));
    let rows = "document.querySelectorAll('#modules tbody').length";
    browser.until("the first hundred are shown", &format!("{rows} === 100"));
    // Those with trouble come first.
    let first = "[...document.querySelectorAll('#modules tbody th')].slice(0, 3).map((th) => th.textContent.slice(0, 11)).join()";
    assert_eq!(browser.text(first), "module-0500,wwwwwwwwwww,module-0000");
    assert_eq!(
        browser.text("document.getElementById('modules-count').textContent"),
        "1,000 modules"
    );
    assert_eq!(
        browser.text("document.getElementById('figure-modules').textContent"),
        "998 of 1,000"
    );
    let no_log = browser.text("document.getElementById('no-log').innerText");
    assert!(no_log.contains("not shown at this address"), "{no_log}");
    browser.picture("desk-thousand");
    for width in [360, 414, 800, 1280] {
        browser.resize(width, 800);
        assert_fits(&mut browser, width);
    }
    browser.resize(360, 740);
    browser.picture("phone-thousand");

    browser.value("document.getElementById('show-all').click()");
    browser.until("all are shown", &format!("{rows} === 1000"));
    assert_fits(&mut browser, 360);
    browser.value(
        "(() => { const filter = document.getElementById('filter'); filter.value = '0999'; \
         filter.dispatchEvent(new Event('input')); })()",
    );
    assert_eq!(browser.value(rows), 1);

    // Reasons without number do not push the page away.
    let mut failing = report(&modules);
    let reason = |index: usize| json!(format!("module module-{index:04} is dead"));
    failing["reasons"] = (0..1000).map(reason).collect();
    server.tell(failing);
    browser.until(
        "some of the reasons are told",
        "document.getElementById('reasons').lastElementChild?.textContent === 'and 988 more'",
    );
    assert_fits(&mut browser, 360);

    // It keeps up: what is told next is shown, and what is gone is gone.
    modules.truncate(2);
    server.tell(report(&modules));
    browser.until(
        "two are left",
        "document.getElementById('modules-count').textContent === '0 of 2 modules'",
    );
    assert_no_complaint(&mut browser);
}

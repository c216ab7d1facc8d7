//! Metrics as a scraper reads them. Stricter than it has to be: what no scraper would take, or
//! would take for something else, is a panic here.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use crate::http::ask;

/// One answer to a scrape, in the text format of Prometheus.
#[derive(Debug)]
pub(crate) struct Scraped {
    /// The kind of each metric that was announced.
    pub(crate) kinds: BTreeMap<String, String>,
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

/// Asks for the metrics.
pub(crate) async fn scrape(address: SocketAddr) -> Scraped {
    let answer = ask(address, "/metrics", "host: localhost\r\n")
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    Scraped::parse(&answer.body)
}

impl Scraped {
    fn parse(text: &str) -> Self {
        let mut kinds = BTreeMap::new();
        let mut samples = BTreeMap::new();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split_once(' ').unwrap().0.to_owned();
                continue;
            }
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, family, "its help comes first");
                let again = kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(again, None, "{name} is announced twice");
                continue;
            }
            let (name, labels, value) = sample(line);
            let of_family = match kinds.get(&family).map(String::as_str) {
                Some("histogram") => ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|suffix| name.strip_suffix(suffix) == Some(&family)),
                _ => name == family,
            };
            assert!(of_family, "{line} is not of {family}");
            let again = samples.insert((name, labels), value);
            assert_eq!(again, None, "{line} is there twice");
        }
        let scraped = Self { kinds, samples };
        scraped.check_histograms();
        scraped
    }

    fn check_histograms(&self) {
        for ((name, labels), value) in &self.samples {
            let Some(family) = name.strip_suffix("_count") else {
                continue;
            };
            let bucket = |le: &str| {
                let mut labels = labels.clone();
                labels.insert("le".to_owned(), le.to_owned());
                self.samples.get(&(format!("{family}_bucket"), labels))
            };
            assert_eq!(bucket("+Inf"), Some(value), "{name} {labels:?}");
        }
    }

    /// The value of the one sample of this name and these labels.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let key = (name.to_owned(), labels.collect());
        self.samples.get(&key).copied()
    }

    /// As [`get`](Self::get), and it is there.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.get(name, labels);
        found.unwrap_or_else(|| panic!("no {name} {labels:?} in {self:#?}"))
    }

    /// The names of a metric's labels, without `le`: the same at each of its samples.
    pub(crate) fn labels(&self, family: &str) -> Option<BTreeSet<String>> {
        let mut of_family = self.samples.keys().filter(|(name, _)| {
            let rest = name.strip_prefix(family);
            matches!(rest, Some("" | "_bucket" | "_sum" | "_count"))
        });
        let names = |labels: &BTreeMap<String, String>| -> BTreeSet<String> {
            labels
                .keys()
                .filter(|name| *name != "le")
                .cloned()
                .collect()
        };
        let first = names(&of_family.next()?.1);
        for (_, labels) in of_family {
            assert_eq!(names(labels), first, "{family}");
        }
        Some(first)
    }

    /// Every value of a label, over all metrics.
    pub(crate) fn values_of(&self, label: &str) -> BTreeSet<&str> {
        let values = self
            .samples
            .keys()
            .filter_map(|(_, labels)| labels.get(label));
        values.map(String::as_str).collect()
    }

    /// Every value of a label of one metric.
    pub(crate) fn values_within(&self, metric: &str, label: &str) -> BTreeSet<&str> {
        let these = self.samples.keys().filter(|(name, _)| name == metric);
        let values = these.filter_map(|(_, labels)| labels.get(label));
        values.map(String::as_str).collect()
    }
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap();
    let Some((name, rest)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new(), value);
    };
    let inner = rest.strip_suffix('}').unwrap();
    let mut labels = BTreeMap::new();
    for label in inner.split(',') {
        let (key, quoted) = label.split_once('=').unwrap();
        let text = quoted
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let again = labels.insert(key.to_owned(), text.unwrap().to_owned());
        assert_eq!(again, None, "{line}");
    }
    (name.to_owned(), labels, value)
}

//! What must not be shown of the URLs of a chain's endpoints.

use std::fmt;

use url::Url;

/// The secret parts of URLs: userinfo, query and keys in the path. Its `Debug` shows none.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Shorter path segments (`v1`, `rpc`) are no keys.
    const SHORTEST_SEGMENT: usize = 6;

    pub(crate) fn of<'a>(urls: impl IntoIterator<Item = &'a Url>) -> Self {
        let mut secrets = Vec::new();
        for url in urls {
            secrets.push(url.username().to_owned());
            secrets.extend(url.password().map(str::to_owned));
            secrets.extend(url.query().map(str::to_owned));
            secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
            let segments = url.path_segments().into_iter().flatten();
            secrets.extend(
                segments
                    .filter(|segment| segment.len() >= Self::SHORTEST_SEGMENT)
                    .map(str::to_owned),
            );
        }
        secrets.retain(|secret| !secret.is_empty());
        Self(
            secrets
                .into_iter()
                .map(|secret| secret.to_ascii_lowercase())
                .collect(),
        )
    }

    pub(crate) fn occur_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_url_that_can_be_secret_is_found_whatever_its_case() {
        let url = "https://alice:s3cret@node.example/v2/KEY1234567?token=tok"
            .parse()
            .unwrap();
        let secrets = Secrets::of([&url]);
        for text in [
            "no such key: key1234567",
            "user Alice",
            "s3cret!",
            "?token=tok",
        ] {
            assert!(secrets.occur_in(text), "{text}");
        }
        assert!(!secrets.occur_in("v2 of node.example is busy"));
        assert_eq!(format!("{secrets:?}"), "Secrets(5)");
    }
}

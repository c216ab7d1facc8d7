//! What the feed asks nodes, and what it takes for an answer. Nothing leaves here that has not
//! been checked against what was asked.

use std::sync::Arc;

use alloy_primitives::{B256, Bloom};
use nexum_types::{Block, BlockNumber, ChainId, Log, LogFilter};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::{interest::Plan, ring::Entry, status::Counters};
use crate::{
    failure::Failure,
    header::{self, Header},
    logs,
    provider::{Answer, Provider},
};

/// The nodes of one chain, as the feed uses them.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) provider: Arc<Provider>,
    pub(super) counters: Arc<Counters>,
    pub(super) trust_bloom: bool,
}

/// The logs of a range, and the header of its last block.
pub(super) struct Range {
    pub(super) logs: Vec<Log>,
    pub(super) end: Header,
}

impl Source {
    pub(super) fn chain(&self) -> ChainId {
        self.provider.chain()
    }

    /// The head as a node sees it now.
    pub(super) async fn latest(&self) -> Result<Header, Failure> {
        let chain = self.chain();
        let read = |json: Box<RawValue>| {
            header::parse_header(chain, json.get())?.ok_or(Failure::Malformed)
        };
        let question = ("eth_getBlockByNumber", params(&json!(["latest", false]))?);
        known(self.provider.ask_as(question, read).await?)
    }

    /// The block of that hash, on whatever branch. `None`: the node does not know it.
    pub(super) async fn header_by_hash(&self, hash: B256) -> Result<Option<Header>, Failure> {
        let chain = self.chain();
        let read = |json: Box<RawValue>| match header::parse_header(chain, json.get())? {
            Some(header) if header.hash != hash => Err(Failure::Malformed),
            header => Ok(header),
        };
        let question = ("eth_getBlockByHash", params(&json!([hash, false]))?);
        known(self.provider.ask_as(question, read).await?)
    }

    /// The numbers of the blocks that have these tags. `None`: the node does not tell.
    pub(super) async fn tagged(&self, tags: &[&str]) -> Result<Vec<Option<BlockNumber>>, Failure> {
        let questions = tags.iter().map(|tag| json!([tag, false]));
        let chain = self.chain();
        let read = |_, json: Box<RawValue>| header::parse_header(chain, json.get());
        let answers = self
            .ask_each("eth_getBlockByNumber", questions, read)
            .await?;
        let numbers = answers.into_iter().map(|answer| {
            // A chain without the tag answers an error, or null.
            let header = answer?.ok().flatten();
            Ok(header.map(|header| header.number))
        });
        numbers.collect()
    }

    /// The canonical blocks of these numbers, in one packet. `None`: the node does not know it.
    pub(super) async fn headers(
        &self,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<Option<Header>>, Failure> {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let questions = numbers
            .iter()
            .map(|number| json!([format!("{number:#x}"), false]));
        let chain = self.chain();
        let read =
            |index: usize, json: Box<RawValue>| match header::parse_header(chain, json.get())? {
                Some(header) if header.number != BlockNumber(numbers[index]) => {
                    Err(Failure::Malformed)
                }
                header => Ok(header),
            };
        let answers = self
            .ask_each("eth_getBlockByNumber", questions, read)
            .await?;
        answers.into_iter().map(|answer| known(answer?)).collect()
    }

    /// The canonical blocks `first..=last`, each the parent of the next. Anything less is
    /// [`Failure::Behind`]: the node does not have them all, or was reorganised meanwhile.
    pub(super) async fn linked_headers(
        &self,
        first: u64,
        last: u64,
    ) -> Result<Vec<Header>, Failure> {
        let headers = self.headers(first..=last).await?;
        let Some(headers) = headers.into_iter().collect::<Option<Vec<_>>>() else {
            self.counters.oddities.null_blocks.one_more();
            return Err(Failure::Behind);
        };
        if !are_linked(&headers) {
            self.counters.oddities.unlinked_blocks.one_more();
            return Err(Failure::Behind);
        }
        Ok(headers)
    }

    /// The logs of each of these blocks, by hash, in one packet.
    pub(super) async fn block_logs(
        &self,
        plan: &Plan,
        entries: &[Arc<Entry>],
    ) -> Result<Vec<Result<Vec<Log>, Failure>>, Failure> {
        let mut questions = Vec::with_capacity(entries.len() * plan.filters.len());
        for entry in entries {
            for filter in &plan.filters {
                questions.push(logs::of_block(Some(filter), &entry.header.hash));
            }
        }
        let per_block = plan.filters.len();
        let read = |index: usize, json: Box<RawValue>| {
            self.read_block_logs(&entries[index / per_block].header, &json)
        };
        let answers = self.ask_each("eth_getLogs", questions.into_iter(), read);
        let mut answers = answers.await?.into_iter();
        let mut all = Vec::with_capacity(entries.len());
        for entry in entries {
            let own: Vec<_> = answers.by_ref().take(per_block).collect();
            let found = own.into_iter().map(|answer| self.have_logs(answer?));
            let found = match found.collect::<Result<Vec<_>, _>>() {
                Ok(found) => self.complete(plan, &entry.header, logs::merge(found)).await,
                Err(failure) => Err(failure),
            };
            all.push(found);
        }
        Ok(all)
    }

    /// A node may know a block before its logs, and answer none. Where the bloom has them, all
    /// the block's logs together must make the bloom, or else they are not all there.
    async fn complete(
        &self,
        plan: &Plan,
        header: &Header,
        found: Vec<Log>,
    ) -> Result<Vec<Log>, Failure> {
        let Some(bloom) = &header.bloom else {
            return Ok(found);
        };
        if !found.is_empty() || !self.trust_bloom || !plan.may_match(bloom) {
            return Ok(found);
        }
        let question = ("eth_getLogs", params(&logs::of_block(None, &header.hash))?);
        let read = |json: Box<RawValue>| self.read_block_logs(header, &json);
        let all = self.have_logs(self.provider.ask_as(question, read).await?)?;
        if bloom_of(&all) == **bloom {
            let is_wanted = |log: &Log| plan.filters.iter().any(|filter| filter.matches(log));
            return Ok(all.into_iter().filter(is_wanted).collect());
        }
        self.counters.oddities.missing_logs.one_more();
        Err(Failure::Behind)
    }

    /// The logs of the blocks `first..=last`. A node that does not know the last of them cannot
    /// tell: [`Failure::Behind`].
    pub(super) async fn range(
        &self,
        filters: &[LogFilter],
        first: u64,
        last: u64,
    ) -> Result<Range, Failure> {
        let mut questions = vec![(
            "eth_getBlockByNumber",
            params(&json!([format!("{last:#x}"), false]))?,
        )];
        for filter in filters {
            let question = params(&logs::of_range(filter, first, last))?;
            questions.push(("eth_getLogs", question));
        }
        let chain = self.chain();
        let read = |index: usize, json: Box<RawValue>| {
            if index == 0 {
                // Not knowing the block is no fault: the answers are taken together.
                let end = header::parse_header(chain, json.get())?;
                return Ok(Part::End(end));
            }
            let logs = logs::parse_range(chain, first, last, json.get());
            logs.map(Part::Logs)
                .map_err(|failure| self.bad_logs(failure))
        };
        let mut end = None;
        let mut found = Vec::with_capacity(filters.len());
        for answer in self.provider.ask_all_as(questions, read).await? {
            match known(answer?)? {
                Part::End(header) => end = header,
                Part::Logs(logs) => found.push(logs),
            }
        }
        let Some(end) = end else {
            self.counters.oddities.lagging.one_more();
            return Err(Failure::Behind);
        };
        let logs = logs::merge(found);
        let is_other = |log: &Log| log.block_number == end.number && log.block_hash != end.hash;
        if end.number != BlockNumber(last) || logs.iter().any(is_other) {
            return Err(self.contradicted());
        }
        Ok(Range { logs, end })
    }

    /// `None`: the node does not know the block, or not any more.
    fn read_block_logs(&self, block: &Block, json: &RawValue) -> Result<Option<Vec<Log>>, Failure> {
        if json.get() == "null" {
            return Ok(None);
        }
        let logs = logs::parse_block(block, json.get());
        logs.map(Some).map_err(|failure| self.bad_logs(failure))
    }

    /// Nodes have many words for a block that they do not know yet, or any more; each is
    /// [`Failure::Behind`].
    fn have_logs(&self, answer: Answer<Option<Vec<Log>>>) -> Result<Vec<Log>, Failure> {
        answer.ok().flatten().ok_or_else(|| {
            self.counters.oddities.null_blocks.one_more();
            Failure::Behind
        })
    }

    fn bad_logs(&self, failure: Failure) -> Failure {
        self.counters.oddities.bad_logs.one_more();
        failure
    }

    /// Logs that do not fit what is known of their blocks: the node that is asked first now has
    /// told them, or is no worse off for a short rest.
    pub(super) fn contradicted(&self) -> Failure {
        let failure = self.bad_logs(Failure::Malformed);
        match self.provider.preferred_but(&[]) {
            Some(node) => node.failed(failure),
            None => failure,
        }
    }

    async fn ask_each<T: Send>(
        &self,
        method: &str,
        questions: impl Iterator<Item = Value>,
        read: impl Fn(usize, Box<RawValue>) -> Result<T, Failure> + Sync,
    ) -> Result<Vec<Result<Answer<T>, Failure>>, Failure> {
        let questions = questions.map(|question| Ok((method, params(&question)?)));
        let questions = questions.collect::<Result<_, Failure>>()?;
        self.provider.ask_all_as(questions, read).await
    }
}

/// One answer of those that make a [`Range`].
enum Part {
    End(Option<Header>),
    Logs(Vec<Log>),
}

/// What the node answered; its error is a failure here.
fn known<T>(answer: Answer<T>) -> Result<T, Failure> {
    answer.map_err(|error| Failure::refused(&error))
}

/// True where each block is the parent of the next.
pub(super) fn are_linked(blocks: &[Header]) -> bool {
    blocks
        .windows(2)
        .all(|pair| pair[0].hash == pair[1].parent_hash && pair[0].number.next() == pair[1].number)
}

fn bloom_of(logs: &[Log]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue_raw_log(log.address, &log.topics);
    }
    bloom
}

fn params(params: &Value) -> Result<Box<RawValue>, Failure> {
    to_raw_value(params).map_err(|_| Failure::Malformed)
}

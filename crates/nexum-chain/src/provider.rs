//! The endpoints of one chain as one: asked in order of priority and health, the next where one
//! fails.

mod batch;
mod circuit;
mod health;
mod lag;
mod node;

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_json_rpc::{Id, Request, SerializedRequest};
use futures::future::join_all;
use nexum_manifest::ChainSettings;
use nexum_types::{BlockNumber, ChainId, Counter};
use serde_json::value::{RawValue, to_raw_value};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use crate::{
    ChainError,
    failure::{Failure, NodeError, limits_rate_of},
    header,
    secrets::Secrets,
    stats::EndpointStats,
    transport::Transport,
};
use health::Standing;
pub(crate) use health::{Health, Identity};
pub(crate) use node::Node;

/// A node's own answer: the result, or its error, with code and message.
pub(crate) type Answer<T = Box<RawValue>> = Result<T, NodeError>;

/// A method and its parameters.
pub(crate) type Question<'a> = (&'a str, Box<RawValue>);

/// The heads of the endpoints are compared this many poll intervals apart, within
/// [`COMPARED_EVERY`].
const COMPARED_INTERVALS: u32 = 10;
/// See [`COMPARED_INTERVALS`].
const COMPARED_EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);

/// The endpoints of one chain.
pub(crate) struct Provider {
    chain: ChainId,
    nodes: Arc<Nodes>,
    call_deadline: Duration,
    max_lag: u64,
    compared_every: Duration,
    next_comparison: Mutex<Instant>,
    fallbacks: Counter,
    /// The number of the last block known to be final, and one more; 0: none is known.
    finalized: AtomicU64,
    secrets: Secrets,
}

/// What background probes share with the provider.
struct Nodes {
    /// Most preferred first.
    all: Vec<Arc<Node>>,
    last_id: AtomicU64,
}

impl Provider {
    pub(crate) fn new(
        settings: &ChainSettings,
        client: &reqwest::Client,
    ) -> Result<Self, ChainError> {
        let chain = settings.id;
        let nodes = settings.endpoints.iter().map(|endpoint| {
            let transport =
                Transport::new(&endpoint.url, client).ok_or_else(|| ChainError::Scheme {
                    chain,
                    endpoint: endpoint.to_string(),
                })?;
            Ok(Arc::new(Node::new(settings, endpoint, transport)))
        });
        let all: Vec<_> = nodes.collect::<Result<_, ChainError>>()?;
        if all.is_empty() {
            return Err(ChainError::NoEndpoint(chain));
        }
        let secrets = Secrets::of(settings.endpoints.iter().map(|endpoint| &endpoint.url));
        let (least, most) = (*COMPARED_EVERY.start(), *COMPARED_EVERY.end());
        let compared_every = settings.poll_interval.saturating_mul(COMPARED_INTERVALS);
        let compared_every = compared_every.clamp(least, most);
        Ok(Self {
            chain,
            nodes: Arc::new(Nodes {
                all,
                last_id: AtomicU64::new(0),
            }),
            call_deadline: settings.call_deadline,
            max_lag: settings.max_lag_blocks,
            compared_every,
            next_comparison: Mutex::new(Instant::now() + compared_every),
            fallbacks: Counter::default(),
            finalized: AtomicU64::new(0),
            secrets,
        })
    }

    pub(crate) fn chain(&self) -> ChainId {
        self.chain
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes.all
    }

    /// The last block that is known to be final: what is up to it never changes.
    pub(crate) fn finalized(&self) -> Option<BlockNumber> {
        let next = self.finalized.load(Ordering::Relaxed);
        next.checked_sub(1).map(BlockNumber)
    }

    /// A block is final: the answers about it and those before it may be kept from now on.
    pub(crate) fn note_finalized(&self, number: BlockNumber) {
        let next = number.0.saturating_add(1);
        self.finalized.fetch_max(next, Ordering::Relaxed);
    }

    /// Asks for the last final block.
    pub(crate) async fn learn_finalized(&self) -> Result<(), Failure> {
        let params = to_raw_value(&("finalized", false)).map_err(|_| Failure::Malformed)?;
        let read = |json: Box<RawValue>| header::parse(self.chain, json.get());
        let answer = self.ask_as(("eth_getBlockByNumber", params), read).await?;
        if let Some(block) = answer.map_err(|error| Failure::refused(&error))? {
            self.note_finalized(block.number);
        }
        Ok(())
    }

    /// How the endpoints are, and which of them would be asked now.
    pub(crate) fn stats(&self) -> (Vec<EndpointStats>, Option<usize>) {
        let endpoints = self.nodes().iter().map(|node| node.stats());
        let ranked = self.ranked();
        let first = ranked.first().map(|(_, node)| *node);
        let in_use = first.and_then(|first| {
            let nodes = self.nodes();
            nodes.iter().position(|node| Arc::ptr_eq(node, first))
        });
        (endpoints.collect(), in_use)
    }

    /// How often an endpoint did not answer and the next one was asked.
    pub(crate) fn fallbacks(&self) -> u64 {
        self.fallbacks.get()
    }

    /// The node to use now, of those that are not among `failed`: the most preferred that is well,
    /// or else one that lags, or else the one whose rest ends first. `None`: there is no other.
    pub(crate) fn preferred_but(&self, failed: &[&Node]) -> Option<&Node> {
        self.tend();
        let has_failed = |node: &Node| failed.iter().any(|failed| std::ptr::eq(*failed, node));
        self.ranked()
            .into_iter()
            .map(|(_, node)| &**node)
            .find(|node| !has_failed(node))
    }

    /// True where a node that comes before `node` is well (again).
    pub(crate) async fn has_better_than(&self, node: &Node) -> bool {
        match self.preferred_but(&[]) {
            Some(better) if !std::ptr::eq(better, node) => {
                better.cooling().is_none() && better.ready(self.next_id()).await.is_ok()
            }
            _ => false,
        }
    }

    /// Those that may be used, in the order of use.
    fn ranked(&self) -> Vec<(Standing, &Arc<Node>)> {
        let standing = |node: &'_ _| Node::standing(node);
        let mut ranked: Vec<_> = self
            .nodes()
            .iter()
            .filter_map(|node| Some((standing(node)?, node)))
            .collect();
        // Stable: those that are equally well stay in the order of their priority.
        ranked.sort_by_key(|(standing, _)| *standing);
        ranked
    }

    pub(crate) fn next_id(&self) -> Id {
        self.nodes.next_id()
    }

    /// Asks one question and reads the answer. Where it cannot be read, the endpoint has failed,
    /// and the next one is asked. Bounded by the chain's `call_deadline`.
    pub(crate) async fn ask_as<T: Send>(
        &self,
        question: Question<'_>,
        read: impl Fn(Box<RawValue>) -> Result<T, Failure> + Sync,
    ) -> Result<Answer<T>, Failure> {
        let answers = self.gather(vec![question], |_, json| read(json)).await?;
        answers
            .into_iter()
            .next()
            .unwrap_or(Err(Failure::Malformed))
    }

    /// Asks one question of endpoint after endpoint until one answers: its answer, and whether no
    /// other could have come by the question before. Bounded by the chain's `call_deadline`.
    pub(crate) async fn ask_telling(
        &self,
        question: Question<'_>,
    ) -> Result<(Answer, bool), Failure> {
        self.tend();
        let deadline = Instant::now() + self.call_deadline;
        let request = [self.request(question)?];
        let mut last = Failure::NoEndpoint;
        let mut is_first = true;
        for (standing, node) in self.ranked() {
            if matches!(standing, Standing::Spared(_)) || Instant::now() >= deadline {
                continue;
            }
            let mut slots: batch::Slots = vec![None];
            let asking = batch::ask(node, &request, &[0], &mut slots, deadline);
            let ended = timeout_at(deadline, asking).await;
            let ended = ended.unwrap_or(Err(Failure::Timeout(self.call_deadline)));
            last = match (slots.pop().flatten(), ended) {
                (Some(Ok(Err(error))), _) if limits_rate_of(request[0].method(), error.code) => {
                    node.failed(Failure::refused(&error))
                }
                (Some(Ok(answer)), _) => return Ok((answer, is_first)),
                (Some(Err(failure)), _) | (None, Err(failure)) => failure,
                (None, Ok(())) => Failure::Malformed,
            };
            // What never was connected to has not come by it.
            is_first &= matches!(last, Failure::Connect(_) | Failure::OverRate);
        }
        Err(last)
    }

    /// Asks several questions, in as few messages as the endpoint takes. The answers have the
    /// order of the questions. Bounded by the chain's `call_deadline`. The outer error means that
    /// none was answered.
    pub(crate) async fn ask_all(
        &self,
        questions: Vec<Question<'_>>,
    ) -> Result<Vec<Result<Answer, Failure>>, Failure> {
        self.ask_all_as(questions, |_, json| Ok(json)).await
    }

    /// Asks several questions and reads each answer, with the index of its question. Where one
    /// cannot be read, the endpoint has failed, and the next one is asked for it.
    pub(crate) async fn ask_all_as<T: Send>(
        &self,
        questions: Vec<Question<'_>>,
        read: impl Fn(usize, Box<RawValue>) -> Result<T, Failure> + Sync,
    ) -> Result<Vec<Result<Answer<T>, Failure>>, Failure> {
        let answers = self.gather(questions, read).await?;
        match answers.first() {
            Some(Err(failure)) if answers.iter().all(Result::is_err) => Err(failure.clone()),
            _ => Ok(answers),
        }
    }

    /// Asks node after node for what has no answer yet. A node's answer is final, even an error,
    /// but for a rate limit.
    async fn gather<T: Send>(
        &self,
        questions: Vec<Question<'_>>,
        read: impl Fn(usize, Box<RawValue>) -> Result<T, Failure> + Sync,
    ) -> Result<Vec<Result<Answer<T>, Failure>>, Failure> {
        self.tend();
        let deadline = Instant::now() + self.call_deadline;
        let requests = questions
            .into_iter()
            .map(|question| self.request(question))
            .collect::<Result<Vec<_>, _>>()?;
        let mut found: Vec<Option<Result<Answer<T>, Failure>>> = Vec::new();
        found.resize_with(requests.len(), || None);
        let mut last = Failure::NoEndpoint;
        let mut asked_before = false;
        for (standing, node) in self.ranked() {
            let open: Vec<usize> = (0..found.len()).filter(|i| found[*i].is_none()).collect();
            if open.is_empty() {
                break;
            }
            if matches!(standing, Standing::Spared(_)) {
                if let (false, Some(failure)) = (asked_before, node.health().last_failure()) {
                    last = failure;
                }
                continue;
            }
            if std::mem::replace(&mut asked_before, true) {
                self.fallbacks.add(1);
            }
            let mut slots: batch::Slots = vec![None; requests.len()];
            let asking = batch::ask(node, &requests, &open, &mut slots, deadline);
            let ended = timeout_at(deadline, asking)
                .await
                .unwrap_or(Err(Failure::Timeout(self.call_deadline)));
            for (index, slot) in slots.into_iter().enumerate() {
                let read = match slot {
                    None => continue,
                    Some(Ok(Ok(json))) => read(index, json).map(Ok),
                    Some(Ok(Err(error)))
                        if limits_rate_of(requests[index].method(), error.code) =>
                    {
                        Err(Failure::refused(&error))
                    }
                    Some(Ok(Err(error))) => Ok(Err(error)),
                    Some(Err(failure)) => Err(failure),
                };
                match read {
                    Err(failure) if failure.is_endpoints_own() => last = node.failed(failure),
                    read => found[index] = Some(read),
                }
            }
            match ended {
                Ok(()) => {}
                Err(failure) if failure.is_endpoints_own() => last = failure,
                Err(failure) => {
                    last = failure;
                    break;
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        let or_last = |answer: Option<_>| answer.unwrap_or_else(|| Err(last.clone()));
        Ok(found.into_iter().map(or_last).collect())
    }

    fn request(&self, (method, params): Question<'_>) -> Result<SerializedRequest, Failure> {
        Request::new(method.to_owned(), self.next_id(), params)
            .serialize()
            .map_err(|_| Failure::Malformed)
    }

    /// Starts what keeps the endpoints' health known: probes of those that have been left, and
    /// from time to time a comparison of the heads. All of it goes on in the background.
    fn tend(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        for node in self.nodes() {
            if node.health().begin_probe(self.call_deadline) {
                let (node, id) = (Arc::clone(node), self.next_id());
                runtime.spawn(async move { node.probe(id).await });
            }
        }
        if self.nodes().len() > 1 && self.comparison_is_due() {
            let (nodes, max_lag) = (Arc::clone(&self.nodes), self.max_lag);
            runtime.spawn(async move { nodes.compare_heads(max_lag).await });
        }
    }

    fn comparison_is_due(&self) -> bool {
        let now = Instant::now();
        let mut next = self
            .next_comparison
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = *next <= now;
        if due {
            *next = now + self.compared_every;
        }
        due
    }
}

impl Nodes {
    fn next_id(&self) -> Id {
        Id::Number(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Asks all that are not resting for their heads, at the same time.
    async fn compare_heads(&self, max_lag: u64) {
        let asked = self.all.iter().filter(|node| {
            let standing = node.standing();
            matches!(standing, Some(Standing::Well | Standing::Lagging))
        });
        let heads = asked.map(|node| async move {
            let head = node.latest(self.next_id()).await.ok()?;
            Some((node, (head, node.health().is_lagging())))
        });
        let heads: Vec<_> = join_all(heads).await.into_iter().flatten().collect();
        let (nodes, heads): (Vec<_>, Vec<_>) = heads.into_iter().unzip();
        for (node, (lag, lagging)) in nodes.into_iter().zip(lag::compare(&heads, max_lag)) {
            node.health().compared(lag, lagging);
        }
    }
}

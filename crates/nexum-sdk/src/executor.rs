//! Runs a future to its end, and sends what its parts ask of a chain together.
//!
//! The contract has no asynchronous functions, so within a call nothing goes on by itself. What
//! can be waited for is an answer of `chain`: a question waits until the whole future can get no
//! further, then all that wait go out as one batch for each chain. Reads that are joined
//! (`join_all`, `join!`) thus cost one exchange.

use std::{
    cell::RefCell,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::{
    HostError, Result,
    chain::{self, MAX_BATCH_BYTES, MAX_BATCH_REQUESTS, RpcRequest},
};

thread_local! {
    /// What waits to be asked, in the order in which it was polled.
    static WAITING: RefCell<Vec<Question>> = const { RefCell::new(Vec::new()) };
}

struct Question {
    chain_id: u64,
    request: RpcRequest,
    answer: Arc<Answer>,
}

#[derive(Default)]
struct Answer {
    state: Mutex<AnswerState>,
}

#[derive(Default)]
struct AnswerState {
    value: Option<Result<String>>,
    waker: Option<Waker>,
}

impl Answer {
    fn set(&self, value: Result<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.value = Some(value);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// An answer of a chain, to be waited for. Dropped before the question went out, nothing is asked.
pub(crate) struct Asked {
    chain_id: u64,
    /// Until it is polled for the first time.
    request: Option<RpcRequest>,
    answer: Arc<Answer>,
}

/// Asks a chain, together with whatever else is waited for.
pub(crate) fn ask(chain_id: u64, request: RpcRequest) -> Asked {
    Asked {
        chain_id,
        request: Some(request),
        answer: Arc::default(),
    }
}

impl Future for Asked {
    type Output = Result<String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(request) = self.request.take() {
            let question = Question {
                chain_id: self.chain_id,
                request,
                answer: Arc::clone(&self.answer),
            };
            WAITING.with_borrow_mut(|waiting| waiting.push(question));
        }
        let mut state = self
            .answer
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match state.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `future` to its end, from a handler that is not `async`. It takes what `.await` takes.
///
/// # Panics
///
/// Where the future waits for what nobody will ever bring: a timer, a channel whose other end
/// waits too, another runtime's socket. Within a call only answers of a chain are waited for.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        if woken.0.swap(false, Ordering::Relaxed) {
            continue;
        }
        let waiting = WAITING.with_borrow_mut(std::mem::take);
        assert!(
            !waiting.is_empty(),
            "the module waits for something that no call brings: within a call only answers of a \
             chain can be waited for, no timer, channel or socket"
        );
        ask_all(waiting);
    }
}

/// Asks every question, in one batch for each chain where the limits allow it.
fn ask_all(waiting: Vec<Question>) {
    // Dropped by whoever asked: nobody would read the answer.
    let waiting = waiting
        .into_iter()
        .filter(|question| Arc::strong_count(&question.answer) > 1);
    let mut batches: Vec<Batch> = Vec::new();
    for question in waiting {
        // Only the newest batch of a chain takes more, so that questions keep their order.
        let open = batches
            .iter_mut()
            .rev()
            .find(|batch| batch.chain_id == question.chain_id);
        match open {
            Some(batch) if batch.takes(&question.request) => batch.push(question),
            _ => {
                let mut batch = Batch::of(question.chain_id);
                batch.push(question);
                batches.push(batch);
            }
        }
    }
    batches.into_iter().for_each(Batch::send);
}

struct Batch {
    chain_id: u64,
    bytes: usize,
    requests: Vec<RpcRequest>,
    answers: Vec<Arc<Answer>>,
}

impl Batch {
    fn of(chain_id: u64) -> Self {
        Self {
            chain_id,
            bytes: 0,
            requests: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn takes(&self, request: &RpcRequest) -> bool {
        self.requests.len() < MAX_BATCH_REQUESTS
            && self.bytes + request.params.len() <= MAX_BATCH_BYTES
    }

    fn push(&mut self, question: Question) {
        self.bytes += question.request.params.len();
        self.requests.push(question.request);
        self.answers.push(question.answer);
    }

    fn send(self) {
        if let ([request], [answer]) = (self.requests.as_slice(), self.answers.as_slice()) {
            answer.set(chain::request(
                self.chain_id,
                &request.method,
                &request.params,
            ));
            return;
        }
        match chain::request_batch(self.chain_id, &self.requests) {
            Ok(values) => {
                let mut values = values.into_iter();
                for answer in &self.answers {
                    answer.set(values.next().unwrap_or_else(|| Err(unanswered())));
                }
            }
            Err(error) => self
                .answers
                .iter()
                .for_each(|answer| answer.set(Err(error.clone()))),
        }
    }
}

fn unanswered() -> HostError {
    HostError::internal("the engine answered fewer requests than the batch had").in_domain("chain")
}

//! The servers outside, as a fixture tells of them: nobody else is reached in a run.

use std::sync::{Mutex, PoisonError};

use nexum_testkit::HttpAnswer;
use nexum_types::{
    BoxFuture, HostError, HostErrorKind, HttpFailure, HttpFetch, HttpRequest, HttpResponse,
};

/// What is answered, by method and URL; the last word counts.
#[derive(Debug, Default)]
pub(super) struct Servers(Mutex<Vec<(String, String, HttpAnswer)>>);

impl Servers {
    /// From now on `method` of `url` is answered so.
    pub(super) fn answer(&self, method: &str, url: &str, answer: &HttpAnswer) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push((method.to_owned(), url.to_owned(), answer.clone()));
    }

    fn answer_of(&self, request: &HttpRequest) -> Result<HttpResponse, String> {
        let HttpRequest { method, url, .. } = request;
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = answers.iter().rfind(|(m, u, _)| m == method && u == url);
        match fits.map(|(_, _, answer)| answer) {
            Some(HttpAnswer::Response { status, body }) => Ok(HttpResponse {
                status: *status,
                headers: Vec::new(),
                body: body.clone(),
            }),
            Some(HttpAnswer::Unreachable) => Err("nobody is there, as the fixture says".to_owned()),
            None => Err(format!(
                "nothing answers {method} {url}: write `http {method} {url} = 200` into the fixture, before it is asked"
            )),
        }
    }
}

impl HttpFetch for Servers {
    fn fetch(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpFailure>> {
        let answer = self.answer_of(&request).map_err(|message| HttpFailure {
            error: HostError::new("http", HostErrorKind::Unavailable, message),
            denied: None,
            was_sent: true,
        });
        Box::pin(async { answer })
    }
}

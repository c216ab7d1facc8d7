//! `nexum:host/http`: requests to servers outside. What may be asked is decided behind the port.

use std::time::{Duration, Instant};

use nexum_manifest::Capability;
use nexum_types::{HttpHeader, HttpRequest, HttpResponse};

use crate::{bindings, guest::Guest, trace::Asked};

type Answer<T> = wasmtime::Result<Result<T, bindings::types::HostError>>;

impl bindings::http::Host for Guest {
    async fn fetch(
        &mut self,
        request: bindings::http::Request,
    ) -> Answer<bindings::http::Response> {
        let began = self.begins();
        let request = HttpRequest::from(request);
        let traced = began.map(|_| (request.method.clone(), request.url.clone()));
        let is_effect = request.is_effect();
        let sent = request.body.as_ref().map_or(0, Vec::len);
        let started = Instant::now();
        let ended = self.http.fetch(request).await;
        let kind = ended.as_ref().err().map(|failure| failure.error.kind);
        // A response says that it was sent. So may what is denied: a redirect comes from a server.
        let was_sent = ended
            .as_ref()
            .map_or_else(|failure| failure.was_sent, |_| true);
        self.had_effect |= is_effect && was_sent;
        if let Err(failure) = &ended
            && let Some(denied) = &failure.denied
        {
            self.denials.tell(denied, &failure.error.message);
        }
        let received = ended.as_ref().map_or(0, |response| response.body.len());
        self.usage
            .fetched(kind, started.elapsed(), [sent, received]);
        let answer = ended.map_err(|failure| failure.error);
        self.usage.answered(Capability::Http, &answer);
        self.ended(
            began,
            (Capability::Http, "fetch"),
            || {
                let (method, url) = traced.unwrap_or_default();
                Asked::Fetch(method, url)
            },
            &answer,
        );
        Ok(answer.map(Into::into).map_err(Into::into))
    }
}

impl From<bindings::http::Request> for HttpRequest {
    fn from(request: bindings::http::Request) -> Self {
        let bindings::http::Request {
            method,
            url,
            headers,
            body,
            timeout_ms,
        } = request;
        let header = |header: bindings::http::Header| HttpHeader {
            name: header.name,
            value: header.value,
        };
        Self {
            method,
            url,
            headers: headers.into_iter().map(header).collect(),
            body,
            timeout: timeout_ms.map(|ms| Duration::from_millis(ms.into())),
        }
    }
}

impl From<HttpResponse> for bindings::http::Response {
    fn from(response: HttpResponse) -> Self {
        let HttpResponse {
            status,
            headers,
            body,
        } = response;
        let header = |header: HttpHeader| bindings::http::Header {
            name: header.name,
            value: header.value,
        };
        Self {
            status,
            headers: headers.into_iter().map(header).collect(),
            body,
        }
    }
}

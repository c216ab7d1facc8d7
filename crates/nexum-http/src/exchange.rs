//! One request of a module, hop by hop. Every hop is held against the same rules, and gets the
//! credentials of its own server.

use nexum_manifest::Scheme;
use nexum_types::{HttpFailure, HttpRequest, HttpResponse};
use reqwest::{
    Method, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use url::Url;

use crate::{
    body,
    egress::ModuleHttp,
    failure::{Denied, Failure},
    grants,
    message::{self, MAX_URL_BYTES, Parsed},
    turns,
};

/// What a module's own request says to one server only.
const PERSONAL: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];
/// What describes a body.
const OF_BODY: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
];

/// Sends a request and answers its response. Ends within the operator's time, and within the
/// module's where that is shorter.
pub(crate) async fn fetch(
    http: &ModuleHttp,
    request: HttpRequest,
) -> Result<HttpResponse, HttpFailure> {
    let settings = &http.shared.settings;
    let stand_in = http.shared.stand_in.as_deref();
    let asked = stand_in.map(|stand_in| (stand_in, request.clone()));
    let most = settings.request_timeout;
    let within = request.timeout.map_or(most, |asked| asked.min(most));
    let mut parsed = Parsed::of(request, settings)?;
    // Before a turn is taken: what is denied costs nobody anything.
    http.grants.check(&parsed.url, settings)?;
    let mut was_sent = false;
    let exchange = async {
        http.rate.turn().await?;
        let _place = turns::place(&http.shared.places).await?;
        match asked {
            Some((stand_in, request)) => {
                was_sent = true;
                stand_in.fetch(request).await
            }
            None => Ok(follow(http, &mut parsed, &mut was_sent).await?),
        }
    };
    let ended = match tokio::time::timeout(within, exchange).await {
        Ok(ended) => ended,
        Err(_) => Err(Failure::Timeout(grants::server(&parsed.url)).into()),
    };
    ended.map_err(|failure| HttpFailure {
        was_sent,
        ..failure
    })
}

/// `was_sent` is true from when the first hop may have reached its server, also where this is
/// dropped before it ends.
async fn follow(
    http: &ModuleHttp,
    request: &mut Parsed,
    was_sent: &mut bool,
) -> Result<HttpResponse, Failure> {
    let settings = &http.shared.settings;
    let mut hops = 0;
    let mut redirected_by = None;
    loop {
        let realm = http.grants.check(&request.url, settings)?;
        let server = &grants::server(&request.url);
        let mut headers = request.headers.clone();
        let module = &http.grants.module;
        http.shared
            .credentials
            .add(&mut headers, module, &request.url)?;
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static(body::ACCEPTED),
        );
        let (trust, lookups) = (&http.shared.trust, &http.shared.lookups);
        let sent = http.connections.client(realm, settings, trust, lookups)?;
        let sent = sent.request(request.method.clone(), request.url.clone());
        let sent = sent.headers(headers);
        let sent = match &request.body {
            Some(bytes) => sent.body(bytes.clone()),
            None => sent,
        };
        let hop_before_was_sent = std::mem::replace(was_sent, true);
        let mut response = match sent.send().await {
            Ok(response) => response,
            Err(error) => {
                // Nothing of a request goes out before there is a connection for it.
                if error.is_builder() || error.is_connect() {
                    *was_sent = hop_before_was_sent;
                }
                return Err(match (error.is_builder(), redirected_by) {
                    (true, Some(by)) => Failure::Location(by),
                    (true, None) => Failure::Invalid("the URL's host can be no server's"),
                    (false, _) => Failure::of(&error, server),
                });
            }
        };
        let next = match settings.max_redirects {
            0 => None,
            _ => target(response.status(), response.headers(), &request.url),
        };
        match next {
            Some(next) if hops < settings.max_redirects => {
                hops += 1;
                turn(request, response.status(), next?);
                redirected_by = Some(server.clone());
            }
            Some(_) => return Err(Failure::Redirects(server.clone(), settings.max_redirects)),
            None => {
                let most = settings.max_response_bytes;
                let has_body = request.method != Method::HEAD;
                let (bytes, is_decoded) = body::read(&mut response, server, most, has_body).await?;
                return Ok(message::response(&response, bytes, is_decoded));
            }
        }
    }
}

/// Where a redirect leads to, if the response is one. Whether a request may go there is for the next
/// hop to find out, but for what a module's own request is malformed with.
fn target(status: StatusCode, headers: &HeaderMap, from: &Url) -> Option<Result<Url, Failure>> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = headers.get(header::LOCATION)?;
    let next = location.to_str().ok().and_then(|to| from.join(to).ok());
    let next = next.filter(|next| next.as_str().len() <= MAX_URL_BYTES);
    Some(match next {
        Some(next)
            if Scheme::of(&next).is_none()
                || !next.username().is_empty()
                || next.password().is_some() =>
        {
            Err(Failure::Denied(Denied::Redirect(grants::server(from))))
        }
        Some(next) => Ok(next),
        None => Err(Failure::Location(grants::server(from))),
    })
}

/// Makes of a request the one that follows a redirect (RFC 9110, section 15.4).
fn turn(request: &mut Parsed, status: StatusCode, next: Url) {
    let to_get = match status {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        _ => false,
    };
    if to_get {
        request.method = Method::GET;
        request.body = None;
        for name in OF_BODY {
            request.headers.remove(name);
        }
    }
    if request.url.origin() != next.origin() {
        for name in PERSONAL {
            request.headers.remove(name);
        }
    }
    request.url = next;
}

//! A module's request, parsed: what of it is the module's to say, and what is not.

use nexum_manifest::HttpSettings;
use nexum_types::{HttpHeader, HttpRequest, HttpResponse};
use reqwest::{
    Method, Response,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use url::Url;

use crate::failure::Failure;

/// The most header fields of a request.
const MAX_HEADERS: usize = 100;
/// The longest URL that the client can send, as it is once it has been read: what is not ASCII is
/// longer then.
pub(crate) const MAX_URL_BYTES: usize = 65_534;

/// A request that can be sent, if its server may be reached.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

impl Parsed {
    pub(crate) fn of(request: HttpRequest, settings: &HttpSettings) -> Result<Self, Failure> {
        let HttpRequest {
            method,
            url,
            headers,
            body,
            timeout: _,
        } = request;
        let fields = headers.iter();
        let fields = fields.map(|HttpHeader { name, value }| name.len() + value.len());
        let bytes = url.len() + fields.sum::<usize>() + body.as_ref().map_or(0, Vec::len);
        if bytes > settings.max_request_bytes as usize {
            return Err(Failure::TooLargeRequest(settings.max_request_bytes));
        }
        Ok(Self {
            method: read_method(&method)?,
            url: read_url(&url)?,
            headers: read_headers(&headers)?,
            body,
        })
    }
}

fn read_url(url: &str) -> Result<Url, Failure> {
    let url = Url::parse(url).map_err(|_| Failure::Invalid("the URL is none"))?;
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(Failure::Invalid("the URL has more than 65534 bytes"));
    }
    Ok(url)
}

fn read_method(method: &str) -> Result<Method, Failure> {
    let is_word = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    // The first opens a tunnel, the others have a server answer what was sent, credentials included.
    if !is_word || matches!(method, "CONNECT" | "TRACE" | "TRACK") {
        return Err(Failure::Invalid(
            "the method is a word in capitals, and not CONNECT, TRACE or TRACK",
        ));
    }
    Method::from_bytes(method.as_bytes()).map_err(|_| Failure::Invalid("the method is none"))
}

fn read_headers(headers: &[HttpHeader]) -> Result<HeaderMap, Failure> {
    if headers.len() > MAX_HEADERS {
        return Err(Failure::Invalid(
            "the request has more than 100 header fields",
        ));
    }
    let mut read = HeaderMap::with_capacity(headers.len());
    for HttpHeader { name, value } in headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Failure::Invalid("a header's name is no token"))?;
        if HttpSettings::is_reserved_header(name.as_str()) {
            return Err(Failure::Reserved(name.as_str().to_owned()));
        }
        let is_visible = value
            .bytes()
            .all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        let value = HeaderValue::from_str(value).ok().filter(|_| is_visible);
        let value = value.ok_or(Failure::Invalid(
            "a header's value is visible ASCII without line breaks",
        ))?;
        read.append(name, value);
    }
    Ok(read)
}

/// A response as a module gets it. `is_decoded`: the body is not as it came any more, and so not
/// as long as its header says.
pub(crate) fn response(response: &Response, body: Vec<u8>, is_decoded: bool) -> HttpResponse {
    let stale = |name: &HeaderName| {
        is_decoded && (name == header::CONTENT_ENCODING || name == header::CONTENT_LENGTH)
    };
    let headers = response.headers().iter();
    let headers = headers.filter(|(name, _)| !stale(name));
    HttpResponse {
        status: response.status().as_u16(),
        // The contract has no words for a value that is not ASCII.
        headers: headers
            .filter_map(|(name, value)| {
                Some(HttpHeader {
                    name: name.as_str().to_owned(),
                    value: value.to_str().ok()?.to_owned(),
                })
            })
            .collect(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let header = |(name, value): &(&str, &str)| HttpHeader {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        HttpRequest {
            method: method.into(),
            url: url.into(),
            headers: headers.iter().map(header).collect(),
            body: None,
            timeout: None,
        }
    }

    fn parsed(request: HttpRequest) -> Result<Parsed, Failure> {
        Parsed::of(request, &HttpSettings::default())
    }

    #[test]
    fn what_could_smuggle_is_refused() {
        let url = "https://a.example/";
        for method in [
            "",
            "get",
            "GET ",
            "G T",
            "CONNECT",
            "TRACE",
            "TRACK",
            "GET\r\nX: y",
            "GÉT",
        ] {
            let refused = parsed(request(method, url, &[]));
            assert!(matches!(refused, Err(Failure::Invalid(_))), "{method:?}");
        }
        for (name, value) in [
            ("x", "a\r\nhost: b"),
            ("x", "a\nb"),
            ("x", "a\0b"),
            ("x", "é"),
            ("x", "\u{7f}"),
            ("x\r\ny", "a"),
            ("x: y", "a"),
            ("", "a"),
            (":path", "/b"),
            ("x y", "a"),
        ] {
            let refused = parsed(request("GET", url, &[(name, value)]));
            assert!(
                matches!(refused, Err(Failure::Invalid(_))),
                "{name:?}: {value:?}"
            );
        }
        for name in HttpSettings::RESERVED_HEADERS {
            let refused = parsed(request("GET", url, &[(&name.to_uppercase(), "x")]));
            assert_eq!(refused.err(), Some(Failure::Reserved(name.into())));
        }
        for url in [
            "",
            "/path",
            "https://",
            "https://a b/",
            "https://[::1",
            "https://a.example:99999/",
        ] {
            let refused = parsed(request("GET", url, &[]));
            assert!(matches!(refused, Err(Failure::Invalid(_))), "{url:?}");
        }
        let long = |bytes: usize| format!("https://a.example/{}", "x".repeat(bytes - 18));
        assert!(parsed(request("GET", &long(MAX_URL_BYTES), &[])).is_ok());
        for url in [
            long(MAX_URL_BYTES + 1),
            format!("https://a.example/{}", "é".repeat(MAX_URL_BYTES / 6)),
        ] {
            let refused = parsed(request("GET", &url, &[])).err();
            let expected = Failure::Invalid("the URL has more than 65534 bytes");
            assert_eq!(refused, Some(expected), "{} bytes", url.len());
        }
        let many = vec![("x", "y"); MAX_HEADERS + 1];
        assert!(parsed(request("GET", url, &many)).is_err());
        assert!(parsed(request("GET", url, &many[1..])).is_ok());
    }

    #[test]
    fn a_request_counts_with_all_that_it_has() {
        let settings = HttpSettings {
            max_request_bytes: 30,
            ..HttpSettings::default()
        };
        let mut asked = request("POST", "https://a.example/", &[("x", "y")]);
        asked.body = Some(vec![0; 10]);
        assert!(Parsed::of(asked.clone(), &settings).is_ok());
        asked.body = Some(vec![0; 11]);
        let refused = Parsed::of(asked, &settings).err();
        assert_eq!(refused, Some(Failure::TooLargeRequest(30)));
    }
}

//! A response's body, read bit by bit and cut where it is too large. What is counted is what it
//! becomes: a small body that unpacks to a large one is cut before it is large.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use reqwest::{Response, header};

use crate::failure::Failure;

/// The coding that requests ask for.
pub(crate) const ACCEPTED: &str = "gzip";

/// What a body has come to; it takes no more than it may.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    is_over: bool,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.most {
            self.is_over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Sink {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Sink {
    fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(bounded) => bounded.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Plain(bounded) => bounded.is_over,
            Self::Gzip(decoder) => decoder.get_ref().is_over,
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes),
            Self::Gzip(decoder) => Ok(decoder.finish()?.bytes),
        }
    }
}

/// The body of `response`, and whether it was decoded. `has_body`: false where there is none, as
/// to a HEAD, whatever the headers say of one.
pub(crate) async fn read(
    response: &mut Response,
    server: &str,
    most: u32,
    has_body: bool,
) -> Result<(Vec<u8>, bool), Failure> {
    if !has_body {
        return Ok((Vec::new(), false));
    }
    let too_large = || Failure::TooLarge(server.to_owned(), most);
    let mut codings = response.headers().get_all(header::CONTENT_ENCODING).iter();
    let is_gzip = match (codings.next(), codings.next()) {
        (Some(coding), None) => [&b"gzip"[..], b"x-gzip"]
            .iter()
            .any(|known| coding.as_bytes().eq_ignore_ascii_case(known)),
        _ => false,
    };
    // What is announced is not worth a byte of it.
    if !is_gzip
        && response
            .content_length()
            .is_some_and(|announced| announced > most.into())
    {
        return Err(too_large());
    }
    let bounded = Bounded {
        bytes: Vec::new(),
        most: most as usize,
        is_over: false,
    };
    let mut sink = if is_gzip {
        Sink::Gzip(Box::new(MultiGzDecoder::new(bounded)))
    } else {
        Sink::Plain(bounded)
    };
    let mut is_empty = true;
    loop {
        let chunk = response.chunk().await;
        let Some(chunk) = chunk.map_err(|error| Failure::of(&error, server))? else {
            break;
        };
        is_empty &= chunk.is_empty();
        if sink.take(&chunk).is_err() {
            return Err(match sink.is_over() {
                true => too_large(),
                false => Failure::Malformed(server.to_owned()),
            });
        }
    }
    if is_empty {
        return Ok((Vec::new(), is_gzip));
    }
    match sink.finish() {
        Ok(bytes) => Ok((bytes, is_gzip)),
        // It may hold back its last bytes until then.
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(too_large()),
        Err(_) => Err(Failure::Malformed(server.to_owned())),
    }
}

//! The operator's credentials: which headers a request gets as it leaves. Values come out of here
//! into a request and nowhere else.

use std::sync::{Arc, PoisonError, RwLock};

use nexum_manifest::HttpCredential;
use nexum_types::ModuleName;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::{
    failure::{Denied, Failure},
    grants,
};

/// The credentials as they are now. They are replaced as a whole, while requests are under way.
#[derive(Debug, Default)]
pub(crate) struct Credentials(RwLock<Arc<[Ready]>>);

struct Ready {
    of: HttpCredential,
    name: HeaderName,
    value: HeaderValue,
}

/// A credential that no request can carry: its name or its value is none. Shows neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a credential's header is no header")]
pub(crate) struct NoHeader;

impl Credentials {
    /// Takes others in the place of those that there are.
    pub(crate) fn replace(&self, credentials: Vec<HttpCredential>) -> Result<(), NoHeader> {
        let ready = credentials.into_iter().map(|of| {
            let name = HeaderName::from_bytes(of.header.as_bytes()).map_err(|_| NoHeader)?;
            let mut value = HeaderValue::from_str(of.value.reveal()).map_err(|_| NoHeader)?;
            // Not shown by a debug print, and not indexed by HTTP/2's compression.
            value.set_sensitive(true);
            Ok(Ready { of, name, value })
        });
        let ready = ready.collect::<Result<_, _>>()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ready;
        Ok(())
    }

    /// Adds to `headers` what a request of `module` to `url` gets: of several for one header, the
    /// first of the operator's file. A header that the module has set itself is denied.
    pub(crate) fn add(
        &self,
        headers: &mut HeaderMap,
        module: &ModuleName,
        url: &Url,
    ) -> Result<(), Failure> {
        let now = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let fits = |ready: &&Ready| {
            let modules = ready.of.modules.as_ref();
            ready.of.host.covers(url) && modules.is_none_or(|names| names.contains(module))
        };
        let mut added = HeaderMap::new();
        for Ready { name, value, .. } in now.iter().filter(fits) {
            if headers.contains_key(name) {
                let (server, header) = (grants::server(url), name.as_str().to_owned());
                return Err(Failure::Denied(Denied::Credential(server, header)));
            }
            added.entry(name).or_insert_with(|| value.clone());
        }
        headers.extend(added);
        Ok(())
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.of.fmt(f)
    }
}

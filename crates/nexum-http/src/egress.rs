//! What the requests of all modules share, and one module's way through it.

use std::sync::Arc;

use nexum_manifest::{HttpCredential, HttpSettings};
use nexum_types::{BoxFuture, HttpFailure, HttpFetch, HttpRequest, HttpResponse};
use rustls::pki_types::pem;
use tokio::sync::Semaphore;

use crate::{
    connections::{Connections, Trust},
    credentials::Credentials,
    exchange,
    grants::Grants,
    lookup::{Lookup, Lookups, SystemLookup},
    turns::ModuleRate,
};

/// The way out for all modules. Clones share limits, lookups and credentials; connections are of
/// one module each.
#[derive(Debug, Clone)]
pub struct Egress(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) settings: HttpSettings,
    pub(crate) credentials: Credentials,
    /// The requests that are under way.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) trust: Trust,
    /// Who answers in the place of all servers, if somebody does.
    pub(crate) stand_in: Option<Arc<dyn HttpFetch>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Why no request can be made with these settings.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The certificates to trust are none.
    #[error("`http.ca_file` has a certificate that cannot be read")]
    Authorities(#[source] pem::Error),
    /// A credential is no header.
    #[error("a header of [[http.credentials]] cannot be sent")]
    Credential,
    /// TLS cannot be set up: the machine has no authorities to trust, or one of `http.ca_file` is
    /// unsound.
    #[error(
        "TLS cannot be set up for requests to servers outside: the machine needs certificates to trust, and `http.ca_file`, where it is set, whole ones"
    )]
    Tls(#[source] rustls::Error),
}

impl Egress {
    /// Takes the settings as they are. Connects to nothing.
    ///
    /// # Errors
    /// The certificates to trust cannot be read, or the machine has no TLS to set up.
    pub fn new(settings: HttpSettings) -> Result<Self, HttpSetupError> {
        Self::with_lookup(settings, SystemLookup)
    }

    /// The same with names looked up in another way.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_lookup(
        settings: HttpSettings,
        lookup: impl Lookup,
    ) -> Result<Self, HttpSetupError> {
        Self::set_up(settings, Arc::new(lookup), None)
    }

    /// The same with somebody who answers in the place of all servers: what is allowed is decided
    /// as ever, no name is looked up, nothing is dialled, and no credential is added.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_stand_in(
        settings: HttpSettings,
        stand_in: Arc<dyn HttpFetch>,
    ) -> Result<Self, HttpSetupError> {
        Self::set_up(settings, Arc::new(SystemLookup), Some(stand_in))
    }

    fn set_up(
        mut settings: HttpSettings,
        lookup: Arc<dyn Lookup>,
        stand_in: Option<Arc<dyn HttpFetch>>,
    ) -> Result<Self, HttpSetupError> {
        let trust = Trust::read(settings.authorities.as_deref().unwrap_or(""))?;
        let credentials = Credentials::default();
        credentials
            .replace(std::mem::take(&mut settings.credentials))
            .map_err(|_| HttpSetupError::Credential)?;
        Ok(Self(Arc::new(Shared {
            places: Arc::new(Semaphore::new(settings.max_concurrent as usize)),
            settings,
            credentials,
            lookups: Arc::new(Lookups::new(lookup)),
            trust,
            stand_in,
        })))
    }

    /// The way out for one module.
    #[must_use]
    pub fn of(&self, grants: Grants) -> ModuleHttp {
        ModuleHttp {
            shared: Arc::clone(&self.0),
            rate: ModuleRate::new(grants.rate),
            connections: Connections::new(),
            grants,
        }
    }

    /// Takes other credentials in the place of those that there are: requests that leave from now
    /// on get them.
    ///
    /// # Errors
    /// One of them is no header. Nothing has changed then.
    pub fn replace_credentials(
        &self,
        credentials: Vec<HttpCredential>,
    ) -> Result<(), HttpSetupError> {
        let replaced = self.0.credentials.replace(credentials);
        replaced.map_err(|_| HttpSetupError::Credential)
    }
}

/// One module's way to servers outside.
#[derive(Debug)]
pub struct ModuleHttp {
    pub(crate) shared: Arc<Shared>,
    pub(crate) grants: Grants,
    pub(crate) rate: ModuleRate,
    pub(crate) connections: Connections,
}

impl HttpFetch for ModuleHttp {
    fn fetch(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpFailure>> {
        Box::pin(exchange::fetch(self, request))
    }
}

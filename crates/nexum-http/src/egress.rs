//! What the requests of all modules share, and one module's way through it.

use std::{sync::Arc, time::Duration};

use nexum_manifest::{HttpCredential, HttpSettings};
use nexum_types::{BoxFuture, HttpFailure, HttpFetch, HttpRequest, HttpResponse};
use reqwest::{Certificate, Client, redirect};
use tokio::sync::Semaphore;

use crate::{
    address::Reach,
    credentials::Credentials,
    exchange,
    grants::{Grants, Realm},
    lookup::{Guarded, Lookup, SystemLookup},
    turns::ModuleRate,
};

/// Connections to one server that are kept for the next request.
const IDLE_PER_SERVER: usize = 4;
/// How long they are kept. A module may ask a new server each time, and each takes a file handle.
const IDLE_FOR: Duration = Duration::from_secs(15);

/// The way out for all modules. Clones share connections, limits and credentials.
#[derive(Debug, Clone)]
pub struct Egress(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) settings: HttpSettings,
    pub(crate) credentials: Credentials,
    /// The requests that are under way.
    pub(crate) places: Arc<Semaphore>,
    /// For servers at public addresses. The two share no connection: one that was made for a
    /// listed server is not there for another.
    public: Client,
    listed: Client,
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
    Authorities(#[source] reqwest::Error),
    /// A credential is no header.
    #[error("a header of [[http.credentials]] cannot be sent")]
    Credential,
    /// TLS or the client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

impl Egress {
    /// Takes the settings as they are. Connects to nothing.
    ///
    /// # Errors
    /// The certificates to trust cannot be read, or the machine has no TLS to set up.
    pub fn new(settings: HttpSettings) -> Result<Self, HttpSetupError> {
        Self::with_lookup(settings, SystemLookup::new())
    }

    /// The same with names looked up in another way.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_lookup(
        settings: HttpSettings,
        lookup: impl Lookup,
    ) -> Result<Self, HttpSetupError> {
        let lookup: Arc<dyn Lookup> = Arc::new(lookup);
        Self::set_up(settings, &lookup, None)
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
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup::new());
        Self::set_up(settings, &lookup, Some(stand_in))
    }

    fn set_up(
        mut settings: HttpSettings,
        lookup: &Arc<dyn Lookup>,
        stand_in: Option<Arc<dyn HttpFetch>>,
    ) -> Result<Self, HttpSetupError> {
        // An error means that another part of the program has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pem = settings.authorities.as_deref().unwrap_or("");
        let authorities = Certificate::from_pem_bundle(pem.as_bytes());
        let authorities = authorities.map_err(HttpSetupError::Authorities)?;
        let client = |most: Reach| {
            Client::builder()
                .user_agent(concat!("nexum/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Guarded::new(Arc::clone(lookup), most))
                // One would be asked in the server's place, with an address that nobody checks.
                .no_proxy()
                .redirect(redirect::Policy::none())
                .referer(false)
                .pool_max_idle_per_host(IDLE_PER_SERVER)
                .pool_idle_timeout(IDLE_FOR)
                .connect_timeout(settings.connect_timeout)
                .read_timeout(settings.idle_timeout)
                .tls_certs_merge(authorities.iter().cloned())
                .build()
                .map_err(HttpSetupError::Client)
        };
        let (public, listed) = (client(Reach::Public)?, client(Reach::Private)?);
        let credentials = Credentials::default();
        credentials
            .replace(std::mem::take(&mut settings.credentials))
            .map_err(|_| HttpSetupError::Credential)?;
        Ok(Self(Arc::new(Shared {
            places: Arc::new(Semaphore::new(settings.max_concurrent as usize)),
            settings,
            credentials,
            public,
            listed,
            stand_in,
        })))
    }

    /// The way out for one module.
    #[must_use]
    pub fn of(&self, grants: Grants) -> ModuleHttp {
        ModuleHttp {
            shared: Arc::clone(&self.0),
            rate: ModuleRate::new(grants.rate),
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

impl Shared {
    pub(crate) fn client(&self, realm: Realm) -> &Client {
        match realm {
            Realm::Public => &self.public,
            Realm::Listed => &self.listed,
        }
    }
}

/// One module's way to servers outside.
#[derive(Debug)]
pub struct ModuleHttp {
    pub(crate) shared: Arc<Shared>,
    pub(crate) grants: Grants,
    pub(crate) rate: ModuleRate,
}

impl HttpFetch for ModuleHttp {
    fn fetch(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpFailure>> {
        Box::pin(exchange::fetch(self, request))
    }
}

//! The connections of one module, by which no request of another module goes: a server that takes
//! the end of one request for the beginning of the next mixes up the answers of one module only.
//! Names are looked up for them within the module's own share.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use nexum_manifest::HttpSettings;
use reqwest::{Client, redirect};
use rustls::{
    ClientConfig,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::sync::Semaphore;

use crate::{
    address::Reach,
    egress::HttpSetupError,
    failure::Failure,
    grants::Realm,
    lookup::{Guarded, LOOKUPS_OF_A_MODULE, Lookups},
};

/// Connections to one server that are kept for the next request.
const IDLE_PER_SERVER: usize = 4;
/// How long they are kept. A module may ask a new server each time, and each takes a file handle.
const IDLE_FOR: Duration = Duration::from_secs(15);

/// Whom to trust. It is read once, and is the same for all modules.
#[derive(Debug)]
pub(crate) struct Trust(ClientConfig);

impl Trust {
    /// The authorities of this machine, and those of `pem`.
    pub(crate) fn read(pem: &str) -> Result<Self, HttpSetupError> {
        let added = CertificateDer::pem_slice_iter(pem.as_bytes());
        let added: Vec<_> = added
            .collect::<Result<_, _>>()
            .map_err(HttpSetupError::Authorities)?;
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(added, Arc::clone(&provider))
            .map_err(HttpSetupError::Tls)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(HttpSetupError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(config))
    }

    /// For one client: no session of TLS is taken up by another.
    fn of_one(&self) -> ClientConfig {
        let mut config = self.0.clone();
        config.resumption = Resumption::default();
        config
    }
}

/// The connections of one module. Those to servers at public addresses and those to listed servers
/// are apart: one that was made for a listed server is not there for another.
#[derive(Debug)]
pub(crate) struct Connections {
    /// The lookups that the module may have under way.
    share: Arc<Semaphore>,
    public: OnceLock<Client>,
    listed: OnceLock<Client>,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self {
            share: Arc::new(Semaphore::new(LOOKUPS_OF_A_MODULE)),
            public: OnceLock::new(),
            listed: OnceLock::new(),
        }
    }

    /// The client for one realm, made when it is first asked for: most modules ask no server.
    pub(crate) fn client(
        &self,
        realm: Realm,
        settings: &HttpSettings,
        trust: &Trust,
        lookups: &Arc<Lookups>,
    ) -> Result<&Client, Failure> {
        let (made, most) = match realm {
            Realm::Public => (&self.public, Reach::Public),
            Realm::Listed => (&self.listed, Reach::Private),
        };
        if let Some(client) = made.get() {
            return Ok(client);
        }
        let names = Guarded::new(Arc::clone(lookups), Arc::clone(&self.share), most);
        let client = build(settings, trust, names).map_err(|_| Failure::NoClient)?;
        Ok(made.get_or_init(|| client))
    }
}

fn build(settings: &HttpSettings, trust: &Trust, names: Guarded) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("nexum/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(names)
        // One would be asked in the server's place, with an address that nobody checks.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(IDLE_PER_SERVER)
        .pool_idle_timeout(IDLE_FOR)
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.idle_timeout)
        .tls_backend_preconfigured(trust.of_one())
        .build()
}

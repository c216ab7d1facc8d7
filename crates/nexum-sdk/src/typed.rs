//! Typed values over `local-store`: one under a key, or many under a prefix.
//!
//! A value is stored as one byte for the format, the version of its type as a varint, and the
//! value in postcard. What is stored is read back exactly, or is an error that names the key:
//! never a default in its place.

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use serde::{Serialize, de::DeserializeOwned};

use crate::{HostError, HostErrorKind, Result, local_store};

/// The first byte of everything stored here: how the rest is laid out.
const FORMAT: u8 = 1;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedStateError {
    /// The host refused, such as for the quota.
    #[error("state `{key}`: {error}")]
    Host {
        /// The key.
        key: String,
        /// What the host answered.
        #[source]
        error: HostError,
    },
    /// What is stored was not written by a typed state.
    #[error("state `{key}`: {len} bytes that no typed state wrote; read them with local_store")]
    Foreign {
        /// The key.
        key: String,
        /// How many bytes there are.
        len: usize,
    },
    /// What is stored is of another version, and nothing here migrates it.
    #[error(
        "state `{key}` is of version {found}, and this module reads version {wanted}; migrate it with `versioned`, or delete it"
    )]
    Version {
        /// The key.
        key: String,
        /// The version that it was stored with.
        found: u32,
        /// The version that was asked for.
        wanted: u32,
    },
    /// What is stored does not decode.
    #[error("state `{key}`, version {version}, does not decode as {into}: {problem}")]
    Decode {
        /// The key.
        key: String,
        /// The version that it was stored with.
        version: u32,
        /// The type.
        into: &'static str,
        /// What postcard says.
        problem: String,
    },
    /// The value cannot be encoded.
    #[error("state `{key}`: the value does not encode: {problem}")]
    Encode {
        /// The key.
        key: String,
        /// What postcard says.
        problem: String,
    },
    /// A key of the map does not parse.
    #[error("state `{key}`: what follows the prefix does not parse as {into}")]
    Key {
        /// The key.
        key: String,
        /// The type.
        into: &'static str,
    },
}

impl From<TypedStateError> for HostError {
    fn from(error: TypedStateError) -> Self {
        let message = error.to_string();
        match error {
            TypedStateError::Host { key, mut error } => {
                error.message = format!("state `{key}`: {}", error.message);
                error
            }
            _ => HostError::new(HostErrorKind::Internal, message).in_domain("local-store"),
        }
    }
}

/// A value as it is stored, of whatever version.
#[derive(Debug)]
pub struct Stored<'a> {
    key: &'a str,
    version: u32,
    wanted: u32,
    body: &'a [u8],
}

impl Stored<'_> {
    /// The version that it was stored with.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The value, as the type that it had in its version.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, TypedStateError> {
        let problem = match postcard::take_from_bytes(self.body) {
            Ok((value, [])) => return Ok(value),
            Ok((_, rest)) => format!("{} bytes are left over", rest.len()),
            Err(error) => error.to_string(),
        };
        Err(TypedStateError::Decode {
            key: self.key.to_owned(),
            version: self.version,
            into: std::any::type_name::<T>(),
            problem,
        })
    }

    /// The error for a version that a migration does not know.
    #[must_use]
    pub fn unknown(&self) -> TypedStateError {
        TypedStateError::Version {
            key: self.key.to_owned(),
            found: self.version,
            wanted: self.wanted,
        }
    }
}

/// Makes a value of today out of one of another version.
type Migrate<T> = fn(&Stored<'_>) -> Result<T, TypedStateError>;

/// How values of `T` are stored: the version of the type, and what reads other versions.
struct Codec<T> {
    version: u32,
    migrate: Option<Migrate<T>>,
}

impl<T> Codec<T> {
    const FIRST: Self = Self {
        version: 1,
        migrate: None,
    };
}

impl<T: Serialize + DeserializeOwned> Codec<T> {
    fn load(&self, key: &str) -> Result<Option<T>, TypedStateError> {
        let stored = local_store::get(key).map_err(|error| host(key, error))?;
        stored.map(|bytes| self.decode(key, &bytes)).transpose()
    }

    fn decode(&self, key: &str, bytes: &[u8]) -> Result<T, TypedStateError> {
        let foreign = || TypedStateError::Foreign {
            key: key.to_owned(),
            len: bytes.len(),
        };
        let body = bytes.strip_prefix(&[FORMAT]).ok_or_else(foreign)?;
        let (version, body) = postcard::take_from_bytes(body).map_err(|_| foreign())?;
        let stored = Stored {
            key,
            version,
            wanted: self.version,
            body,
        };
        match self.migrate {
            _ if version == self.version => stored.decode(),
            Some(migrate) => migrate(&stored),
            None => Err(stored.unknown()),
        }
    }

    fn store(&self, key: &str, value: &T) -> Result<(), TypedStateError> {
        let encode = |error: postcard::Error| TypedStateError::Encode {
            key: key.to_owned(),
            problem: error.to_string(),
        };
        let bytes = postcard::to_extend(&self.version, vec![FORMAT]).map_err(encode)?;
        let bytes = postcard::to_extend(value, bytes).map_err(encode)?;
        local_store::set(key, &bytes).map_err(|error| host(key, error))
    }
}

fn host(key: &str, error: HostError) -> TypedStateError {
    TypedStateError::Host {
        key: key.to_owned(),
        error,
    }
}

/// One value of the module's state, under a key of its own.
///
/// ```
/// # use nexum_sdk::{TypedState, TypedStateError};
/// const SEEN: TypedState<u64> = TypedState::new("seen");
///
/// fn count() -> Result<u64, TypedStateError> {
///     let seen = SEEN.load()?.unwrap_or(0) + 1;
///     SEEN.store(&seen)?;
///     Ok(seen)
/// }
/// ```
pub struct TypedState<T> {
    key: Cow<'static, str>,
    codec: Codec<T>,
}

impl<T> TypedState<T> {
    /// The value under `key`, of version 1.
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Self {
            key: Cow::Borrowed(key),
            codec: Codec::FIRST,
        }
    }

    /// The value under a key that is made at run time.
    #[must_use]
    pub const fn under(key: String) -> Self {
        Self {
            key: Cow::Owned(key),
            codec: Codec::FIRST,
        }
    }

    /// The same value in another version of its type. What was stored with another version is
    /// given to `migrate`, which decodes it as the type of then; the value is stored in today's
    /// version when it is next written.
    #[must_use]
    pub const fn versioned(mut self, version: u32, migrate: Migrate<T>) -> Self {
        self.codec = Codec {
            version,
            migrate: Some(migrate),
        };
        self
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Deletes the value. That there is none is no error.
    pub fn delete(&self) -> Result<(), TypedStateError> {
        local_store::delete(&self.key).map_err(|error| host(&self.key, error))
    }
}

impl<T: Serialize + DeserializeOwned> TypedState<T> {
    /// The value, or none where none was ever stored.
    pub fn load(&self) -> Result<Option<T>, TypedStateError> {
        self.codec.load(&self.key)
    }

    /// The value, or that type's default where none was ever stored.
    pub fn load_or_default(&self) -> Result<T, TypedStateError>
    where
        T: Default,
    {
        Ok(self.load()?.unwrap_or_default())
    }

    /// Stores `value`, over any value there is.
    pub fn store(&self, value: &T) -> Result<(), TypedStateError> {
        self.codec.store(&self.key, value)
    }
}

/// Values of the module's state by a key of their own type, under a common prefix.
///
/// A key is stored as its text: `K` shows itself (`Display`) and parses (`FromStr`) to the same.
pub struct TypedMap<K, V> {
    prefix: Cow<'static, str>,
    codec: Codec<V>,
    keys: PhantomData<fn(K) -> K>,
}

impl<K, V> TypedMap<K, V> {
    /// The values under keys that begin with `prefix`, of version 1. A prefix that is the
    /// beginning of another one would hold the other's values too: end it with a `/`.
    #[must_use]
    pub const fn new(prefix: &'static str) -> Self {
        Self {
            prefix: Cow::Borrowed(prefix),
            codec: Codec::FIRST,
            keys: PhantomData,
        }
    }

    /// The same values in another version of their type, as [`TypedState::versioned`].
    #[must_use]
    pub const fn versioned(mut self, version: u32, migrate: Migrate<V>) -> Self {
        self.codec = Codec {
            version,
            migrate: Some(migrate),
        };
        self
    }
}

impl<K: fmt::Display, V: Serialize + DeserializeOwned> TypedMap<K, V> {
    /// The value of `key`, or none where none was ever stored.
    pub fn get(&self, key: &K) -> Result<Option<V>, TypedStateError> {
        self.codec.load(&self.key(key))
    }

    /// Stores the value of `key`, over any value it has.
    pub fn insert(&self, key: &K, value: &V) -> Result<(), TypedStateError> {
        self.codec.store(&self.key(key), value)
    }

    /// Deletes the value of `key`. That there is none is no error.
    pub fn remove(&self, key: &K) -> Result<(), TypedStateError> {
        let key = self.key(key);
        local_store::delete(&key).map_err(|error| host(&key, error))
    }

    /// The keys, in the order of their text, at most 16384 of them.
    pub fn keys(&self) -> Result<Vec<K>, TypedStateError>
    where
        K: FromStr,
    {
        let keys =
            local_store::list_keys(&self.prefix).map_err(|error| host(&self.prefix, error))?;
        keys.into_iter()
            .map(|key| {
                key[self.prefix.len()..]
                    .parse()
                    .map_err(|_| TypedStateError::Key {
                        key: key.clone(),
                        into: std::any::type_name::<K>(),
                    })
            })
            .collect()
    }

    fn key(&self, key: &K) -> String {
        format!("{}{key}", self.prefix)
    }
}

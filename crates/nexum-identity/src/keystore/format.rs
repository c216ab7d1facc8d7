//! Web3 Secret Storage, version 3 (read and written), and the container of EIP-2335, version 4
//! (read).

use std::{fmt, io};

use nexum_types::Address;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    cipher::{self, Checksum, Iv},
    kdf::{DERIVED_BYTES, Kdf, KdfError},
};
use crate::{Key, NoRandomness, Password, key::fill_random};

/// A key under a password, as a file holds it. What the file says has been checked, but for the
/// checksum, which needs the password.
#[derive(Clone)]
pub struct KeyFile {
    address: Option<Address>,
    kdf: Kdf,
    iv: Iv,
    encrypted: Vec<u8>,
    checksum: [u8; 32],
    by: Checksum,
    /// What an EIP-2335 file says of its public key.
    public_key: Vec<u8>,
}

/// Why a file gives no key. No secret is told; nothing of the file is, but the names in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It is larger than any keystore.
    #[error("it has more than {} KiB, and a keystore has less than one", KeyFile::MAX_BYTES >> 10)]
    TooLarge,
    /// It ends before the JSON does.
    #[error("it is cut off: the JSON in it has no end")]
    Truncated,
    /// It is no JSON, or lacks what a keystore has.
    #[error("it is no keystore: line {line}, column {column} is not what stands there in one")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A value is not what it has to be.
    #[error("`{0}` is not what a keystore has there")]
    Value(&'static str),
    /// Another version.
    #[error(
        "it is a keystore of version {0}, and 3 (Web3 Secret Storage) and 4 (EIP-2335) are known"
    )]
    Version(u64),
    /// Something that is not known.
    #[error("its {what} is {name:?}, and {known} is known")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// What the file says.
        name: String,
        /// What it could say.
        known: &'static str,
    },
    /// Its cost is absurd.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// The password is not its password, or the file was altered.
    #[error("the password does not open it")]
    WrongPassword,
    /// It holds a key for BLS signatures, as validators have them.
    #[error("it holds a validator's BLS key, which is no key of an account")]
    Bls,
    /// What is in it is no key.
    #[error("what is in it is no private key of secp256k1")]
    NoKey,
    /// The key is another account's than the file says.
    #[error("the key in it is of {found}, and it says {told}")]
    OtherAccount {
        /// What the file says.
        told: String,
        /// Whose it is.
        found: Address,
    },
}

/// What becomes of an attempt to read one.
pub type Read<T> = Result<T, KeyFileError>;

/// What opening a new file is to cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WriteCost {
    /// As geth has it: 256 MiB of memory, and a second or so.
    #[default]
    Standard,
    /// As geth's `--lightkdf` has it: 4 MiB, and a tenth of a second. For tests, and for machines
    /// without memory.
    Light,
}

impl WriteCost {
    fn scrypt(self) -> (u64, u64, u64) {
        match self {
            Self::Standard => (1 << 18, 8, 1),
            Self::Light => (1 << 12, 8, 6),
        }
    }
}

#[derive(Deserialize)]
struct RawVersion {
    version: u64,
}

#[derive(Deserialize)]
struct RawV3 {
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: RawCrypto3,
}

#[derive(Deserialize)]
struct RawCrypto3 {
    cipher: String,
    cipherparams: RawIv,
    ciphertext: String,
    kdf: String,
    kdfparams: Value,
    mac: String,
}

#[derive(Deserialize)]
struct RawIv {
    iv: String,
}

#[derive(Deserialize)]
struct RawV4 {
    crypto: RawCrypto4,
    #[serde(default)]
    pubkey: String,
}

#[derive(Deserialize)]
struct RawCrypto4 {
    kdf: RawPart<Value>,
    checksum: RawPart<Value>,
    cipher: RawPart<RawIv>,
}

#[derive(Deserialize)]
struct RawPart<P> {
    function: String,
    params: P,
    message: String,
}

#[derive(Deserialize)]
struct RawScrypt {
    dklen: u64,
    n: u64,
    r: u64,
    p: u64,
    salt: String,
}

#[derive(Deserialize)]
struct RawPbkdf2 {
    dklen: u64,
    c: u64,
    prf: String,
    salt: String,
}

/// A BLS public key, compressed.
const BLS_PUBLIC_KEY_BYTES: usize = 48;
const SECRET_BYTES: usize = 32;
const CIPHER: &str = "aes-128-ctr";
const PRF: &str = "hmac-sha256";

impl KeyFile {
    /// The largest file that is looked at; real ones have 500 bytes.
    pub const MAX_BYTES: u64 = 64 << 10;

    /// Checks the text of a file. Nothing is derived yet.
    pub fn parse(text: &str) -> Read<Self> {
        if text.len() as u64 > Self::MAX_BYTES {
            return Err(KeyFileError::TooLarge);
        }
        let RawVersion { version } = from_json(text)?;
        match version {
            3 => Self::of_v3(from_json(text)?),
            4 => Self::of_v4(from_json(text)?),
            other => Err(KeyFileError::Version(other)),
        }
    }

    fn of_v3(raw: RawV3) -> Read<Self> {
        let RawV3 { address, crypto } = raw;
        known("cipher", &crypto.cipher, CIPHER)?;
        // Some tools write an empty one.
        let address = address.filter(|address| !address.is_empty());
        Ok(Self {
            address: address
                .map(|text| bytes_of("address", &text).map(Address::new))
                .transpose()?,
            kdf: kdf(&crypto.kdf, crypto.kdfparams)?,
            iv: bytes_of("crypto.cipherparams.iv", &crypto.cipherparams.iv)?,
            encrypted: bytes_of::<SECRET_BYTES>("crypto.ciphertext", &crypto.ciphertext)?.to_vec(),
            checksum: bytes_of("crypto.mac", &crypto.mac)?,
            by: Checksum::Keccak,
            public_key: Vec::new(),
        })
    }

    fn of_v4(raw: RawV4) -> Read<Self> {
        let RawV4 {
            crypto:
                RawCrypto4 {
                    kdf: raw_kdf,
                    checksum,
                    cipher,
                },
            pubkey,
        } = raw;
        known("cipher", &cipher.function, CIPHER)?;
        known("checksum", &checksum.function, "sha256")?;
        Ok(Self {
            address: None,
            kdf: kdf(&raw_kdf.function, raw_kdf.params)?,
            iv: bytes_of("crypto.cipher.params.iv", &cipher.params.iv)?,
            encrypted: bytes_of::<SECRET_BYTES>("crypto.cipher.message", &cipher.message)?.to_vec(),
            checksum: bytes_of("crypto.checksum.message", &checksum.message)?,
            by: Checksum::Sha256,
            public_key: hex_of("pubkey", &pubkey)?,
        })
    }

    /// The account, where the file says it. Many tools leave it out, and who has the file could
    /// have written anything: it is compared once the key is known.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.address
    }

    /// The version of its format: 3 or 4.
    #[must_use]
    pub fn version(&self) -> u8 {
        match self.by {
            Checksum::Keccak => 3,
            Checksum::Sha256 => 4,
        }
    }

    /// How its password is used.
    #[must_use]
    pub fn kdf(&self) -> &Kdf {
        &self.kdf
    }

    /// Opens it, which takes a processor for a second or so: call it where blocking is allowed.
    pub fn open(&self, password: &Password) -> Read<Key> {
        if self.public_key.len() == BLS_PUBLIC_KEY_BYTES {
            return Err(KeyFileError::Bls);
        }
        let secret = self.secret(password)?;
        let key = Key::from_bytes(&secret).map_err(|_| KeyFileError::NoKey)?;
        let found = key.address();
        if let Some(told) = self.address.filter(|told| *told != found) {
            let told = told.to_string();
            return Err(KeyFileError::OtherAccount { told, found });
        }
        let told = &self.public_key;
        if !told.is_empty() && *told != found.as_slice() && !key.has_public_key(told) {
            let told = format!("the public key {}", hex::encode(told));
            return Err(KeyFileError::OtherAccount { told, found });
        }
        Ok(key)
    }

    fn secret(&self, password: &Password) -> Read<Zeroizing<[u8; SECRET_BYTES]>> {
        let password = match self.by {
            Checksum::Keccak => password.raw(),
            Checksum::Sha256 => password.normalised(),
        };
        let derived = self.kdf.derive(&password)?;
        if self.by.of(&derived, &self.encrypted) != self.checksum {
            return Err(KeyFileError::WrongPassword);
        }
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        // Of that length by `parse`.
        secret.copy_from_slice(&self.encrypted);
        cipher::apply(&derived, &self.iv, &mut *secret);
        Ok(secret)
    }

    /// Puts a key under a password, which takes as long as to open it. Answers the text of a file
    /// of version 3.
    pub fn write(key: &Key, password: &Password, cost: WriteCost) -> Result<String, NoRandomness> {
        let (mut salt, mut iv, mut id) = (vec![0; 32], [0; 16], [0; 16]);
        fill_random(&mut salt)?;
        fill_random(&mut iv)?;
        fill_random(&mut id)?;
        let (n, r, p) = cost.scrypt();
        let written =
            Kdf::scrypt(n, r, p, salt.clone()).and_then(|kdf| kdf.derive(&password.raw()));
        let derived = written.unwrap_or_else(|error| {
            // A test writes with each of the two costs that there are.
            unreachable!("what is written with is within the bounds: {error}")
        });
        let mut encrypted = key.to_bytes();
        cipher::apply(&derived, &iv, &mut *encrypted);
        let mac = Checksum::Keccak.of(&derived, &*encrypted);
        let file = json!({
            "address": hex::encode(key.address()),
            "crypto": {
                "cipher": CIPHER,
                "cipherparams": { "iv": hex::encode(iv) },
                "ciphertext": hex::encode(*encrypted),
                "kdf": "scrypt",
                "kdfparams": { "dklen": DERIVED_BYTES, "n": n, "r": r, "p": p, "salt": hex::encode(&salt) },
                "mac": hex::encode(mac),
            },
            "id": uuid(id),
            "version": 3,
        });
        Ok(file.to_string())
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("version", &self.version())
            .field("address", &self.address)
            .field("kdf", &self.kdf)
            .finish_non_exhaustive()
    }
}

/// A random one (RFC 9562, version 4).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> Read<T> {
    // The error's own text may repeat what is in the file, which could be a bare key.
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => KeyFileError::Truncated,
        _ => KeyFileError::Malformed {
            line: error.line(),
            column: error.column(),
        },
    })
}

fn known(what: &'static str, name: &str, known: &'static str) -> Read<()> {
    if name == known {
        return Ok(());
    }
    Err(KeyFileError::Unknown {
        what,
        name: name.chars().take(32).collect(),
        known,
    })
}

fn kdf(function: &str, params: Value) -> Read<Kdf> {
    const PARAMS: &str = "the parameters of the key derivation";
    const SALT: &str = "salt";
    let value = |_| KeyFileError::Value(PARAMS);
    let length = |dklen: u64| match dklen == DERIVED_BYTES as u64 {
        true => Ok(()),
        false => Err(KdfError::Length(dklen)),
    };
    match function {
        "scrypt" => {
            let raw: RawScrypt = serde_json::from_value(params).map_err(value)?;
            length(raw.dklen)?;
            Ok(Kdf::scrypt(raw.n, raw.r, raw.p, hex_of(SALT, &raw.salt)?)?)
        }
        "pbkdf2" => {
            let raw: RawPbkdf2 = serde_json::from_value(params).map_err(value)?;
            length(raw.dklen)?;
            known("pseudorandom function", &raw.prf, PRF)?;
            Ok(Kdf::pbkdf2(raw.c, hex_of(SALT, &raw.salt)?)?)
        }
        other => {
            known("key derivation", other, "scrypt or pbkdf2")?;
            Err(KeyFileError::Value(PARAMS))
        }
    }
}

fn hex_of(what: &'static str, text: &str) -> Read<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map_err(|_| KeyFileError::Value(what))
}

fn bytes_of<const N: usize>(what: &'static str, text: &str) -> Read<[u8; N]> {
    let bytes = hex_of(what, text)?;
    bytes.try_into().map_err(|_| KeyFileError::Value(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two of EIP-2335. They hold a BLS key: what is in them is compared, and no account is
    /// made of it.
    const SCRYPT: &str = include_str!("../../tests/vectors/eip2335-scrypt.json");
    const PBKDF2: &str = include_str!("../../tests/vectors/eip2335-pbkdf2.json");
    const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
    const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

    #[test]
    fn the_vectors_of_eip_2335_open() {
        for text in [SCRYPT, PBKDF2] {
            let file = KeyFile::parse(text).unwrap();
            assert_eq!(file.version(), 4);
            let password = Password::new(PASSWORD.into());
            assert_eq!(hex::encode(*file.secret(&password).unwrap()), SECRET);
            let refused = file.open(&password).unwrap_err();
            assert!(matches!(refused, KeyFileError::Bls), "{refused}");
            let wrong = file.secret(&Password::new("testpassword".into()));
            assert!(matches!(wrong, Err(KeyFileError::WrongPassword)));
        }
    }

    #[test]
    fn a_container_with_an_accounts_key_opens_where_its_public_key_fits() {
        let secret = <[u8; 32]>::try_from(hex::decode(SECRET).unwrap()).unwrap();
        let key = Key::from_bytes(&secret).unwrap();
        let password = Password::new(PASSWORD.into());
        let open = |public_key: &[u8]| {
            let mut file = KeyFile::parse(PBKDF2).unwrap();
            file.public_key = public_key.to_vec();
            file.open(&password)
        };
        let point = k256::ecdsa::SigningKey::from_slice(&secret).unwrap();
        let point = point.verifying_key().to_encoded_point(true);
        for fitting in [&[], key.address().as_slice(), point.as_bytes()] {
            assert_eq!(open(fitting).unwrap().address(), key.address());
        }
        let other = open(&[2; 33]).unwrap_err();
        assert!(
            matches!(other, KeyFileError::OtherAccount { .. }),
            "{other}"
        );
    }

    #[test]
    fn an_id_has_the_form_of_one() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}

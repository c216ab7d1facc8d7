//! From a password to the key of a cipher, at a cost that is looked at first.

use std::fmt;

use zeroize::Zeroizing;

/// What is derived: 16 bytes for the cipher, 16 for the checksum.
pub(crate) type Derived = Zeroizing<[u8; DERIVED_BYTES]>;

pub(crate) const DERIVED_BYTES: usize = 32;

/// How a password becomes the key of a cipher.
#[derive(Clone, PartialEq, Eq)]
pub enum Kdf {
    /// scrypt (RFC 7914).
    Scrypt {
        /// The binary logarithm of n, the cost.
        log_n: u8,
        /// The block size.
        r: u32,
        /// The parallelism.
        p: u32,
        /// The salt.
        salt: Vec<u8>,
    },
    /// PBKDF2 (RFC 8018) with HMAC-SHA256.
    Pbkdf2 {
        /// The iterations.
        c: u32,
        /// The salt.
        salt: Vec<u8>,
    },
}

/// Why nothing is derived with such parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KdfError {
    /// n is no power of two, or a parameter is zero.
    #[error(
        "scrypt's n is a power of two above 1, and r and p are above 0; here n is {n}, r is {r}, p is {p}"
    )]
    Scrypt {
        /// The cost.
        n: u64,
        /// The block size.
        r: u64,
        /// The parallelism.
        p: u64,
    },
    /// It would take more memory than is given for it.
    #[error("scrypt with n {n}, r {r} and p {p} takes {} MiB of memory, more than {} MiB", memory(*n, *r, *p) >> 20, Kdf::MAX_MEMORY_BYTES >> 20)]
    Memory {
        /// The cost.
        n: u64,
        /// The block size.
        r: u64,
        /// The parallelism.
        p: u64,
    },
    /// It would take longer than is given for it.
    #[error("{function} with {parameters} takes too long: {times} times as long as what wallets write, and at most {most} times is done", most = Kdf::MAX_TIMES)]
    Time {
        /// The function.
        function: &'static str,
        /// Its parameters.
        parameters: String,
        /// How often what is usual.
        times: u64,
    },
    /// PBKDF2 without an iteration.
    #[error("PBKDF2 needs an iteration at least")]
    NoIteration,
    /// Another length than the ciphers need.
    #[error("`dklen` is {0}, and every wallet writes {DERIVED_BYTES}")]
    Length(u64),
}

/// What n, r and p take, saturating: the table, what is mixed, and what it is mixed with.
fn memory(n: u64, r: u64, p: u64) -> u64 {
    let blocks = n.saturating_add(p).saturating_add(2);
    blocks.saturating_mul(r).saturating_mul(128)
}

impl Kdf {
    /// The most memory that a file may ask for: twice what geth's do.
    pub const MAX_MEMORY_BYTES: u64 = 512 << 20;
    /// What may be beside the table of that size.
    const BESIDE_BYTES: u64 = 1 << 20;
    /// How much longer than geth's files one may take.
    pub const MAX_TIMES: u64 = 16;
    /// n · r · p of geth's files.
    const USUAL_SCRYPT: u64 = (1 << 18) * 8;
    /// The iterations of the files that have them.
    const USUAL_PBKDF2: u64 = 1 << 18;

    /// scrypt with those parameters, if it is something to do.
    pub(crate) fn scrypt(n: u64, r: u64, p: u64, salt: Vec<u8>) -> Result<Self, KdfError> {
        if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
            return Err(KdfError::Scrypt { n, r, p });
        }
        // What is usual beside a table of that size takes nothing to speak of.
        if memory(n, r, p) > Self::MAX_MEMORY_BYTES + Self::BESIDE_BYTES {
            return Err(KdfError::Memory { n, r, p });
        }
        let times = n
            .saturating_mul(r)
            .saturating_mul(p)
            .div_ceil(Self::USUAL_SCRYPT);
        let narrow = u32::try_from(r).ok().zip(u32::try_from(p).ok());
        match narrow {
            Some((r, p)) if times <= Self::MAX_TIMES => Ok(Self::Scrypt {
                // Of 64 bits.
                log_n: n.trailing_zeros() as u8,
                r,
                p,
                salt,
            }),
            _ => Err(KdfError::Time {
                function: "scrypt",
                parameters: format!("n {n}, r {r}, p {p}"),
                times,
            }),
        }
    }

    /// PBKDF2 with that many iterations, if it is something to do.
    pub(crate) fn pbkdf2(c: u64, salt: Vec<u8>) -> Result<Self, KdfError> {
        if c == 0 {
            return Err(KdfError::NoIteration);
        }
        let times = c.div_ceil(Self::USUAL_PBKDF2);
        match u32::try_from(c) {
            Ok(c) if times <= Self::MAX_TIMES => Ok(Self::Pbkdf2 { c, salt }),
            _ => Err(KdfError::Time {
                function: "PBKDF2",
                parameters: format!("{c} iterations"),
                times,
            }),
        }
    }

    /// Derives, which takes a processor for a second or so.
    pub(crate) fn derive(&self, password: &[u8]) -> Result<Derived, KdfError> {
        let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
        match self {
            Self::Scrypt { log_n, r, p, salt } => {
                let refused = || KdfError::Scrypt {
                    n: 1 << log_n,
                    r: (*r).into(),
                    p: (*p).into(),
                };
                let params = scrypt::Params::new(*log_n, *r, *p);
                let params = params.map_err(|_| refused())?;
                scrypt::scrypt(password, salt, &params, &mut *derived).map_err(|_| refused())?;
            }
            Self::Pbkdf2 { c, salt } => {
                pbkdf2::pbkdf2_hmac::<pbkdf2::sha2::Sha256>(password, salt, *c, &mut *derived);
            }
        }
        Ok(derived)
    }
}

impl fmt::Debug for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scrypt { log_n, r, p, .. } => write!(f, "scrypt(n 2^{log_n}, r {r}, p {p})"),
            Self::Pbkdf2 { c, .. } => write!(f, "PBKDF2({c} iterations)"),
        }
    }
}

impl fmt::Display for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wallets_write_is_done() {
        for (n, r, p) in [
            (1 << 18, 8, 1),
            (1 << 18, 1, 8),
            (1 << 12, 8, 6),
            (8192, 8, 1),
            (2, 8, 1),
        ] {
            assert!(Kdf::scrypt(n, r, p, vec![]).is_ok(), "{n} {r} {p}");
        }
        for c in [1, 262_144, 1_000_000] {
            assert!(Kdf::pbkdf2(c, vec![]).is_ok(), "{c}");
        }
    }

    #[test]
    fn an_absurd_cost_is_refused_before_anything_is_derived() {
        for (n, r, p) in [
            (0, 8, 1),
            (1, 8, 1),
            (262_143, 8, 1),
            (1 << 18, 0, 1),
            (1 << 18, 8, 0),
            (1 << 63, u64::MAX, u64::MAX),
            (1 << 23, 8, 1),
            // Little of a table, and much beside it.
            (2, 8, 1 << 21),
            (2, 1 << 21, 8),
            (2, 1 << 40, 1),
            (1 << 18, 8, 17),
            (2, 1, 1 << 40),
        ] {
            assert!(Kdf::scrypt(n, r, p, vec![]).is_err(), "{n} {r} {p}");
        }
        for c in [0, 1 << 23, u64::MAX] {
            assert!(Kdf::pbkdf2(c, vec![]).is_err(), "{c}");
        }
    }

    #[test]
    fn the_error_says_what_it_would_take() {
        let memory = Kdf::scrypt(1 << 23, 8, 1, vec![]).unwrap_err().to_string();
        assert_eq!(
            memory,
            "scrypt with n 8388608, r 8 and p 1 takes 8192 MiB of memory, more than 512 MiB"
        );
        let time = Kdf::pbkdf2(1 << 30, vec![]).unwrap_err().to_string();
        assert!(
            time.contains("4096 times as long") && time.contains("at most 16"),
            "{time}"
        );
    }
}

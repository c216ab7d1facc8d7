//! The interface `random`: randomness fit for keys. `getrandom`, and with it `rand`, reads the
//! same source.

use crate::host;

/// The most bytes that the host gives at a time.
const MAX_FILL: usize = 65_536;

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) {
    for part in bytes.chunks_mut(MAX_FILL) {
        // A part has at most 65536 bytes.
        let random = host::with(|host| host.random_fill(part.len() as u32));
        part.copy_from_slice(&random);
    }
}

/// `N` random bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// A random number of 64 bits.
#[must_use]
pub fn u64() -> u64 {
    u64::from_le_bytes(bytes())
}

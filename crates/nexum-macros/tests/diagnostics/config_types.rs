//! Fields that cannot be read.

use std::path::PathBuf;

use nexum_sdk::prelude::*;

#[derive(NexumConfig)]
struct Settings {
    ratio: f64,
    lists: Vec<Vec<u8>>,
    path: PathBuf,
    #[config(parse)]
    bytes: Bytes2,
    #[config(default)]
    own: Own,
    #[config(non_empty)]
    empty: u8,
    #[config(range = 1..=300)]
    range: String,
}

struct Bytes2;

struct Own;

fn main() {}

//! What `#[config(…)]` does not take.

use nexum_sdk::prelude::*;

#[derive(NexumConfig)]
struct Settings {
    #[config(defualt = 5)]
    unknown: u8,
    #[config(default, default = 5)]
    twice: u8,
    #[config(range = "1..=10")]
    quoted: u8,
    #[config(range = 10)]
    no_range: u8,
    #[config(rename = "limits.daily")]
    dotted: u8,
    #[config(default)]
    optional: Option<u8>,
    #[config(default = Some(5))]
    optional_with_value: Option<u8>,
    #[config(parse, range = 1..=10)]
    parsed: u8,
    #[config(rename = "twice")]
    same_key: u8,
    #[config(non_empty = true)]
    with_value: String,
    #[config(default = "5")]
    text: u8,
    #[config]
    nothing: u8,
    #[config(rename = "once", rename = "again")]
    renamed: u8,
    #[config(range = 1..=2)]
    #[config(range = 1..=3)]
    ranged: u8,
    #[config(non_empty, non_empty)]
    filled: String,
    #[config(parse, parse)]
    read: String,
}

fn main() {}

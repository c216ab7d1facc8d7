//! What `#[derive(NexumConfig)]` is not for.

use nexum_sdk::prelude::*;

#[derive(NexumConfig)]
enum Side {
    Above,
    Below,
}

#[derive(NexumConfig)]
union Both {
    one: u8,
    other: i8,
}

#[derive(NexumConfig)]
struct Unnamed(u8);

#[derive(NexumConfig)]
struct Unit;

#[derive(NexumConfig)]
#[config(rename = "settings")]
struct OnTheStruct {
    one: u8,
}

fn main() {}

//! Types that are not what they stand for.

use nexum_sdk::prelude::*;

struct Settings;

struct Transfer;

struct Watch;

#[nexum::module(manifest = "any.toml")]
impl Watch {
    #[init]
    fn init(_: &Settings) -> Result<Self, String> {
        Ok(Self)
    }

    #[on_block]
    fn on_block() -> Result<(), std::fmt::Error> {
        Ok(())
    }

    #[on_log(Transfer)]
    async fn on_transfer(_: Transfer) -> bool {
        true
    }
}

struct NoDefault;

#[nexum::module(manifest = "blocks.toml")]
impl NoDefault {
    #[on_block]
    fn on_block(&self) {}
}

struct NoResult;

#[nexum::module(manifest = "blocks.toml")]
impl NoResult {
    #[init]
    fn init() -> Option<Self> {
        None
    }

    #[on_block]
    fn on_block(&self) -> Result<u8> {
        Ok(1)
    }
}

struct Foreign;

#[nexum::module(manifest = "blocks.toml")]
impl Foreign {
    #[on_block]
    fn on_block(block: &Block) -> Result<()> {
        std::ffi::CString::new("a").context("the name")?;
        Ok(())
    }
}

fn main() {}

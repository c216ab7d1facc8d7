//! The chain behind `cargo xtask demo`: a scripted chain, or anvil, on a free loopback port.
//!
//! Prints one line for where it listens (`http <url>`, `ws <url>`), then one for each block, and
//! runs until it is ended.

use std::{error::Error, time::Duration};

use clap::Parser;
use nexum_testkit::{Anvil, RpcServer, Script, ScriptedChain, rpc};
use serde_json::{Value, json};

/// Accounts of a local development chain, which balance-watch watches.
const ALICE: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const BOB: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// Serves a chain whose balances change.
#[derive(Debug, Parser)]
struct Args {
    /// Run anvil instead of the scripted chain.
    #[arg(long)]
    anvil: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    if Args::parse().anvil {
        anvil().await
    } else {
        scripted().await
    }
}

/// Alice pays Bob at every third block, Bob pays some of it back two blocks later, and now and
/// then the last two blocks are replaced by others.
async fn scripted() -> Result<(), Box<dyn Error>> {
    let opening = format!(
        "chain 31337 every 400ms\n\
         balance {ALICE} = 10000 ether\n\
         balance {BOB} = 10000 ether\n\
         mine 2\n"
    );
    let round = format!(
        "chain 31337 every 400ms\n\
         balance {ALICE} -= 1.5 ether\n\
         balance {BOB} += 1.5 ether\n\
         mine 2\n\
         balance {BOB} -= 0.25 ether\n\
         balance {ALICE} += 0.25 ether\n\
         mine\n\
         mine 2\n\
         reorg 2\n"
    );
    let (opening, round): (Script, Script) = (opening.parse()?, round.parse()?);
    let chain = opening.chain();
    let server = RpcServer::start(chain.clone()).await?;
    println!("http {}\nws {}", server.http_url(), server.ws_url());
    tokio::spawn(tell_heads(chain.clone()));
    opening.play(&chain).await?;
    loop {
        round.play(&chain).await?;
    }
}

async fn tell_heads(chain: ScriptedChain) {
    let mut heads = chain.heads();
    loop {
        let head = heads.next().await;
        println!("block {} {}", head.number, head.hash);
    }
}

async fn anvil() -> Result<(), Box<dyn Error>> {
    let anvil = Anvil::start(["--block-time", "1"]).await?;
    println!("http {}\nws {}", anvil.http_url(), anvil.ws_url());
    let mut told = None;
    loop {
        let block = anvil
            .rpc("eth_getBlockByNumber", json!(["latest", false]))
            .await?;
        let head = (block["number"].clone(), block["hash"].clone());
        if told.as_ref() != Some(&head) {
            println!(
                "block {} {}",
                number(&head.0),
                head.1.as_str().unwrap_or_default()
            );
            if number(&head.0) % 3 == 1 {
                let payment = json!([{ "from": ALICE, "to": BOB, "value": "0x14d1120d7b160000" }]);
                rpc(&anvil.http_url(), "eth_sendTransaction", payment).await?;
            }
            told = Some(head);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn number(quantity: &Value) -> u64 {
    let digits = quantity.as_str().and_then(|text| text.strip_prefix("0x"));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or_default()
}

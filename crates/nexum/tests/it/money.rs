//! A chain with money on it, and an account of a module's that may spend some.

use nexum_identity::{Key, KeyFile, KeyFolder, Password, Save, WriteCost};
use nexum_testkit::{Address, Anvil, U256};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::folder::Folder;

/// The key of anvil's first account.
pub(crate) const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub(crate) const PASSWORD: &str = "plantedkeystorepassword";
/// What `[identity]` says of them.
pub(crate) const IDENTITY: &str =
    "[identity]\nkeystore = \"keys\"\npassword = { file = \"password\" }\n";

/// anvil, on a runtime of its own.
pub(crate) struct Money {
    pub(crate) anvil: Anvil,
    runtime: Runtime,
}

impl Money {
    pub(crate) fn on(chain: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let anvil = runtime.block_on(Anvil::start(["--chain-id".to_owned(), chain.to_string()]));
        Self {
            anvil: anvil.unwrap(),
            runtime,
        }
    }

    pub(crate) fn ask(&self, method: &str, params: Value) -> Value {
        self.runtime
            .block_on(self.anvil.rpc(method, params))
            .unwrap()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// How many of the account's transactions have landed.
    pub(crate) fn landed(&self, account: Address) -> u64 {
        number(&self.ask("eth_getTransactionCount", json!([account, "latest"])))
    }

    /// What the account has, in wei.
    pub(crate) fn balance(&self, account: Address) -> U256 {
        let balance = self.ask("eth_getBalance", json!([account, "latest"]));
        balance.as_str().unwrap().parse().unwrap()
    }

    /// The account's transactions, in the order of the chain: their nonces and values.
    pub(crate) fn sent(&self, account: Address) -> Vec<(u64, U256)> {
        let head = number(&self.ask("eth_blockNumber", json!([])));
        let blocks = (1..=head).map(|block| {
            let params = json!([format!("{block:#x}"), true]);
            self.ask("eth_getBlockByNumber", params)["transactions"].clone()
        });
        let all = blocks.flat_map(|block| block.as_array().unwrap().clone());
        let its = all.filter(|it| it["from"].as_str().unwrap().parse() == Ok(account));
        its.map(|it| {
            (
                number(&it["nonce"]),
                it["value"].as_str().unwrap().parse().unwrap(),
            )
        })
        .collect()
    }
}

fn number(quantity: &Value) -> u64 {
    quantity.as_str().unwrap().parse::<U256>().unwrap().to()
}

/// Puts the keystore of [`KEY`] and its password into a folder, and answers the account.
pub(crate) fn keep_key(folder: &Folder) -> Address {
    let key = Key::from_hex(KEY).unwrap();
    let account = key.address();
    let text = KeyFile::write(&key, &Password::new(PASSWORD.into()), WriteCost::Light);
    KeyFolder::new(folder.path("keys"))
        .save(account, &text.unwrap(), Save::ByAddress)
        .unwrap();
    folder.write("password", PASSWORD);
    account
}

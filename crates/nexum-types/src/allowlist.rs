//! The methods that a module may call: reads, and nothing that writes, signs, or reveals what
//! only the operator of the node should know.

/// Every allowed method, in order.
pub const ALLOWED_METHODS: [&str; 24] = [
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByHash",
    "eth_getBlockTransactionCountByNumber",
    "eth_getCode",
    "eth_getLogs",
    "eth_getProof",
    "eth_getStorageAt",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_syncing",
    "net_version",
    "web3_clientVersion",
];

/// True where a module may call `method`.
#[must_use]
pub fn is_allowed(method: &str) -> bool {
    ALLOWED_METHODS.binary_search(&method).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_the_search_finds_every_entry() {
        assert!(ALLOWED_METHODS.is_sorted());
        assert!(ALLOWED_METHODS.iter().all(|method| is_allowed(method)));
    }

    #[test]
    fn what_writes_or_signs_is_not_on_it() {
        for method in [
            "eth_sendRawTransaction",
            "eth_sign",
            "eth_accounts",
            "eth_subscribe",
            "",
        ] {
            assert!(!is_allowed(method), "{method}");
        }
    }
}

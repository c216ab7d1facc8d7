//! The limits that the contract promises to modules are those that are kept.

use nexum_chain::limits;

/// The contract's comments as one line of text.
fn promises() -> String {
    let contract = include_str!("../../../../wit/nexum-host/chain.wit");
    contract
        .lines()
        .filter_map(|line| line.trim().strip_prefix("///"))
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

fn mebibytes(bytes: usize) -> String {
    assert!(bytes.is_multiple_of(1024 * 1024));
    format!("{} MiB", bytes / 1024 / 1024)
}

#[test]
fn the_contract_names_the_limits_as_they_are() {
    let params = limits::MAX_PARAMS_BYTES;
    let response = limits::MAX_RESPONSE_BYTES;
    let promises = promises();
    for promise in [
        format!(
            "`params` has at most {} ({params} bytes)",
            mebibytes(params)
        ),
        format!("JSON array or object, at most {}.", mebibytes(params)),
        format!(
            "a batch at most {} requests and {} of parameters",
            limits::MAX_BATCH,
            mebibytes(limits::MAX_BATCH_BYTES)
        ),
        format!("Asks up to {} questions", limits::MAX_BATCH),
        format!(
            "an answer from an endpoint at most {} ({response} bytes)",
            mebibytes(response)
        ),
    ] {
        assert!(promises.contains(&promise), "not promised: {promise}");
    }
}

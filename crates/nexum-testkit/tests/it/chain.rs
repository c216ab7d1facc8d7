//! The model: the same operations make the same chain.

use nexum_testkit::{Address, ChainOpError, ScriptedChain, U256};

#[test]
fn the_same_operations_make_the_same_hashes() {
    let head = |chain_id| {
        let chain = ScriptedChain::new(chain_id);
        chain.mine(3);
        chain.reorg(2).unwrap();
        chain.head().hash
    };
    assert_eq!(head(1), head(1));
    assert_ne!(head(1), head(2));
}

#[test]
fn a_reorg_changes_the_hashes_and_keeps_what_is_below() {
    let chain = ScriptedChain::new(1);
    chain.mine(5);
    let before: Vec<_> = (0..=5).map(|number| chain.block(number).unwrap()).collect();
    chain.reorg(2).unwrap();
    for number in 0..=5 {
        let (old, new) = (&before[number as usize], chain.block(number).unwrap());
        assert_eq!(old.hash == new.hash, number <= 3, "block {number}");
        assert_eq!(
            chain.block_by_hash(&old.hash).as_ref(),
            Some(old),
            "orphans stay known"
        );
    }
    assert_eq!(chain.block(4).unwrap().parent_hash, before[3].hash);
    assert_eq!(
        chain.reorg(6),
        Err(ChainOpError::TooDeep { depth: 6, head: 5 })
    );
}

#[test]
fn a_balance_changes_with_the_next_block_and_a_reorg_takes_it_back() {
    let chain = ScriptedChain::new(1);
    let who = Address::repeat_byte(1);
    let balance = |number| chain.block(number).unwrap().balance(&who);
    chain.set_balance(who, U256::from(5));
    assert_eq!(chain.head().balance(&who), U256::ZERO);
    chain.mine(1);
    chain.debit(who, U256::from(2)).unwrap();
    chain.mine(1);
    assert_eq!(
        (balance(0), balance(1), balance(2)),
        (U256::ZERO, U256::from(5), U256::from(3))
    );
    chain.reorg(1).unwrap();
    assert_eq!(balance(2), U256::from(5));
    assert!(matches!(
        chain.debit(who, U256::from(6)),
        Err(ChainOpError::Balance { .. })
    ));
}

#[tokio::test]
async fn every_head_is_announced_once_however_late_it_is_taken() {
    let chain = ScriptedChain::new(1);
    let mut heads = chain.heads();
    chain.mine(2);
    let orphan = chain.head();
    chain.reorg(1).unwrap();
    assert_eq!(heads.next().await.number, 1);
    assert_eq!(heads.next().await, orphan);
    assert_eq!(heads.next().await, chain.head());
}

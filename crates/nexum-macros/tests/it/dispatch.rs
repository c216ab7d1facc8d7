//! Which handler is called, when, and with what.

#![expect(
    clippy::needless_pass_by_value,
    reason = "handlers that take what they could borrow"
)]

use std::{cell::RefCell, rc::Rc};

use nexum_sdk::{
    ConfigValue, Module,
    alloy::primitives::LogData,
    host::{Host, Installed, install},
    module::{Config, Configured},
    prelude::*,
};

use crate::host::Recorder;

sol! {
    #[derive(Debug)]
    event Transfer(address indexed from, address indexed to, uint256 value);

    event Approval(address indexed owner, address indexed spender, uint256 value);

    interface IERC721 {
        event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
    }
}

const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);

fn block(number: u64) -> Event {
    Event::Block(Block {
        chain_id: 1,
        number,
        hash: B256::with_last_byte(number as u8),
        parent_hash: B256::ZERO,
        timestamp: 1_700_000_000_000 + number,
    })
}

fn log(index: u32, data: LogData) -> Log {
    let (topics, data) = data.split();
    Log {
        chain_id: 1,
        address: ALICE,
        topics,
        data,
        block_number: 7,
        block_hash: B256::ZERO,
        block_timestamp: 0,
        transaction_hash: B256::ZERO,
        transaction_index: 0,
        log_index: index,
        removed: false,
    }
}

fn transfer(index: u32, value: u64) -> Log {
    let event = Transfer {
        from: ALICE,
        to: BOB,
        value: U256::from(value),
    };
    log(index, event.encode_log_data())
}

fn nft(index: u32, token: u64) -> Log {
    let event = IERC721::Transfer {
        from: ALICE,
        to: BOB,
        tokenId: U256::from(token),
    };
    log(index, event.encode_log_data())
}

fn approval(index: u32) -> Log {
    let event = Approval {
        owner: ALICE,
        spender: BOB,
        value: U256::ZERO,
    };
    log(index, event.encode_log_data())
}

/// A host that is there for as long as the second value.
fn host() -> (Rc<Recorder>, Installed) {
    let host = Rc::new(Recorder::default());
    let installed = install(Rc::clone(&host) as Rc<dyn Host>);
    (host, installed)
}

fn start<M: Module>() -> M::Instance {
    M::init(Config::new()).unwrap()
}

fn give<M: Module>(instance: &mut M::Instance, event: Event) {
    M::on_event(instance, event).unwrap();
}

mod a_module_with_a_value {
    use super::*;

    #[derive(Debug)]
    struct Watch {
        seen: Vec<String>,
    }

    #[nexum::module(manifest = "tests/it/manifests/all.toml")]
    impl Watch {
        #[init]
        fn init() -> Self {
            Self { seen: Vec::new() }
        }

        #[on_block]
        async fn on_block(&mut self, provider: &Provider, block: &Block) -> Result<()> {
            let price = provider.get_gas_price().await?;
            self.note(format!("block {} at {price}", block.number));
            Ok(())
        }

        #[on_log(Transfer)]
        fn on_transfer(&mut self, log: Log, transfer: &Transfer) -> Result<(), serde_json::Error> {
            let undo = if log.removed { "-" } else { "" };
            self.note(format!(
                "{undo}transfer of {} in {}",
                transfer.value, log.log_index
            ));
            if transfer.value == U256::MAX {
                return serde_json::from_str("no");
            }
            Ok(())
        }

        #[on_log(IERC721::Transfer)]
        fn on_nft(&mut self, transfer: IERC721::Transfer) {
            self.note(format!("token {}", transfer.tokenId));
        }

        #[on_log]
        fn on_other(&mut self, log: &Log) {
            self.note(format!("other log {}", log.log_index));
        }

        fn note(&mut self, what: String) {
            self.seen.push(what);
        }
    }

    #[test]
    fn keeps_its_value_from_call_to_call() {
        let (host, _installed) = host();
        host.answer("\"0x9\"");
        let mut watch = start::<Watch>();
        give::<Watch>(&mut watch, block(7));
        give::<Watch>(&mut watch, Event::Logs(vec![transfer(0, 5)]));
        assert_eq!(watch.seen, ["block 7 at 9", "transfer of 5 in 0"]);
        assert_eq!(host.asked(), ["1 eth_gasPrice"]);
    }

    #[test]
    fn is_given_each_log_by_its_event_and_in_order() {
        let mut watch = start::<Watch>();
        let nameless = log(4, LogData::default());
        let mut bad = transfer(5, 1);
        bad.data = Bytes::new();
        let logs = vec![
            transfer(0, 5),
            approval(1),
            nft(2, 9),
            transfer(3, 6),
            nameless,
            bad,
        ];
        give::<Watch>(&mut watch, Event::Logs(logs));
        assert_eq!(
            watch.seen,
            [
                "transfer of 5 in 0",
                "other log 1",
                "token 9",
                "transfer of 6 in 3",
                "other log 4",
                "other log 5",
            ]
        );
    }

    #[test]
    fn is_given_what_is_taken_back_by_the_same_handler() {
        let mut watch = start::<Watch>();
        let mut log = transfer(3, 6);
        log.removed = true;
        give::<Watch>(&mut watch, Event::Logs(vec![log]));
        assert_eq!(watch.seen, ["-transfer of 6 in 3"]);
    }

    #[test]
    fn stops_at_the_first_error() {
        let mut watch = start::<Watch>();
        let mut last = transfer(1, 0);
        last.data = Bytes::from(vec![0xff; 32]);
        let logs = vec![transfer(0, 5), last, transfer(2, 6)];
        let error = Watch::on_event(&mut watch, Event::Logs(logs)).unwrap_err();
        assert_eq!(error.kind, HostErrorKind::InvalidInput);
        assert_eq!(watch.seen.len(), 2);
    }

    #[test]
    fn passes_over_what_it_has_no_handler_for() {
        let (host, _installed) = host();
        let mut watch = start::<Watch>();
        let tick = Tick {
            fired_at: 0,
            schedule: "*".to_owned(),
        };
        give::<Watch>(&mut watch, Event::Tick(tick));
        assert!(watch.seen.is_empty());
        assert_eq!(
            host.logged(),
            ["warn passed over a tick: the module has no handler for it"]
        );
    }
}

mod a_module_of_events_alone {
    use super::*;

    thread_local! {
        static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    struct Totals;

    #[nexum::module(manifest = "tests/it/manifests/transfers.toml")]
    impl Totals {
        #[on_log(Transfer)]
        async fn on_transfer(provider: &Provider, transfer: Transfer) -> Result<()> {
            let balance = provider.get_balance(transfer.to).await?;
            SEEN.with_borrow_mut(|seen| seen.push(format!("{} of {balance}", transfer.value)));
            Ok(())
        }
    }

    #[test]
    fn passes_over_other_logs_with_a_warning() {
        let (host, _installed) = host();
        host.answer("\"0x64\"");
        start::<Totals>();
        give::<Totals>(&mut (), Event::Logs(vec![transfer(0, 5), nft(1, 9)]));
        assert_eq!(SEEN.take(), ["5 of 100"]);
        assert_eq!(
            host.logged(),
            [format!(
                "warn passed over log 1 of {ALICE:#x}: it is none of the events that the module \
                 handles"
            )]
        );
    }
}

mod a_module_with_configuration {
    use super::*;

    #[derive(Debug, PartialEq, NexumConfig)]
    struct Settings {
        #[config(default = 5)]
        threshold: u32,
    }

    #[derive(Debug, PartialEq)]
    struct Watch {
        begun_with: u32,
        blocks: Vec<u64>,
    }

    #[nexum::module(manifest = "tests/it/manifests/configured.toml")]
    impl Watch {
        #[on_block]
        fn on_block(&mut self, settings: &Settings, block: Block) {
            if block.number >= u64::from(settings.threshold) {
                self.blocks.push(block.number);
            }
        }

        #[init]
        fn init(settings: Settings) -> Result<Self> {
            if settings.threshold == 0 {
                return Err(HostError::invalid_input("0 is none"));
            }
            Ok(Self {
                begun_with: settings.threshold,
                blocks: Vec::new(),
            })
        }
    }

    #[test]
    fn has_it_in_init_and_in_handlers() {
        let config = vec![("threshold".to_owned(), ConfigValue::Integer(3))];
        let mut watch = Watch::init_with(config).unwrap();
        for number in 1..5 {
            give::<Watch>(&mut watch, block(number));
        }
        assert_eq!(
            watch,
            Configured {
                module: Watch {
                    begun_with: 3,
                    blocks: vec![3, 4],
                },
                config: Settings { threshold: 3 },
            }
        );
    }

    #[test]
    fn does_not_begin_with_a_wrong_one() {
        let wrong = vec![("treshold".to_owned(), ConfigValue::Integer(3))];
        let error = Watch::init_with(wrong).unwrap_err();
        assert_eq!(error.domain, "config");
        assert_eq!(
            error.message,
            "`treshold` is unknown: did you mean `threshold`?"
        );

        let refused = vec![("threshold".to_owned(), ConfigValue::Integer(0))];
        assert_eq!(Watch::init_with(refused).unwrap_err().message, "0 is none");
    }

    impl Watch {
        fn init_with(config: Config) -> Result<Configured<Self, Settings>> {
            <Self as Module>::init(config)
        }
    }

    struct Plain;

    #[nexum::module(manifest = "tests/it/manifests/configured.toml", config = Settings)]
    impl Plain {
        #[init]
        async fn begin() {}

        #[on_block]
        fn on_block(_: &Block, settings: &Settings) -> Result<()> {
            Err(HostError::unavailable(settings.threshold.to_string()))
        }
    }

    #[test]
    fn may_name_it_in_the_attribute() {
        let mut instance = start::<Plain>();
        assert_eq!(
            instance,
            Configured {
                module: (),
                config: Settings { threshold: 5 }
            }
        );
        let error = Plain::on_event(&mut instance, block(1)).unwrap_err();
        assert_eq!(error.message, "5");
    }
}

mod a_module_by_default {
    use super::*;

    #[derive(Default)]
    struct Count {
        events: u32,
        logs: usize,
    }

    #[nexum::module(manifest = "tests/it/manifests/all.toml")]
    impl Count {
        #[on_block]
        fn on_block(&mut self) {
            self.events += 1;
        }

        #[on_log]
        fn on_logs(&mut self, logs: &[Log], _: &Provider) {
            self.events += 1;
            self.logs += logs.len();
        }
    }

    #[test]
    fn is_made_from_its_type() {
        let mut count = start::<Count>();
        give::<Count>(&mut count, block(1));
        give::<Count>(&mut count, Event::Logs(vec![transfer(0, 1), approval(1)]));
        assert_eq!((count.events, count.logs), (2, 2));
    }

    #[test]
    fn takes_no_configuration() {
        let config = vec![("threshold".to_owned(), ConfigValue::Integer(3))];
        let error = Count::init(config).err().unwrap();
        assert_eq!(
            error.message,
            "`threshold` is unknown: the module takes no configuration"
        );
    }
}

mod a_module_that_takes_every_event {
    use super::*;

    struct Raw {
        kinds: Vec<&'static str>,
        config: Config,
    }

    #[nexum::module(manifest = "tests/it/manifests/configured.toml")]
    impl Raw {
        #[init]
        fn init(config: Config) -> Self {
            Self {
                kinds: Vec::new(),
                config,
            }
        }

        #[on_event]
        async fn on_event(&mut self, event: Event) -> Result<()> {
            self.kinds.push(match event {
                Event::Block(_) => "block",
                Event::Logs(_) => "logs",
                Event::Tick(_) => "tick",
                Event::Message(_) => "message",
            });
            Ok(())
        }
    }

    #[test]
    fn is_given_all_of_them() {
        let config = vec![("anything".to_owned(), ConfigValue::Boolean(true))];
        let mut raw = <Raw as Module>::init(config.clone()).unwrap();
        assert_eq!(raw.config, config);
        give::<Raw>(&mut raw, block(1));
        give::<Raw>(&mut raw, Event::Logs(vec![approval(0)]));
        assert_eq!(raw.kinds, ["block", "logs"]);
    }
}

mod a_module_that_only_begins {
    use super::*;

    struct Idle;

    #[nexum::module(manifest = "tests/it/manifests/idle.toml")]
    impl Idle {
        #[init]
        fn init() -> Result<(), serde_json::Error> {
            serde_json::from_str::<u8>("7").map(|_| log::info!("begun"))
        }
    }

    #[test]
    fn needs_no_subscription() {
        let (host, _installed) = host();
        start::<Idle>();
        assert_eq!(host.logged(), ["info begun"]);
    }
}

//! What a script does to a server.

use crate::{Endpoint, EndpointChange, RpcServer, View};

impl Endpoint for RpcServer {
    fn change(&self, change: &EndpointChange) {
        let wire = self.wire();
        let view = |change: &dyn Fn(&mut View)| self.change_view(change);
        match change {
            EndpointChange::Down(down) => wire.set_down(*down),
            EndpointChange::Disconnect => wire.drop_connections(),
            EndpointChange::HalfOpen(half_open) => wire.set_half_open(*half_open),
            EndpointChange::Muted(muted) => wire.set_muted(*muted),
            EndpointChange::Latency(latency) => wire.set_latency(*latency),
            EndpointChange::Rate(limit) => wire.set_rate_limit(*limit),
            EndpointChange::Fail(injection) => wire.inject(injection.clone()),
            EndpointChange::ChainId(id) => view(&|view| view.chain_id = *id),
            EndpointChange::Lag(blocks) => view(&|view| view.lag = *blocks),
            EndpointChange::UnknownNewest(blocks) => view(&|view| view.unknown_newest = *blocks),
            EndpointChange::LogsMissingNewest(blocks) => {
                view(&|view| view.logs_missing_newest = *blocks);
            }
            EndpointChange::LogsMissingIn(number) => view(&|view| {
                view.logs_missing_in.insert(*number);
            }),
            EndpointChange::EmptyBlooms(empty) => view(&|view| view.empty_blooms = *empty),
            EndpointChange::LogTimestamps(on) => view(&|view| view.log_timestamps = *on),
            EndpointChange::RefuseBeyondHead(refuse) => {
                view(&|view| view.refuse_beyond_head = *refuse);
            }
            EndpointChange::RangeLimit(max, wording) => view(&|view| {
                view.log_limits.max_blocks = *max;
                view.log_limits.wording = *wording;
            }),
            EndpointChange::ResultLimit(max, wording) => view(&|view| {
                view.log_limits.max_results = max.map(|max| max as usize);
                view.log_limits.wording = *wording;
            }),
            EndpointChange::BatchLimit(max) => {
                view(&|view| view.max_batch = max.map(|max| max as usize));
            }
            EndpointChange::Heal => self.heal(),
        }
    }
}

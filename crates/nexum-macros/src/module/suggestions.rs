//! What to add to a manifest or to a module.

use nexum_manifest::{ModuleFile, ModuleManifest};

use super::handlers::Kind;

/// A chain for an example: the first that the manifest names.
fn chain_id(manifest: &ModuleManifest) -> u64 {
    manifest.chains.first().map_or(1, |chain| chain.0)
}

/// The lines of a manifest that subscribe to what such a handler takes. The event is left out of
/// those of a log.
pub(super) fn subscription(kind: &Kind, manifest: &ModuleManifest) -> String {
    let chain_id = chain_id(manifest);
    let chains = match manifest.chains.is_empty() {
        true => format!("[chains]\nrequired = [{chain_id}]\n\n"),
        false => String::new(),
    };
    match kind {
        Kind::Block | Kind::Event => {
            format!("{chains}[[subscription]]\nkind = \"block\"\nchain_id = {chain_id}\n")
        }
        Kind::Log | Kind::LogOf(_) => format!(
            "{chains}[[subscription]]\nkind = \"log\"\nchain_id = {chain_id}\naddress = \"0x…\"  \
             # the contract, or a list; without this line, any\n"
        ),
        Kind::Tick => "[[subscription]]\nkind = \"cron\"\nschedule = \"*/5 * * * *\"\n".to_owned(),
        Kind::Message => {
            "[[subscription]]\nkind = \"message\"\ncontent_topic = \"/my-app/1/alerts/proto\"\n"
                .to_owned()
        }
    }
}

/// The handler that takes what such a subscription brings.
pub(super) fn handler(kind: &Kind, with_self: bool) -> String {
    let receiver = if with_self { "&mut self, " } else { "" };
    let name = kind.name();
    let payload = match kind {
        Kind::Block => "block: &Block",
        Kind::Log | Kind::LogOf(_) => "log: &Log",
        Kind::Tick => "tick: &Tick",
        Kind::Message => "message: &Message",
        Kind::Event => "event: Event",
    };
    format!(
        "    #[{name}]\n    fn {name}({receiver}{payload}) -> Result<()> {{\n        Ok(())\n    }}\n"
    )
}

/// Why no manifest subscribes to what such a handler takes, in the words of the manifest's own
/// check; `None` where one can.
pub(super) fn refusal(kind: &Kind, manifest: &ModuleManifest) -> Option<String> {
    let subscription = subscription(kind, manifest);
    let text = format!(
        "[module]\nname = \"x\"\nversion = \"0.1.0\"\n[capabilities]\nrequired = []\n{subscription}"
    );
    let problems = ModuleFile::parse("nexum.toml".as_ref(), text).err()?;
    problems
        .problems()
        .next()
        .map(|problem| problem.message().to_owned())
}

//! `nexum reload-credentials`.

use nexum_engine::wire;

use crate::{cli::AskArgs, exit::Failure, modules::show, place};

pub(crate) async fn reload(args: &AskArgs) -> Result<(), Failure> {
    let client = place::running(&args.at).await?;
    let read: wire::Credentials = client
        .post("/v1/credentials/reload", &wire::Done {})
        .await?;
    show(&args.at, &read, || match read.credentials {
        1 => "1 credential was read anew\n".to_owned(),
        count => format!("{count} credentials were read anew\n"),
    })
}

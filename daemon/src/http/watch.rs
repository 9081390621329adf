//! Looks after the files of TLS while the daemon runs.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

use super::{
    context::Context,
    tls::{Look, Tls},
};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks again and again, and tells what came of it: in the log, and in the supervision tree while new files are
/// refused.
pub(super) async fn attend(tls: Arc<Tls>, context: Arc<Context>) -> Infallible {
    loop {
        let at_once = tokio::select! {
            () = sleep(INTERVAL) => false,
            () = context.reread.notified() => true,
        };
        let looking = tls.clone();
        match spawn_blocking(move || looking.look(at_once)).await {
            Ok(Look::Same) => {}
            Ok(Look::Changed) => context.node.set_detail(None),
            Ok(Look::Refused(why)) => {
                tracing::error!("new files of http.tls are refused, the former go on: {why}");
                let detail = format!("new files of http.tls are refused, the former go on: {why}");
                context.node.set_detail(Some(&detail));
            }
            Err(error) => tracing::error!(%error, "failed to look at the files of http.tls"),
        }
    }
}

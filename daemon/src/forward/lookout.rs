//! Looks whether a hub that is preferred answers again, beside what is sent to another meanwhile: one that lets requests
//! hang holds up nothing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    caller::Caller,
    verdict::{Verdict, judge},
};
use crate::config::{ForwardConfig, Protocol};

/// How long a hub is given to answer.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// A remote write of nothing, in snappy's block format.
const NOTHING: &[u8] = &[0];

/// Looks until it has heard a hub, or is dropped.
#[derive(Debug)]
pub(super) struct Lookout {
    hubs: usize,
    heard: oneshot::Receiver<usize>,
}

impl Lookout {
    /// Looks at `urls` one after the other, after `pause` each time.
    pub(super) fn begin(
        config: Arc<ForwardConfig>,
        protocol: Protocol,
        urls: &[String],
        pause: Duration,
    ) -> Self {
        let (mut found, heard) = oneshot::channel();
        let (hubs, urls) = (urls.len(), urls.to_vec());
        tokio::spawn(async move {
            let hub = tokio::select! {
                hub = look(config, protocol, urls, pause) => hub,
                () = found.closed() => return,
            };
            // It was dropped at this moment.
            let _ = found.send(hub);
        });
        Self { hubs, heard }
    }

    /// How many it looks at.
    pub(super) fn hubs(&self) -> usize {
        self.hubs
    }

    /// The first that answers.
    pub(super) fn heard(&mut self) -> Option<usize> {
        self.heard.try_recv().ok()
    }
}

async fn look(
    config: Arc<ForwardConfig>,
    protocol: Protocol,
    urls: Vec<String>,
    pause: Duration,
) -> usize {
    let mut caller = Caller::new(config);
    loop {
        sleep(pause).await;
        for (hub, url) in urls.iter().enumerate() {
            let asked = caller.post(url, protocol, Bytes::from_static(NOTHING));
            let answer = timeout(LOOK_LIMIT, asked).await;
            let verdict = answer.ok().and_then(Result::ok).map(|got| judge(got, protocol, 0));
            match verdict {
                None | Some(Verdict::Again { .. } | Verdict::Held { .. }) => {}
                Some(_) => return hub,
            }
        }
    }
}

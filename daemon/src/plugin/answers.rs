//! What a host's frames mean for the instances that live there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_plugin::abi::{Level, Status};
use tracing::{debug, error, info, trace, warn};

use super::{
    frames::{Answer, Head, Kind, TEXT_MAX, verdict},
    line::{Doing, Fault, LineState, Tenant},
    messages::{CollectError, InstanceState},
};

/// The host broke the protocol: it is not an honest host any more.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) reason: Arc<str>,
    /// The instance that it spoke for.
    pub(super) id: Option<u64>,
}

/// Acts on one frame; whose instance cannot go on, and why, if that is what it says.
pub(super) fn handle(
    state: &mut LineState,
    head: Head,
    body: &[u8],
) -> Result<Option<(u64, Fault)>, Broken> {
    let broken = |what: &str, id| {
        Err(Broken { reason: format!("plugin host broke the protocol: {what}").into(), id })
    };
    let Some(tenant) = state.tenants.get_mut(&head.instance) else {
        // The last words of an instance that is gone already, or of one that never was.
        return match head.kind {
            Kind::Log | Kind::Series | Kind::SeriesDrop => Ok(None),
            _ => broken("an answer of nobody", None),
        };
    };
    let id = tenant.shared.id;
    match head.kind {
        Kind::Series | Kind::SeriesDrop => {
            if tenant.series_left == 0 {
                return broken("more series than one call can have", Some(id));
            }
            tenant.series_left -= 1;
            if head.kind == Kind::SeriesDrop {
                tenant.table.free(head.seq);
            } else if let Err(error) = tenant.table.register(head.seq, body) {
                return broken(&error.to_string(), Some(id));
            }
            Ok(None)
        }
        Kind::Log => {
            log(tenant, head, body);
            Ok(None)
        }
        Kind::Done => done(state, head, body).map_err(|what| {
            let reason = format!("plugin host broke the protocol: {what}").into();
            Broken { reason, id: Some(id) }
        }),
        Kind::BlackBox | Kind::File | Kind::Create | Kind::Collect | Kind::Destroy => {
            broken("a frame that only the daemon sends", Some(id))
        }
    }
}

fn done(
    state: &mut LineState,
    head: Head,
    body: &[u8],
) -> Result<Option<(u64, Fault)>, &'static str> {
    let Some(tenant) = state.tenants.get_mut(&head.instance) else { return Ok(None) };
    let is_leaving = tenant.is_leaving();
    let Some(call) = tenant.call.take_if(|call| call.seq == head.seq) else {
        // While it is being destroyed, the call before may still come home.
        return if is_leaving { Ok(None) } else { Err("an answer that nobody asked for") };
    };
    let id = tenant.shared.id;
    let text: Arc<str> = match head.flags {
        0 => "".into(),
        _ => {
            String::from_utf8_lossy(body.get(..body.len().min(TEXT_MAX)).unwrap_or_default()).into()
        }
    };
    match call.doing {
        Doing::Create if head.flags == 0 => {
            tenant.shared.set_state(InstanceState::Ready);
            Ok(None)
        }
        Doing::Create => {
            let fault = fault(&failure(head.flags, &text), head.flags);
            tenant.shared.set_state(fault.state());
            state.close(head.instance);
            Ok(Some((id, fault)))
        }
        Doing::Destroy => {
            state.tenants.remove(&head.instance);
            Ok(None)
        }
        Doing::Collect(answer) => {
            let outcome = if head.flags == 0 {
                let took = Duration::from_nanos(u64::try_from(head.time).unwrap_or(0));
                let parsed = Answer::parse(body).ok_or("samples that cannot be read")?;
                let read = tenant.table.read(&parsed, took);
                read.map_err(|error| CollectError::Fatal(error.to_string().into()))
            } else {
                Err(failure(head.flags, &text))
            };
            let fault = match &outcome {
                Ok(_) | Err(CollectError::Unavailable(_) | CollectError::Retry(_)) => None,
                Err(error) => Some((id, fault(error, head.flags))),
            };
            if let Some((_, fault)) = &fault {
                // Before the collector hears of it, so that it sees the state that comes next.
                tenant.shared.set_state(fault.state());
                state.close(head.instance);
            }
            // A collector that gave up waits no more.
            let _ = answer.send(outcome);
            Ok(fault)
        }
    }
}

/// A status that is not "all is well", as the collector gets it.
fn failure(flags: u16, text: &Arc<str>) -> CollectError {
    let text = text.clone();
    match Status::from_code(i32::from(flags)) {
        Some(Status::Unavailable) => CollectError::Unavailable(text),
        Some(Status::Retry) => CollectError::Retry(text),
        Some(Status::Config) => CollectError::Config(text),
        Some(Status::Permission) => CollectError::Permission(text),
        Some(Status::Unsupported) => CollectError::Unsupported(text),
        Some(Status::Panic) => CollectError::Panic(text),
        Some(Status::Fatal | Status::Ok) | None => CollectError::Fatal(text),
    }
}

/// What follows from an error that an instance cannot go on after.
fn fault(error: &CollectError, flags: u16) -> Fault {
    let reason: Arc<str> = match flags {
        verdict::REFUSED => error.to_string().replacen("plugin failed", "plugin refused", 1).into(),
        _ => error.to_string().into(),
    };
    match error {
        CollectError::Config(_) | CollectError::Permission(_) => Fault::Parked(reason),
        CollectError::Unsupported(_) => Fault::Absent(reason),
        CollectError::Unavailable(_) | CollectError::Retry(_) => Fault::Later(reason),
        _ if flags == verdict::REFUSED => Fault::Parked(reason),
        _ => Fault::Fell(reason),
    }
}

impl Fault {
    /// The state that an instance is in after it.
    pub(super) fn state(&self) -> InstanceState {
        match self {
            Self::Fell(reason) | Self::Later(reason) => {
                InstanceState::Down { reason: reason.clone() }
            }
            Self::Parked(reason) => InstanceState::Parked { reason: reason.clone() },
            Self::Absent(reason) => InstanceState::Absent { reason: reason.clone() },
        }
    }
}

/// Passes a plugin's line on. The host keeps a budget already; one that does not is not
/// believed, so it is kept here once more.
fn log(tenant: &mut Tenant, head: Head, body: &[u8]) {
    let Some(more) = tenant.budget.admit(Instant::now()) else { return };
    let suppressed = head.seq.saturating_add(more);
    let spec = &tenant.shared.spec;
    let (server, collector) = (&*spec.server, &*spec.collector);
    let text = String::from_utf8_lossy(body.get(..body.len().min(TEXT_MAX)).unwrap_or_default());
    let text = text.trim_end();
    if suppressed > 0 {
        warn!(server, collector, suppressed, "plugin logs too much, lines suppressed");
    }
    match Level::from_code(u32::from(head.flags)) {
        Level::Error => error!(server, collector, text, "plugin says"),
        Level::Warn => warn!(server, collector, text, "plugin says"),
        Level::Info => info!(server, collector, text, "plugin says"),
        Level::Debug => debug!(server, collector, text, "plugin says"),
        Level::Trace => trace!(server, collector, text, "plugin says"),
    }
}

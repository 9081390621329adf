//! What is left of a context after its instance has ended.

use std::cell::RefCell;

use super::{M, Script};
use crate::{Collector, Ctx, Error, NoConfig, Out, Plugin, Result, abi::NO_SERIES, testing::Host};

thread_local! {
    static KEPT: RefCell<Vec<Ctx>> = const { RefCell::new(Vec::new()) };
}

/// Keeps its context where it outlives the instance.
struct Keeper;

impl Collector for Keeper {
    type Config = NoConfig;
    fn new(_: NoConfig, ctx: Ctx) -> Result<Self> {
        let again = KEPT.with_borrow_mut(|kept| {
            kept.push(ctx.clone());
            kept.len() > 1
        });
        if again { Err(Error::fatal("once is enough")) } else { Ok(Self) }
    }
    fn collect(&mut self, _: &mut Out) -> Result<()> {
        Ok(())
    }
}

impl Plugin for Keeper {
    const MANIFEST: &'static [u8] = Script::MANIFEST;
}

#[test]
fn a_context_is_inert_once_its_instance_has_ended_or_never_began() {
    let host = Host::new::<Keeper>("{}").unwrap();
    let kept = |at: usize| KEPT.with_borrow(|kept| kept[at].clone());
    assert_ne!(kept(0).series(M::Load, &[]).0, NO_SERIES);
    assert!(host.destroy().is_empty());
    assert!(Host::new::<Keeper>("{}").is_err());
    for ended in [kept(0), kept(1)] {
        assert_eq!(ended.series(M::Load, &[]).0, NO_SERIES);
        // Their hosts are freed: these must not reach them.
        ended.warn("too late");
        ended.series_drop(crate::Series(0));
        assert_eq!((ended.instance(), ended.target()), ("test", "test-server"));
    }
}

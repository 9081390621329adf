//! How many connections one address may have that have shown no right yet.
//!
//! A connection stops being a stranger's when its first request has been answered well. So whoever only connects,
//! from wherever it is, takes places from nobody else.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Connections of strangers, by address.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<HashMap<IpAddr, usize>>);

/// One of them. Dropped, it is none any more.
#[derive(Debug)]
pub(super) struct Stranger {
    all: Arc<Strangers>,
    from: IpAddr,
}

impl Strangers {
    /// One more from `address`, unless there are `most` already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Stranger> {
        let from = network(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(from).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Stranger { all: self.clone(), from })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

/// What counts as one address: of IPv6, whoever has one has the 64 bits behind it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_its_own_places_and_gets_them_back() {
        let strangers = Arc::<Strangers>::default();
        let enter = |address: &str| strangers.enter(address.parse().ok()?, 2);
        let held = [enter("10.0.0.1"), enter("::ffff:10.0.0.1")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter("10.0.0.1").is_none(), "both are taken");
        assert!(enter("10.0.0.2").is_some());

        let _held = [enter("2001:db8::1"), enter("2001:db8::ffff:1")];
        assert!(enter("2001:db8::2").is_none(), "the same 64 bits");
        assert!(enter("2001:db8:0:1::2").is_some());

        drop(held);
        assert!(enter("10.0.0.1").is_some());
        let left = strangers.0.lock().map(|counts| counts.len());
        assert!(left.is_ok_and(|left| left == 1), "who is gone is forgotten");
    }
}

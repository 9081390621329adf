//! The accounts of all tokens, of which those that nobody needs any more are dropped.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::account::Account;

/// So many tokens have an account; of more, the one that was quiet for longest loses its.
const ACCOUNTS_MAX: usize = 20_000;

/// An account that was not used for so long is dropped.
const UNUSED: Duration = Duration::from_hours(24);

/// How often that is looked at.
const EVERY: Duration = Duration::from_mins(10);

/// The accounts by the names of their tokens.
#[derive(Debug)]
pub(super) struct Accounts {
    accounts: HashMap<Arc<str>, Arc<Account>>,
    swept: Instant,
}

impl Accounts {
    /// None yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { accounts: HashMap::new(), swept: now }
    }

    /// The account of a token, which may write `rate` samples a second; a new one, where it has none.
    pub(super) fn of(&mut self, id: &Arc<str>, rate: u64, now: Instant) -> Arc<Account> {
        if let Some(account) = self.accounts.get(id) {
            return account.clone();
        }
        if self.accounts.len() >= ACCOUNTS_MAX {
            let longest = |account: &Account| account.facts().allowance.unused(now);
            let quietest = self.accounts.iter().max_by_key(|(_, account)| longest(account));
            if let Some(id) = quietest.map(|(id, _)| id.clone()) {
                self.accounts.remove(&id);
            }
        }
        let account = Arc::new(Account::new(rate, now));
        self.accounts.insert(id.clone(), account.clone());
        account
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<Account>)> {
        self.accounts.iter().map(|(id, account)| (id.clone(), account.clone())).collect()
    }

    /// Whether it is time to [`sweep`](Self::sweep).
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.swept) >= EVERY
    }

    /// Drops the accounts of tokens that do not count any more, and those that were not used for a day.
    pub(super) fn sweep(&mut self, counts: impl Fn(&Arc<str>) -> bool, now: Instant) {
        self.swept = now;
        self.accounts
            .retain(|id, account| counts(id) && account.facts().allowance.unused(now) < UNUSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_revoked_and_of_quiet_tokens_are_dropped() {
        let start = Instant::now();
        let mut accounts = Accounts::new(start);
        let ids: [Arc<str>; 3] = ["revoked", "quiet", "used"].map(Arc::from);
        ids.iter().for_each(|id| drop(accounts.of(id, 1, start)));
        assert!(!accounts.is_due(start));
        let later = start + UNUSED;
        assert!(accounts.is_due(later));
        for id in [&ids[0], &ids[2]] {
            assert_eq!(accounts.of(id, 1, later).facts().allowance.check(1, later), Ok(()));
        }
        accounts.sweep(|id| **id != *"revoked", later);
        let left: Vec<Arc<str>> = accounts.all().into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, [ids[2].clone()]);
        assert!(!accounts.is_due(later));
    }
}

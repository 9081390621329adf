//! Where others ask about tokens, and change them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex as Turn, time::timeout};

use super::{
    entry::Enrolment,
    messages::{EnrolError, Grant, TokenFault},
    register::{Plan, Register},
    secret::{self, Secret},
    sharing::{SharedToken, Shift},
};
use crate::{
    series::now_ms,
    store::{StateChanges, StatePort},
};

/// How long the disk is waited for.
const DISK: Duration = Duration::from_secs(5);

/// Knows the tokens. Cheap to clone; threads: any.
#[derive(Debug, Clone, Default)]
pub struct TokenPort(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    register: Mutex<Register>,
    /// Tells this start from every other one.
    boot: u64,
    /// Changes are planned, kept and made one after the other.
    turn: Turn<()>,
    states: StatePort,
}

/// A token that was just made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The token itself; nobody can ask for it again.
    pub token: String,
    /// What it is called.
    pub id: Arc<str>,
    /// Tags that its server has.
    pub tags: BTreeMap<String, String>,
}

impl TokenPort {
    /// The tokens that were `kept`, by keys that begin with `t`; changes are kept in `states`.
    pub fn restored(kept: BTreeMap<Vec<u8>, Vec<u8>>, states: StatePort) -> Self {
        let register = Mutex::new(Register::restored(kept));
        let boot = now_ms().cast_unsigned();
        Self(Arc::new(Shared { register, boot, turn: Turn::default(), states }))
    }

    /// What `token`, as a request brought it, allows, or why it allows nothing; notes that its machine has been
    /// connected.
    pub fn judge(&self, token: &str) -> Result<Grant, TokenFault> {
        self.register().judge(token, now_ms())
    }

    /// Notes that samples have been stored.
    pub fn stored(&self, grant: &Grant) {
        self.register().stored(&grant.id, now_ms());
    }

    /// Notes why a request was refused, in words for people.
    pub fn refused(&self, grant: &Grant, why: &str) {
        self.register().refused(&grant.id, why, now_ms());
    }

    /// Notes why a request that brought `token` was turned away before anybody asked what it allows.
    pub fn turned_away(&self, token: &str, why: &str) {
        self.register().turned_away(token, why, now_ms());
    }

    /// Whether a token has been revoked since it was judged.
    pub fn is_revoked(&self, grant: &Grant) -> bool {
        self.register().is_revoked(&grant.id)
    }

    /// Requests since the start whose token allowed nothing.
    pub fn wrong(&self) -> u64 {
        self.register().wrong
    }

    /// How far the machine has come that was given the token of `name`.
    pub fn enrolment(&self, name: &str) -> Option<Enrolment> {
        self.register().of(name).cloned()
    }

    /// A token by which samples of `server` may come, whether it is for that server alone or for many.
    pub fn feeding(&self, server: &str) -> Option<Enrolment> {
        self.register().feeding(server).cloned()
    }

    /// All tokens, revoked ones too, by the names of their servers.
    pub fn all(&self) -> Vec<Enrolment> {
        self.register().all()
    }

    /// Makes a token for `name`. Where it has one, only if `again`, and that one is revoked; its tags stay unless
    /// others are given.
    pub async fn add(
        &self,
        name: &str,
        tags: BTreeMap<String, String>,
        again: bool,
    ) -> Result<Made, EnrolError> {
        let (token, id) = loop {
            let made = secret::random().map_err(|_| EnrolError::Random)?;
            // Another may be called the same, by chance.
            if !self.register().has(&made.1) {
                break made;
            }
        };
        let hash = Secret::parse(&token).map(|secret| secret.hash()).ok_or(EnrolError::Random)?;
        let named = (id.clone(), hash);
        self.change(|register| register.add(named, name, tags, again, now_ms())).await?;
        let tags = self.enrolment(name).map(|made| made.tags).unwrap_or_default();
        Ok(Made { token, id, tags })
    }

    /// Revokes what tokens `name` has.
    pub async fn remove(&self, name: &str) -> Result<(), EnrolError> {
        self.change(|register| register.remove(name, now_ms())).await
    }

    /// Gives the token of `from` to `to`, which its machine may go on to call by the former name.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), EnrolError> {
        self.change(|register| register.rename(from, to, now_ms())).await
    }

    /// What changes with every change of a token, in words that mean nothing to anybody else.
    pub fn revision(&self) -> String {
        format!("{:x}-{}", self.0.boot, self.register().changes)
    }

    /// What another hub of the group is told.
    pub fn shared(&self) -> Vec<SharedToken> {
        self.register().shared()
    }

    /// Takes in what another hub of the group has told; answers what has changed by it.
    pub async fn take_told(&self, told: Vec<SharedToken>) -> Result<Vec<Shift>, EnrolError> {
        self.shift(|register| register.told(told)).await
    }

    /// Revokes a token by what it is called, because another hub of the group has; answers what has changed by it.
    pub async fn revoke(&self, id: &str) -> Result<Vec<Shift>, EnrolError> {
        self.shift(|register| register.revoke(id, now_ms())).await
    }

    async fn shift(&self, plan: impl FnOnce(&Register) -> Plan) -> Result<Vec<Shift>, EnrolError> {
        let mut shifts = Vec::new();
        self.change(|register| {
            let plan = plan(register);
            shifts = register.shifts(&plan);
            Ok(plan)
        })
        .await?;
        Ok(shifts)
    }

    /// Keeps how far machines have come, if any has come further. Called now and then, and at the end.
    pub async fn keep_progress(&self) {
        let _turn = self.0.turn.lock().await;
        let (taken, changes) = self.register().take_unkept();
        if !changes.is_empty() && self.keep(changes).await.is_err() {
            self.register().put_back(taken);
        }
    }

    async fn change(
        &self,
        plan: impl FnOnce(&Register) -> Result<Plan, EnrolError>,
    ) -> Result<(), EnrolError> {
        let _turn = self.0.turn.lock().await;
        let mut plan = plan(&self.register())?;
        if plan.is_empty() {
            return Ok(());
        }
        self.keep(plan.changes()).await?;
        self.register().make(plan);
        Ok(())
    }

    async fn keep(&self, changes: StateChanges) -> Result<(), EnrolError> {
        match timeout(DISK, self.0.states.keep(changes)).await {
            Ok(kept) => kept.map_err(|error| EnrolError::Unkept(Some(error))),
            Err(_) => Err(EnrolError::Unkept(None)),
        }
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.0.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

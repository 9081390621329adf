//! What the API says of incidents and notices, and waiting for it.

use std::{fs, time::Duration};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    DEADLINE, Daemon, Setup,
    http::{self, Answer},
    wait_for,
};

/// What links in mails begin with, where a scenario sets it.
pub const PUBLIC_URL: &str = "https://bartizan.example.test";

/// `[http]` with [`PUBLIC_URL`].
pub const HTTP: &str = "[http]\npublic_url = \"https://bartizan.example.test\"\n\n";

impl Daemon {
    /// Incidents of `state` (`firing`, `closed` or `all`).
    pub async fn incidents(&self, state: &str) -> Vec<Value> {
        let answer = self.get(&format!("/incidents?state={state}")).await;
        answer["incidents"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// One incident with its timeline and notices.
    pub async fn incident(&self, id: u64) -> Value {
        self.get(&format!("/incidents/{id}")).await
    }

    /// Waits for an incident of a rule on a server in one of these states; returns the newest, whole.
    pub async fn incident_of(&self, server: &str, rule: &str, states: &[&str]) -> Value {
        let what = format!("an incident {states:?} of rule {rule} on {server}");
        let look = async || {
            let all = self.incidents("all").await;
            let of_rule = all.into_iter().filter(|incident| {
                incident["server"] == server
                    && incident["rule"] == rule
                    && incident["state"].as_str().is_some_and(|state| states.contains(&state))
            });
            of_rule.max_by_key(|incident| number(&incident["id"]))
        };
        let found = wait_for(&what, DEADLINE, look).await.0;
        self.incident(number(&found["id"])).await
    }

    /// Waits until a notice of an incident fits; returns it.
    pub async fn notice(&self, incident: u64, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let what = format!("a notice of incident {incident}: {what}");
        let look = async || {
            let incident = self.incident(incident).await;
            list(&incident["notices"]).iter().find(|notice| fits(notice)).cloned()
        };
        // Back-off grows to minutes, and a scenario that causes it has to wait for it.
        wait_for(&what, 3 * DEADLINE, look).await.0
    }

    /// Waits until nothing is to be sent any more; what is held stays so.
    pub async fn nothing_waits(&self, deadline: Duration) {
        wait_for("an empty outbox", deadline, async || {
            let delivery = self.get("/delivery").await;
            let mut ways = list(&delivery["ways"]).iter();
            let empty =
                ways.all(|way| number(&way["waiting"]) == 0 && number(&way["retrying"]) == 0);
            empty.then_some(())
        })
        .await;
    }
}

impl Setup {
    /// Whether the disk has taken everything that the alert actor had heard of. A wish, also one that cannot be
    /// granted, is answered once it has; or once it has refused, and then the actor says so.
    pub async fn has_kept_all(&self, daemon: &Daemon) -> bool {
        let answer = self.post("/incidents/999999999/ack", &json!({ "by": "nobody" })).await;
        assert_eq!(answer.status, 404, "{}", answer.text());
        let actors = daemon.actors().await;
        let (_, alert) = actors.iter().find(|(path, _)| path.ends_with("/alert")).unwrap();
        alert["detail"].is_null()
    }

    /// Sends a change with the administrator's token.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let token = fs::read_to_string(self.state().join("admin-token")).unwrap();
        let token = format!("Bearer {}", token.trim());
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let path = format!("/api/v1{path}");
        http::request(self.address, Method::POST, &path, &headers, body.to_string()).await.unwrap()
    }
}

/// The attempts of a notice.
pub fn attempts(notice: &Value) -> &[Value] {
    list(&notice["attempts"])
}

/// How the attempts of a notice ended, in order.
pub fn outcomes(notice: &Value) -> Vec<&str> {
    attempts(notice).iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect()
}

/// A list in an answer.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// A number in an answer.
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

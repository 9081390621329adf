//! How a machine comes to a hub: a token of the hub's, and the lines that make a daemon an agent.

use std::{fs, net::SocketAddr};

use hyper::Method;
use serde_json::{Value, json};

use crate::{Setup, http};

/// Makes a token for `server`, as an administrator of a running hub does.
///
/// # Panics
///
/// When it is refused; the text says what the hub answered.
pub async fn add(hub: &Setup, server: &str) -> String {
    ask(hub, json!({ "name": server })).await
}

/// Makes another token for `server`, which has one: that one is revoked.
///
/// # Panics
///
/// When it is refused; the text says what the hub answered.
pub async fn add_again(hub: &Setup, server: &str) -> String {
    ask(hub, json!({ "name": server, "again": true })).await
}

/// Makes a token for a server of these tags.
///
/// # Panics
///
/// When it is refused; the text says what the hub answered.
pub async fn add_tagged(hub: &Setup, server: &str, tags: Value) -> String {
    ask(hub, json!({ "name": server, "tags": tags })).await
}

/// Removes a server, as an administrator of a running hub does.
///
/// # Panics
///
/// When it is refused; the text says what the hub answered.
pub async fn remove(hub: &Setup, server: &str) {
    let socket = hub.state().join("control.sock");
    let path = format!("/api/v1/servers/{}", http::escape(server));
    let answer = http::over_control(&socket, Method::DELETE, &path, String::new()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn ask(hub: &Setup, wish: Value) -> String {
    let (socket, body) = (hub.state().join("control.sock"), wish.to_string());
    let answer = http::over_control(&socket, Method::POST, "/api/v1/servers", body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// The configuration's lines that make the daemon of `agent` send to the hubs at `addresses`, with a token in a file of
/// its own.
pub fn forward(agent: &Setup, token: &str, addresses: &[SocketAddr]) -> String {
    let file = agent.folder().join("hub-token");
    fs::write(&file, token).unwrap();
    let urls = addresses.iter().map(|address| format!("\"http://{address}/api/v1/write\""));
    let urls = urls.collect::<Vec<_>>().join(", ");
    let loopback = addresses.iter().all(|address| address.ip().is_loopback());
    let insecure = if loopback { "" } else { "insecure = true\n" };
    format!(
        "[[forward]]\nname = \"hub\"\nurls = [{urls}]\ntoken_file = \"{}\"\n{insecure}\n",
        file.display()
    )
}

//! Servers are added, and their machines' first requests seen, over real sockets.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, sleep, timeout},
};

use super::{
    alerts::store,
    rig::{DEADLINE, Reply, Rig},
};
use crate::enrol::TokenPort;

#[tokio::test]
async fn a_server_is_added_once_and_its_machine_seen_step_by_step() {
    let folder = TempDir::new().unwrap();
    let rig = enrolling(&folder).await;
    let wish = r#"{"name": "web 1", "tags": {"env": "prod"}}"#;
    let added = admin(&rig, "POST", "/servers", wish).await;
    assert_eq!(added.status, 200, "{added:?}");
    let added = added.json();
    let token = added["token"].as_str().unwrap();
    assert_eq!(added["url"], "https://bartizan.example.org");
    let command =
        format!("bartizan join https://bartizan.example.org --token {token} --name 'web 1'");
    assert_eq!(added["command"], command);
    assert_eq!(added["note"], json!(null));
    assert_eq!(steps(&rig).await, (["created"].map(String::from).to_vec(), json!(null)));

    // A slip of the pen: the right token, but for its end.
    let slip = format!("{}{}", &token[..75], if token.ends_with('0') { '1' } else { '0' });
    let wrong = own(&rig, &slip, &rig.address.to_string()).await;
    assert_eq!((wrong.status, &wrong.json()["error"]), (401, &json!("wrong_token")));
    let (done, error) = steps(&rig).await;
    assert_eq!(done, ["created", "connected"]);
    assert!(error["detail"].as_str().unwrap().contains("copy the whole line"), "{error}");

    // By a name that is none of ours: turned away before anybody looks at the token.
    let lost = own(&rig, token, "10.0.0.9").await;
    assert_eq!(lost.status, 421, "{lost:?}");
    assert!(steps(&rig).await.1["detail"].as_str().unwrap().contains("http.public_url"));

    let known = own(&rig, token, &rig.address.to_string()).await;
    assert_eq!((known.status, &known.json()["servers"]), (200, &json!(["web 1"])));
    assert_eq!(steps(&rig).await.0, ["created", "connected", "token_known"]);

    rig.tokens.stored(&rig.tokens.judge(token).unwrap());
    let all = ["created", "connected", "token_known", "first_sample"].map(String::from).to_vec();
    assert_eq!(steps(&rig).await, (all, json!(null)), "what went wrong before is over");

    let tokens = admin(&rig, "GET", "/tokens", "").await;
    assert!(!tokens.body.contains(token) && !tokens.body.contains(&token[12..]), "{tokens:?}");
    let tokens = tokens.json();
    assert_eq!(tokens["tokens"][0]["server"], "web 1");
    assert_eq!(tokens["tokens"][0]["tags"], json!({"env": "prod"}));
    rig.until_metric("bartizan_enrol_wrong_tokens_total ", 1.0).await;
}

#[tokio::test]
async fn a_token_is_replaced_renamed_and_revoked_and_its_holder_hears_of_it() {
    let folder = TempDir::new().unwrap();
    let rig = enrolling(&folder).await;
    let token = |added: &Reply| added.json()["token"].as_str().unwrap().to_owned();
    let first = token(&admin(&rig, "POST", "/servers", r#"{"name": "a"}"#).await);
    let again = admin(&rig, "POST", "/servers", r#"{"name": "a"}"#).await;
    assert_eq!((again.status, &again.json()["error"]), (409, &json!("exists")));
    let second = token(&admin(&rig, "POST", "/servers", r#"{"name": "a", "again": true}"#).await);
    let here = rig.address.to_string();
    let revoked = own(&rig, &first, &here).await;
    assert_eq!((revoked.status, &revoked.json()["error"]), (401, &json!("revoked_token")));
    assert_eq!(own(&rig, &second, &here).await.status, 200);

    let renamed = admin(&rig, "POST", "/servers/a/rename", r#"{"to": "b"}"#).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("b")));
    assert_eq!(own(&rig, &second, &here).await.json()["servers"], json!(["b", "a"]));
    assert_eq!(admin(&rig, "GET", "/servers/nobody/enrolment", "").await.status, 404);

    assert_eq!(admin(&rig, "DELETE", "/servers/b", "").await.status, 200);
    assert_eq!(admin(&rig, "DELETE", "/servers/b", "").await.status, 404);
    let error = own(&rig, &second, &here).await.json()["error"].clone();
    assert_eq!(error, "revoked_token");
}

#[tokio::test]
async fn whom_a_token_for_many_let_in_goes_with_it_unless_another_lets_it_in() {
    let folder = TempDir::new().unwrap();
    let rig = enrolling(&folder).await;
    let mut ids = Vec::new();
    for name in ["app-*", "app-2", "*-3", "*"] {
        let added = admin(&rig, "POST", "/servers", &json!({ "name": name }).to_string()).await;
        let grant = rig.tokens.judge(added.json()["token"].as_str().unwrap()).unwrap();
        // By the last, hubs ask each other; nothing comes by it.
        if name != "*" {
            rig.tokens.stored(&grant);
        }
        ids.push(grant.id);
    }
    for name in ["app-1", "app-2", "app-3", "app-4", "web-1"] {
        rig.fleet.describe(name, Default::default());
    }
    rig.fleet.configure(["app-4".into()].into());
    let gone = admin(&rig, "DELETE", "/servers/app-*", "").await;
    assert_eq!(gone.status, 200, "{gone:?}");
    let gone = gone.json();
    assert_eq!(gone["removed"], json!(["app-1"]));
    let staying = json!([
        {"name": "app-2", "why": format!("token {} for `app-2` lets it in", ids[1])},
        {"name": "app-3", "why": format!("token {} for `*-3` lets it in", ids[2])},
        {"name": "app-4", "why": "the configuration names it, but no token lets it in any more"},
    ]);
    assert_eq!(gone["staying"], staying);
    assert!(gone["note"].as_str().unwrap().contains("one server that came by it alone"), "{gone}");
    assert!(!rig.fleet.knows("app-1") && rig.fleet.knows("app-2") && rig.fleet.knows("web-1"));

    // Of one that another token lets in, that token is named.
    let one = admin(&rig, "DELETE", "/servers/app-3", "").await.json();
    let note = one["note"].as_str().unwrap();
    assert!(note.contains("no token of its own") && note.contains("remove '*-3'"), "{note}");
    assert!(!rig.fleet.knows("app-3"));
}

#[tokio::test]
async fn a_token_that_is_revoked_while_a_body_comes_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let rig = enrolling(&folder).await;
    let added = admin(&rig, "POST", "/servers", r#"{"name": "a"}"#).await.json();
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let body = r#"{"metrics": {"temperature_celsius": 21.5}}"#;
    let head = format!(
        "POST /api/v1/push HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        rig.address,
        added["token"].as_str().unwrap(),
        body.len()
    );
    let (first, rest) = body.split_at(5);
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    let known = async {
        while rig.tokens.enrolment("a").is_none_or(|entry| entry.known_ms.is_none()) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, known).await.unwrap();
    assert_eq!(admin(&rig, "DELETE", "/servers/a", "").await.status, 200);
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("revoked_token"), "{answer}");
}

#[tokio::test]
async fn what_the_configuration_names_is_changed_there_and_keeps_its_token() {
    let folder = TempDir::new().unwrap();
    let rig = enrolling(&folder).await;
    let added = admin(&rig, "POST", "/servers", r#"{"name": "a"}"#).await.json();
    let token = added["token"].as_str().unwrap();
    rig.fleet.configure(["a".into()].into());
    for (method, path, body) in
        [("DELETE", "/servers/a", ""), ("POST", "/servers/a/rename", r#"{"to": "b"}"#)]
    {
        let reply = admin(&rig, method, path, body).await;
        assert_eq!((reply.status, &reply.json()["error"]), (409, &json!("configured")), "{method}");
        assert!(reply.json()["detail"].as_str().unwrap().contains("change it there"));
    }
    let known = own(&rig, token, &rig.address.to_string()).await;
    assert_eq!((known.status, &known.json()["servers"]), (200, &json!(["a"])));

    rig.fleet.configure(Default::default());
    assert_eq!(admin(&rig, "DELETE", "/servers/a", "").await.status, 200);
}

#[tokio::test]
async fn only_administrators_see_and_change_tokens() {
    let folder = TempDir::new().unwrap();
    let rig = enrolling(&folder).await;
    for (method, path) in [
        ("GET", "/tokens"),
        ("GET", "/servers/a/enrolment"),
        ("POST", "/servers"),
        ("POST", "/servers/a/rename"),
        ("DELETE", "/servers/a"),
    ] {
        let head = format!("{method} /api/v1{path} HTTP/1.1\r\nhost: {}\r\n", rig.address);
        let reply = rig.ask(&head).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]),
            (401, &json!("signin_required")),
            "{path}"
        );
    }
    let added = admin(&rig, "POST", "/servers", r#"{"name": "a"}"#).await.json();
    // A server's token is no administrator's.
    let token = added["token"].as_str().unwrap();
    let head = format!("GET /api/v1/tokens HTTP/1.1\r\nhost: {}\r\n", rig.address);
    let reply = rig.ask(&format!("{head}authorization: Bearer {token}\r\n")).await;
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(reply.status == 404 && detail.contains("correct the URL"), "{reply:?}");

    for (wish, says) in [
        (r#"{"name": ""}"#, "1 to 128 bytes"),
        (r#"{"name": "a", "tag": {}}"#, "unknown field"),
        (r#"{"name": "a\u0007"}"#, "the name is `a\\u{7}`, must have 1 to 128 bytes"),
        (r#"{"name": "b", "tags": {"1": "x"}}"#, "must be letters"),
    ] {
        let reply = admin(&rig, "POST", "/servers", wish).await;
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(reply.status == 400 && detail.contains(says), "{wish}: {detail}");
    }
    rig.fleet.configure(["here".into()].into());
    assert_eq!(admin(&rig, "POST", "/servers", r#"{"name": "here"}"#).await.status, 409);
    assert_eq!(admin(&rig, "POST", "/servers/a/rename", r#"{"to": "here"}"#).await.status, 409);
}

#[tokio::test]
async fn another_hub_is_told_of_those_servers_that_its_token_may_write() {
    let folder = TempDir::new().unwrap();
    let rig = enrolling(&folder).await;
    let added = admin(&rig, "POST", "/servers", r#"{"name": "web-*"}"#).await.json();
    let token = added["token"].as_str().unwrap();
    for name in ["web-1", "db-1"] {
        rig.monitor(name, 0.5);
    }
    let asked = r#"{"servers": ["web-1", "web-2", "db-1"]}"#;
    let names = |reply: &Reply| -> Vec<(String, bool)> {
        let servers = reply.json()["servers"].as_array().unwrap().clone();
        let fresh = |server: &Value| (0..60_000).contains(&server["silent_ms"].as_i64().unwrap());
        servers.iter().map(|one| (one["name"].as_str().unwrap().into(), fresh(one))).collect()
    };
    let both = async {
        while names(&ask_seen(&rig, &rig.token, asked).await).len() < 2 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, both).await.unwrap();
    let of_admin = names(&ask_seen(&rig, &rig.token, asked).await);
    assert_eq!(of_admin, [("db-1".to_owned(), true), ("web-1".to_owned(), true)]);
    let of_token = names(&ask_seen(&rig, token, asked).await);
    assert_eq!(of_token, [("web-1".to_owned(), true)], "of others nothing is said");

    let wrong = ask_seen(&rig, "bz_nonsense", asked).await;
    assert_eq!((wrong.status, &wrong.json()["error"]), (401, &json!("malformed_token")));
    let head = format!("POST /api/v1/seen HTTP/1.1\r\nhost: {}\r\n", rig.address);
    let none = rig.ask_with(&format!("{head}content-length: 2\r\n"), "{}").await;
    assert_eq!((none.status, &none.json()["error"]), (401, &json!("token_required")));
    let reply = ask_seen(&rig, token, r#"{"server": "web-1"}"#).await;
    assert!(
        reply.status == 400 && reply.body.contains("the body must be JSON such as"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn another_hub_is_told_all_tokens_if_its_own_may_write_every_server() {
    let folder = TempDir::new().unwrap();
    let rig = enrolling(&folder).await;
    let mut tokens = Vec::new();
    for name in ["*", "web-*"] {
        let wish = format!(r#"{{"name": "{name}"}}"#);
        let added = admin(&rig, "POST", "/servers", &wish).await.json();
        tokens.push(added["token"].as_str().unwrap().to_owned());
    }
    let ask = async |token: &str, more: &str| {
        let head = format!("GET /api/v1/tokens/shared HTTP/1.1\r\nhost: {}\r\n", rig.address);
        let more = format!("authorization: Bearer {token}\r\n{more}");
        rig.ask_with(&format!("{head}{more}"), "").await
    };
    let told = ask(&tokens[0], "").await;
    let shared = told.json()["tokens"].as_array().unwrap().clone();
    assert_eq!((told.status, shared.len()), (200, 2));
    assert!(tokens.iter().all(|token| !told.body.contains(&token[12..])), "no token travels");
    let few = ask(&tokens[1], "").await;
    assert_eq!((few.status, &few.json()["error"]), (403, &json!("not_every_server")));
    assert_eq!(ask("bz_nonsense", "").await.status, 401);

    let revision = told.header("etag").unwrap().to_owned();
    let known = format!("if-none-match: {revision}\r\n");
    assert_eq!(ask(&rig.token, &known).await.status, 304);
    admin(&rig, "DELETE", "/servers/web-*", "").await;
    assert_eq!(ask(&rig.token, &known).await.status, 200);
}

async fn enrolling(folder: &TempDir) -> Rig {
    Rig::enrolling(TokenPort::restored(Default::default(), store(folder).await)).await
}

/// What the page shows of `web 1`: steps that are done, and the error.
async fn steps(rig: &Rig) -> (Vec<String>, Value) {
    let view = admin(rig, "GET", "/servers/web%201/enrolment", "").await.json();
    let steps = view["steps"].as_array().unwrap().iter();
    let done = steps.filter(|step| step["at_ms"].is_i64()).map(|step| step["step"].as_str());
    (done.map(|step| step.unwrap().to_owned()).collect(), view["error"].clone())
}

async fn admin(rig: &Rig, method: &str, path: &str, body: &str) -> Reply {
    let head = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n",
        rig.address,
        rig.token,
        body.len()
    );
    rig.ask_with(&head, body).await
}

/// What a machine hears of its own token when it calls us `host`.
async fn own(rig: &Rig, token: &str, host: &str) -> Reply {
    let authorization = format!("authorization: Bearer {token}");
    rig.ask(&format!("GET /api/v1/enrolment HTTP/1.1\r\nhost: {host}\r\n{authorization}\r\n")).await
}

async fn ask_seen(rig: &Rig, token: &str, body: &str) -> Reply {
    let head = format!(
        "POST /api/v1/seen HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n",
        rig.address,
        body.len()
    );
    rig.ask_with(&head, body).await
}

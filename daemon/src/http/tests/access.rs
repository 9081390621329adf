//! Who may do what, over real sockets.

use super::rig::{Reply, Rig};

#[tokio::test]
async fn a_host_that_is_not_ours_is_refused() {
    let rig = Rig::new().await;
    let port = rig.address.port();
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("LOCALHOST.:{port}"),
        format!("[::1]:{port}"),
        format!("monitor:{port}"),
        format!("monitor.example.org:{port}"),
        "bartizan.example.org".to_owned(),
        "bartizan.example.org:443".to_owned(),
    ] {
        assert_eq!(ask(&rig, "GET", &format!("host: {host}\r\n")).await.status, 200, "{host}");
    }
    for host in [
        format!("evil.example.com:{port}"),
        "127.0.0.1:1".to_owned(),
        "localhost".to_owned(),
        format!("10.0.0.1:{port}"),
        format!("x@localhost:{port}"),
        "bartizan.example.org:1".to_owned(),
        String::new(),
    ] {
        let reply = ask(&rig, "GET", &format!("host: {host}\r\n")).await;
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (421, Some("unknown_host")),
            "{host}"
        );
    }
    assert_eq!(ask(&rig, "GET", "").await.status, 400, "no host");
    let twice = format!("host: localhost:{port}\r\nhost: evil.example.com\r\n");
    assert_eq!(ask(&rig, "GET", &twice).await.status, 400, "two hosts");
    let other =
        format!("GET http://evil.example.com/api/v1/health HTTP/1.1\r\nhost: localhost:{port}\r\n");
    assert_eq!(rig.ask(&other).await.status, 400, "another host in the address");
}

#[tokio::test]
async fn on_an_open_address_everything_needs_a_right() {
    let rig = Rig::exposed().await;
    let host = format!("host: {}\r\n", rig.address);
    for path in ["/", "/metrics", "/api/v1/servers", "/api/v1/health", "/nothing"] {
        let reply = rig.get(path).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("signin_required")));
    }
    let bearer = format!("{host}authorization: Bearer {}\r\n", rig.token);
    assert_eq!(ask(&rig, "GET", &bearer).await.status, 200);
    let wrong = format!("{host}authorization: Bearer {}\r\n", "0".repeat(64));
    assert_eq!(ask(&rig, "GET", &wrong).await.status, 401);

    let reply = rig.get(&format!("/signin?token={}", rig.token)).await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(&rig.token), "the token itself must not be in the cookie");
    let session = cookie.split(';').next().unwrap();
    let signed_in = format!("{host}cookie: theme=dark; {session}\r\n");
    assert_eq!(ask(&rig, "GET", &signed_in).await.status, 200);
    assert_eq!(ask(&rig, "GET", &format!("{host}cookie: {session}0\r\n")).await.status, 401);

    assert_eq!(rig.get(&format!("/signin?token={}", "0".repeat(64))).await.status, 401);
    assert_eq!(rig.get("/signin").await.status, 400);
}

#[tokio::test]
async fn a_change_needs_a_right_and_a_page_of_ours_even_on_loopback() {
    let rig = Rig::new().await;
    let host = format!("host: {}\r\n", rig.address);
    let error = async |headers: &str| {
        let reply = ask(&rig, "POST", headers).await;
        (reply.status, reply.json()["error"].as_str().unwrap().to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(error(&host).await, is(401, "signin_required"));
    let bearer = format!("{host}authorization: Bearer {}\r\n", rig.token);
    assert_eq!(error(&bearer).await, is(405, "method_not_allowed"), "there is nothing to change");
    let foreign = format!("{bearer}origin: http://evil.example.com\r\n");
    assert_eq!(error(&foreign).await, is(403, "foreign_origin"));
    assert_eq!(error(&format!("{bearer}origin: null\r\n")).await, is(403, "foreign_origin"));
    let own = format!("{bearer}origin: http://{}\r\n", rig.address);
    assert_eq!(error(&own).await, is(405, "method_not_allowed"));

    let reply = rig.get(&format!("/signin?token={}", rig.token)).await;
    let session = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let cookie = format!("{host}cookie: {session}\r\n");
    assert_eq!(error(&cookie).await, is(403, "foreign_origin"), "a cookie without an origin");
    let cookie = format!("{cookie}origin: https://bartizan.example.org\r\n");
    assert_eq!(error(&cookie).await, is(405, "method_not_allowed"));
}

#[tokio::test]
async fn the_control_socket_gives_the_administrators_right() {
    let rig = Rig::exposed().await;
    let reply = rig.ask_control("GET /api/v1/health HTTP/1.1\r\nhost: bartizan\r\n").await;
    assert_eq!(reply.status, 200);
    let reply = rig.ask_control("POST /api/v1/health HTTP/1.1\r\nhost: bartizan\r\n").await;
    assert_eq!(reply.status, 405, "allowed, but there is nothing to change");
}

async fn ask(rig: &Rig, method: &str, headers: &str) -> Reply {
    rig.ask(&format!("{method} /api/v1/health HTTP/1.1\r\n{headers}")).await
}

//! The other side of every channel works as the scenarios need it, without any daemon: a scenario about alerts that
//! fails while these pass has found a fault of ours.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{net::SocketAddr, process::Stdio, time::Duration};

use bartizan_tests::{
    DEADLINE, http,
    kannel::{Kannel, SENDER, parts_in_ucs2},
    mail::{DUTY, GREY, Mail, NOBODY, OPS},
    peer::need,
    sink::{Reply, Sink},
    smtp::{Manner, Smtp},
};
use hyper::Method;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

/// `AUTH PLAIN` with name and password of [`Mail`], and with a wrong password.
const SIGN_IN: [&str; 2] = [
    "AUTH PLAIN AGJhcnRpemFuAGEgc2VjcmV0LCB3aXRoID0gYW5kICMgaW4gaXQ=",
    "AUTH PLAIN AGJhcnRpemFuAHdyb25n",
];

const MAIL: &str = "Message-ID: <1@x>\r\nSubject: =?utf-8?b?5Lil6YeN?= one\r\n\r\nBody\r\n.";

#[tokio::test]
async fn the_mail_server_wants_tls_and_a_password_and_delivers_to_a_maildir() {
    let mail = Mail::start().await;
    let mut plain = Session::plain(([127, 0, 0, 1], mail.starttls).into()).await;
    assert!(plain.say("EHLO me").await.contains("STARTTLS"));
    assert!(plain.say("MAIL FROM:<a@example.test>").await.starts_with("550 "));

    for port in [mail.starttls, mail.implicit] {
        let mut session = Session::encrypted(&mail, port).await;
        assert!(session.say("EHLO me").await.contains("AUTH PLAIN"));
        assert!(session.say("MAIL FROM:<a@example.test>").await.starts_with("550 "));
        assert!(session.say(SIGN_IN[1]).await.starts_with("535 "));
        assert!(session.say(SIGN_IN[0]).await.starts_with("235 "));
        session.envelope(OPS, "250 ").await;
        session.data().await;
    }
    let letters = mail.arrived(OPS, 2).await;
    assert_eq!(letters[0].subject, "严重 one");
    assert_eq!((letters[0].message_id.as_str(), letters[0].text.trim()), ("<1@x>", "Body"));
    assert_eq!(mail.letters(DUTY).len(), 0);
}

#[tokio::test]
async fn the_mail_server_refuses_defers_and_comes_back_where_it_was() {
    let mut mail = Mail::start().await;
    mail.greylist(true);
    let mut session = Session::encrypted(&mail, mail.starttls).await;
    session.say("EHLO me").await;
    session.say(SIGN_IN[0]).await;
    session.envelope(NOBODY, "550 ").await;
    session.envelope(GREY, "451 ").await;
    mail.greylist(false);
    session.envelope(GREY, "250 ").await;
    session.data().await;
    mail.arrived(GREY, 1).await;

    mail.down();
    assert!(TcpStream::connect(("127.0.0.1", mail.starttls)).await.is_err(), "it is down");
    mail.up().await;
    let mut session = Session::encrypted(&mail, mail.starttls).await;
    assert!(session.say("EHLO me").await.starts_with("250"));
    assert_eq!(mail.letters(GREY).len(), 1, "what was delivered is still there");
}

#[tokio::test]
async fn the_gateway_delivers_chinese_in_parts() {
    let kannel = Kannel::start().await;
    let texts = ["严重 web-1 处理器", &"测".repeat(91), &"测".repeat(70), &"测😀".repeat(45)];
    for (text, parts) in texts.iter().zip([1, 2, 1, 3]) {
        let (port, path) = kannel.path("+8613711112222", text);
        let answer = http::get(([127, 0, 0, 1], port).into(), &path).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert_eq!(parts_in_ucs2(text), parts, "{text}");
    }
    let messages = kannel.arrived("+8613711112222", texts.len()).await;
    for (message, text) in messages.iter().zip(texts) {
        assert_eq!((message.text.as_str(), message.from.as_str()), (text, SENDER));
        assert_eq!(message.parts, parts_in_ucs2(text), "{text}");
    }
}

#[tokio::test]
async fn the_sink_records_judges_signatures_and_misbehaves() {
    let sink = Sink::start().await;
    let post = async |body: &'static str, signature: &str| {
        let headers = [("X-Bartizan-Signature", signature)];
        http::request(sink.address, Method::POST, "/hook", &headers, body).await
    };
    // RFC 4231, test case 2.
    let signature = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let answer = post("what do ya want for nothing?", signature).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    sink.reply(Reply::Close);
    post("{\"a\":1}", signature).await.unwrap_err();
    sink.reply(Reply::Late(Duration::from_millis(300), 503));
    assert_eq!(post("", signature).await.unwrap().status, 503);
    for reply in [Reply::Trickle, Reply::Hang] {
        sink.reply(reply);
        timeout(Duration::from_secs(2), post("", signature)).await.unwrap_err();
    }
    let received = sink.arrived(5).await;
    assert!(received[0].is_signed_with("Jefe") && !received[0].is_signed_with("jefe"));
    assert!(!received[1].is_signed_with("Jefe"));
    assert_eq!((received[0].method.as_str(), received[0].path.as_str()), ("POST", "/hook"));
    assert_eq!(received[1].json()["a"], 1);
}

#[tokio::test]
async fn the_scripted_mail_server_takes_cuts_and_is_down() {
    let mut smtp = Smtp::prepare();
    TcpStream::connect(smtp.address).await.unwrap_err();
    smtp.up();
    let mut session = Session::plain(smtp.address).await;
    session.envelope(OPS, "250 ").await;
    session.data().await;
    assert_eq!(smtp.open_sessions(), 1);
    assert_eq!(smtp.taken()[0].to, [OPS]);
    assert_eq!(smtp.taken()[0].letter.subject, "严重 one");

    smtp.manner(Manner::Defers);
    session.envelope(OPS, "451 ").await;
    smtp.manner(Manner::CutsAfterDot);
    session.envelope_of(OPS).await;
    assert!(session.say("DATA").await.is_empty() || session.say(MAIL).await.is_empty());
    smtp.down();
    TcpStream::connect(smtp.address).await.unwrap_err();
    smtp.manner(Manner::Trickles);
    smtp.up();
    let trickling = Session::plain(smtp.address);
    timeout(Duration::from_secs(2), trickling).await.err().unwrap();
    assert_eq!(smtp.connections(), 2);
}

/// The client's side of SMTP, by hand.
struct Session {
    reader: Box<dyn tokio::io::AsyncBufRead + Unpin>,
    writer: Box<dyn tokio::io::AsyncWrite + Unpin>,
    _program: Option<Child>,
}

impl Session {
    async fn plain(address: SocketAddr) -> Self {
        let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
        let (reader, writer) = (Box::new(BufReader::new(reader)), Box::new(writer));
        let mut session = Self { reader, writer, _program: None };
        assert!(session.answer().await.starts_with("220 "));
        session
    }

    /// Through openssl, which checks the certificate.
    async fn encrypted(mail: &Mail, port: u16) -> Self {
        let mut command = Command::new(need("openssl", "openssl"));
        command.args(["s_client", "-quiet", "-verify_return_error", "-CAfile"]);
        command.arg(mail.authority()).args(["-verify_hostname", "localhost"]);
        command.args(["-connect", &format!("localhost:{port}")]);
        if port == mail.starttls {
            command.args(["-starttls", "smtp"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.kill_on_drop(true).spawn().unwrap();
        let writer = Box::new(program.stdin.take().unwrap());
        let reader = Box::new(BufReader::new(program.stdout.take().unwrap()));
        let mut session = Self { reader, writer, _program: Some(program) };
        // By STARTTLS it has read the greeting itself.
        if port == mail.implicit {
            assert!(session.answer().await.starts_with("220 "));
        }
        session
    }

    async fn say(&mut self, line: &str) -> String {
        // A connection that is closed has no answer.
        let _ = self.writer.write_all(format!("{line}\r\n").as_bytes()).await;
        self.answer().await
    }

    async fn envelope(&mut self, to: &str, answer: &str) {
        let said = self.envelope_of(to).await;
        assert!(said.starts_with(answer), "{said}");
    }

    async fn envelope_of(&mut self, to: &str) -> String {
        self.say("RSET").await;
        assert!(self.say("MAIL FROM:<a@example.test>").await.starts_with("250"));
        self.say(&format!("RCPT TO:<{to}>")).await
    }

    async fn data(&mut self) {
        assert!(self.say("DATA").await.starts_with("354"));
        assert!(self.say(MAIL).await.starts_with("250"));
    }

    /// An answer of any number of lines; empty when the connection has ended.
    async fn answer(&mut self) -> String {
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            let read = timeout(DEADLINE, self.reader.read_line(&mut line)).await;
            if read.unwrap().unwrap_or(0) == 0 {
                return answer;
            }
            answer.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return answer;
            }
        }
    }
}

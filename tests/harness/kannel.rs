//! A real SMS gateway: Kannel's bearerbox and smsbox, and its fake SMSC as the telephone.
//!
//! All on ports of their own and on loopback, but for the port of the fake SMSC, for which Kannel knows no address; it
//! turns away everybody from elsewhere.

use std::{fmt::Write, fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    DEADLINE,
    peer::{Peer, free_port, need},
    wait_for,
};

/// Who may send.
const USERNAME: &str = "bartizan";
/// With this password.
const PASSWORD: &str = "kannel secret";
/// The sender that is configured.
pub const SENDER: &str = "10086";

/// Bytes that one part of a long message in UCS-2 holds; in the 7-bit alphabet it holds more.
const UCS2_PART_BYTES: usize = 134;

/// The gateway; dropping it ends all three programs.
pub struct Kannel {
    folder: TempDir,
    sendsms: u16,
    telephone: Peer,
    _smsbox: Peer,
    _bearerbox: Peer,
}

/// A message as it was shown on the telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sms {
    /// Who sent it.
    pub from: String,
    /// Who got it.
    pub to: String,
    /// The text, put together of its parts.
    pub text: String,
    /// In how many parts it came.
    pub parts: usize,
}

impl Kannel {
    /// Starts all three and waits until messages are taken.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [admin, inner, smsc, sendsms] = [(); 4].map(|()| free_port());
        let config = folder.path().join("kannel.conf");
        fs::write(&config, configuration(folder.path(), admin, inner, smsc, sendsms)).unwrap();
        let start = |name: &'static str| {
            let mut command = Command::new(need(name, "kannel"));
            command.args(["-v", "4"]).arg(&config).current_dir(folder.path());
            Peer::start(name, command, folder.path())
        };
        let mut bearerbox = start("bearerbox");
        bearerbox.listens(inner).await;
        bearerbox.listens(smsc).await;
        let mut smsbox = start("smsbox");
        smsbox.listens(sendsms).await;
        let mut telephone = Command::new(need("/usr/lib/kannel/test/fakesmsc", "kannel-extras"));
        telephone.args(["-H", "127.0.0.1", "-r", &smsc.to_string(), "-m", "0", "-i", "1"]);
        telephone.arg("100 200 text nop").current_dir(folder.path());
        let telephone = Peer::start("telephone", telephone, folder.path());
        let kannel = Self { folder, sendsms, telephone, _smsbox: smsbox, _bearerbox: bearerbox };
        wait_for("the telephone's connection", DEADLINE, async || {
            kannel.telephone.said().contains("Connecting to").then_some(())
        })
        .await;
        kannel
    }

    /// `[channel.sms]` with the password in a file of `folder`.
    pub fn channel(&self, folder: &Path) -> String {
        let password = folder.join("kannel-password");
        fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        format!(
            "[channel.sms]\nprovider = \"kannel\"\nbase_url = \"http://127.0.0.1:{}\"\n\
             username = \"{USERNAME}\"\npassword_file = \"{}\"\nfrom = \"{SENDER}\"\n\n",
            self.sendsms,
            password.display(),
        )
    }

    /// The path and query that send `text` by hand.
    pub fn path(&self, to: &str, text: &str) -> (u16, String) {
        let [to, text, password] = [to, text, PASSWORD].map(crate::http::escape);
        let query = format!("username={USERNAME}&password={password}&from={SENDER}&to={to}");
        let path = format!("/cgi-bin/sendsms?{query}&text={text}&charset=UTF-8&coding=2");
        (self.sendsms, path)
    }

    /// Every message that the telephone got, in order.
    pub fn messages(&self) -> Vec<Sms> {
        read(&self.telephone.said())
    }

    /// Waits for so many messages to a number, and returns them.
    ///
    /// # Panics
    ///
    /// When there are more.
    pub async fn arrived(&self, to: &str, count: usize) -> Vec<Sms> {
        let look = async || {
            let messages = self.messages().into_iter().filter(|message| message.to == to);
            Some(messages.collect()).filter(|messages: &Vec<_>| messages.len() >= count)
        };
        let messages = wait_for(&format!("{count} messages to {to}"), DEADLINE, look).await.0;
        assert_eq!(messages.len(), count, "messages to {to}: {messages:?}");
        messages
    }

    /// The gateway's own log of what was sent.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }
}

/// How many parts a text in UCS-2 needs: 70 units in one, else 67 in each, and no pair of units is torn apart.
pub fn parts_in_ucs2(text: &str) -> usize {
    if text.encode_utf16().count() <= 70 {
        return 1;
    }
    let (mut parts, mut filled) = (1, 0);
    for letter in text.chars() {
        if filled + letter.len_utf16() > UCS2_PART_BYTES / 2 {
            (parts, filled) = (parts + 1, 0);
        }
        filled += letter.len_utf16();
    }
    parts
}

/// Reads what fakesmsc prints: `Got message 1: <10086 +86137 udh %05%00%03%00%02%01 data mKmK>`.
fn read(said: &str) -> Vec<Sms> {
    let mut messages: Vec<Sms> = Vec::new();
    // The parts of a long message follow each other.
    let mut collected: Vec<Vec<u8>> = Vec::new();
    for line in said.lines().filter_map(|line| line.split_once("Got message ")?.1.split_once(": <"))
    {
        let Some(line) = line.1.strip_suffix('>') else { continue };
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let &[from, to, kind, rest] = words.as_slice() else { continue };
        let whole =
            |text: String, parts: usize| Sms { from: from.into(), to: to.into(), text, parts };
        match (kind, rest.split_once(" data ")) {
            ("ucs-2", _) => messages.push(whole(utf16(&bytes(rest)), 1)),
            ("text", _) => messages.push(whole(rest.to_owned(), 1)),
            ("udh", Some((header, data))) => {
                let header = bytes(header);
                let &[.., total, _] = header.as_slice() else { continue };
                collected.push(bytes(data));
                if collected.len() == usize::from(total) {
                    let ucs2 = collected[0].len() <= UCS2_PART_BYTES;
                    let data = collected.concat();
                    let text =
                        if ucs2 { utf16(&data) } else { String::from_utf8_lossy(&data).into() };
                    messages.push(whole(text, collected.len()));
                    collected.clear();
                }
            }
            _ => messages.push(whole(format!("{kind} {rest}"), 0)),
        }
    }
    messages
}

fn utf16(bytes: &[u8]) -> String {
    let units =
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    String::from_utf16_lossy(&units.collect::<Vec<_>>())
}

/// `%00C+` as bytes: in a URL's query a space is a plus.
fn bytes(escaped: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), escaped.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' if after.len() >= 2 => {
                rest = &after[2..];
                u8::from_str_radix(&String::from_utf8_lossy(&after[..2]), 16).unwrap()
            }
            other => *other,
        });
    }
    bytes
}

fn configuration(folder: &Path, admin: u16, inner: u16, smsc: u16, sendsms: u16) -> String {
    let folder = folder.display();
    let mut text = String::new();
    for (group, lines) in [
        (
            "core",
            format!(
                "admin-port = {admin}\nadmin-interface = 127.0.0.1\nadmin-password = admin\n\
                 status-password = status\nadmin-deny-ip = \"*.*.*.*\"\nadmin-allow-ip = \"127.0.0.1\"\n\
                 smsbox-port = {inner}\nsmsbox-interface = 127.0.0.1\nbox-deny-ip = \"*.*.*.*\"\n\
                 box-allow-ip = \"127.0.0.1\"\naccess-log = \"{folder}/access.log\"\nstore-type = file\n\
                 store-location = \"{folder}/kannel.store\"\ndlr-storage = internal"
            ),
        ),
        (
            "smsc",
            format!("smsc = fake\nsmsc-id = FAKE\nport = {smsc}\nconnect-allow-ip = 127.0.0.1"),
        ),
        (
            "smsbox",
            format!(
                "bearerbox-host = 127.0.0.1\nbearerbox-port = {inner}\nsendsms-port = {sendsms}\n\
                 sendsms-interface = 127.0.0.1\nsendsms-chars = \"0123456789 +-\"\nglobal-sender = {SENDER}"
            ),
        ),
        (
            "sendsms-user",
            format!(
                "username = {USERNAME}\npassword = {PASSWORD}\nuser-deny-ip = \"*.*.*.*\"\n\
                 user-allow-ip = \"127.0.0.1\"\nconcatenation = true\nmax-messages = 10"
            ),
        ),
        ("sms-service", "keyword = default\ntext = \"none\"\nmax-messages = 0".into()),
    ] {
        writeln!(text, "group = {group}\n{lines}\n").unwrap();
    }
    text
}

//! Who sends remote writes: a connection that is kept, and the series of many simulated servers, made ready beforehand.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use snap::raw::Encoder;
use tokio::{
    net::TcpStream,
    time::{Duration, timeout},
};

use crate::{
    http::{Answer, Failure},
    wire::{Version, Written},
};

/// Longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends remote writes to one address, by one connection that is opened when it is needed.
pub struct Writer {
    address: SocketAddr,
    path: &'static str,
    token: Option<String>,
    version: Version,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Writer {
    /// One that speaks 1.0 to `POST /api/v1/write`.
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        let token = token.map(|token| format!("Bearer {token}"));
        Self { address, path: "/api/v1/write", token, version: Version::One, connection: None }
    }

    /// The same in another version.
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Writes series.
    pub async fn write(&mut self, series: &[Written]) -> Result<Answer, Failure> {
        let bare = self.version.encode(series);
        self.send(crate::wire::snappy(&bare).into()).await
    }

    /// Sends a body as it is.
    pub async fn send(&mut self, body: Bytes) -> Result<Answer, Failure> {
        let sent = timeout(PATIENCE, self.exchange(body)).await;
        let sent = sent.unwrap_or_else(|elapsed| Err(elapsed.into()));
        if sent.is_err() {
            self.connection = None;
        }
        sent
    }

    /// Opens the connection, if it is not open.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        let open = self.connection.as_ref().is_some_and(|connection| !connection.is_closed());
        if !open {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // Its errors come back through `sender` as well.
            tokio::spawn(connection);
            self.connection = Some(sender);
        }
        Ok(())
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Answer, Failure> {
        self.connect().await?;
        let mut request = Request::post(self.path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, self.version.content_type())
            .header(CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Write-Version", self.version.header());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Full::new(body))?;
        let connection = self.connection.as_mut().ok_or("not connected")?;
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await?.to_bytes();
        if headers.get(CONNECTION).is_some_and(|said| said == "close") {
            self.connection = None;
        }
        Ok(Answer { status, headers, body })
    }
}

/// A request of 1.0 whose times and values are written into their places again and again; what costs time, the labels,
/// is encoded once.
pub struct Template {
    bare: Vec<u8>,
    /// Where each series' value stands; its time follows one byte after.
    values: Vec<usize>,
    encoder: Encoder,
}

impl Template {
    /// One sample of each series, of which only the labels count here.
    pub fn new(series: &[Written]) -> Self {
        let (mut bare, mut values) = (Vec::new(), Vec::new());
        for one in series {
            let one = Written { samples: vec![(TIME_LIKE, 0.0)], ..one.clone() };
            bare.extend(Version::One.encode(&[one]));
            values.push(bare.len() - 15);
        }
        Self { bare, values, encoder: Encoder::new() }
    }

    /// How many series it holds.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The body for one instant; `value` gives that of the series of this number.
    pub fn at(&mut self, at_ms: i64, mut value: impl FnMut(usize) -> f64) -> Bytes {
        let mut time = Vec::with_capacity(6);
        crate::wire::varint(&mut time, at_ms.cast_unsigned());
        assert_eq!(time.len(), 6, "{at_ms} is not of these years");
        for (number, &place) in self.values.iter().enumerate() {
            self.bare[place..place + 8].copy_from_slice(&value(number).to_le_bytes());
            self.bare[place + 9..place + 15].copy_from_slice(&time);
        }
        self.encoder.compress_vec(&self.bare).unwrap().into()
    }
}

/// Times from 2004 to 2109 take the same six bytes as this one.
const TIME_LIKE: i64 = 1_700_000_000_000;

/// The series that an agent of node_exporter's kind sends for one server: `count` of them, of names, labels and kinds as
/// they are met outside.
pub fn of_a_server(server: &str, count: usize) -> Vec<Written> {
    let per_core = |number: usize| {
        (
            number / 8,
            ["user", "system", "idle", "iowait", "irq", "softirq", "steal", "nice"][number % 8],
        )
    };
    let shapes = [
        ("filesystem_avail_bytes", "mountpoint"),
        ("network_receive_bytes_total", "device"),
        ("disk_io_time_seconds_total", "device"),
        ("hwmon_temp_celsius", "sensor"),
    ];
    let series = (0..count).map(|number| {
        let fixed =
            [("server", server), ("collector", "node"), ("instance", server), ("job", "node")];
        if number.is_multiple_of(2) {
            let (core, mode) = per_core(number / 2);
            let core = core.to_string();
            let own = [fixed.as_slice(), &[("cpu", core.as_str()), ("mode", mode)]].concat();
            Written::new("node_cpu_seconds_total", &own)
        } else {
            let (metric, label) = shapes[number / 2 % shapes.len()];
            let value = format!("{label}{}", number / 8);
            let own = [fixed.as_slice(), &[(label, value.as_str())]].concat();
            Written::new(&format!("node_{metric}"), &own)
        }
    });
    series.collect()
}

/// The value that a simulated series has in a round: counters that grow, gauges that wander.
pub fn value_of(number: usize, round: u64) -> f64 {
    let (number_f, round_f) = (number as f64, round as f64);
    if number.is_multiple_of(2) {
        (round_f * (7.0 + number_f % 5.0) * 100.0).round() / 100.0 + number_f
    } else {
        // A few steps up and down, as measured values do: reproducible, and neither constant nor noise.
        let step = (round.wrapping_mul(0x9E37_79B9).wrapping_add(number as u64 * 77)) >> 3 & 0x3ff;
        1e9 + number_f * 1e6 + step as f64 * 4096.0
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_template_is_what_would_have_been_encoded() {
        let series = of_a_server("s1", 50);
        let labels: std::collections::BTreeSet<_> = series.iter().map(|one| &one.labels).collect();
        assert_eq!(labels.len(), 50, "each series is another one");
        let mut template = Template::new(&series);
        assert_eq!((template.len(), template.is_empty()), (50, false));
        for at_ms in [1_764_000_000_123, 1_764_000_010_123] {
            let body = template.at(at_ms, |number| value_of(number, 3));
            let bare = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
            let sampled = series.iter().cloned().enumerate();
            let sampled: Vec<_> =
                sampled.map(|(number, one)| one.sample(at_ms, value_of(number, 3))).collect();
            assert_eq!(bare, Version::One.encode(&sampled));
        }
    }
}

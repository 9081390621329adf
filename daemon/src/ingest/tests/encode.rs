//! Protocol buffers, written straight from their documentation, as any sender may.

/// A message that grows field by field.
#[derive(Debug, Clone, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn varint(mut self, field: u64, number: u64) -> Self {
        self.number(field << 3);
        self.number(number);
        self
    }

    pub(super) fn int(self, field: u64, number: i64) -> Self {
        self.varint(field, number as u64)
    }

    pub(super) fn double(self, field: u64, value: f64) -> Self {
        self.fixed(field, value.to_bits())
    }

    pub(super) fn fixed(mut self, field: u64, bits: u64) -> Self {
        self.number(field << 3 | 1);
        self.0.extend(bits.to_le_bytes());
        self
    }

    pub(super) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.number(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(self, field: u64, message: Message) -> Self {
        self.bytes(field, &message.0)
    }

    pub(super) fn messages(self, field: u64, all: impl IntoIterator<Item = Message>) -> Self {
        all.into_iter().fold(self, |message, one| message.message(field, one))
    }

    pub(super) fn packed(self, field: u64, numbers: &[u64]) -> Self {
        let mut packed = Message::default();
        numbers.iter().for_each(|number| packed.number(*number));
        self.bytes(field, &packed.0)
    }

    fn number(&mut self, mut number: u64) {
        loop {
            let low = (number & 0x7f) as u8;
            number >>= 7;
            if number == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }
}

/// An empty one.
pub(super) fn message() -> Message {
    Message::default()
}

/// A sample of remote write, either version.
pub(super) fn sample(value: f64, at_ms: i64) -> Message {
    message().double(1, value).int(2, at_ms)
}

/// A series of remote write 1.0, its labels in the order of the protocol.
pub(super) fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> Message {
    let labels = labels.iter().map(|(name, value)| message().text(1, name).text(2, value));
    let samples = samples.iter().map(|(value, at_ms)| sample(*value, *at_ms));
    message().messages(1, labels).messages(2, samples)
}

/// A request of remote write 2.0, with its table of symbols.
#[derive(Debug, Default)]
pub(super) struct RequestV2 {
    symbols: Vec<String>,
    series: Vec<Message>,
}

impl RequestV2 {
    pub(super) fn new() -> Self {
        Self { symbols: vec![String::new()], series: Vec::new() }
    }

    pub(super) fn symbol(&mut self, text: &str) -> u64 {
        let known = self.symbols.iter().position(|symbol| symbol == text);
        known.unwrap_or_else(|| {
            self.symbols.push(text.to_owned());
            self.symbols.len() - 1
        }) as u64
    }

    /// Adds a series; `kind` and `unit` are its metadata.
    pub(super) fn series(
        &mut self,
        labels: &[(&str, &str)],
        (kind, unit): (u64, &str),
        samples: &[(f64, i64)],
    ) {
        let refs: Vec<u64> = labels
            .iter()
            .flat_map(|(name, value)| [self.symbol(name), self.symbol(value)])
            .collect();
        let metadata = message().varint(1, kind).varint(4, self.symbol(unit));
        let samples = samples.iter().map(|(value, at_ms)| sample(*value, *at_ms));
        let series = message().packed(1, &refs).messages(2, samples).message(5, metadata);
        self.series.push(series);
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let symbols = self.symbols.iter().fold(message(), |body, text| body.text(4, text));
        symbols.messages(5, self.series.iter().cloned()).0
    }
}

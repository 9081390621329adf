//! What daemon and plugin host say to each other: frames on a Unix stream socket.
//!
//! ```text
//!  0      4      6       8          12     16        24
//!  │ len  │ kind │ flags │ instance │ seq  │ time    │ body: len bytes
//! ```
//!
//! Both ends are the same program, so numbers are in the machine's own order.
//! Neither believes the other: every length is bounded, an unknown kind ends the talk.

/// Length of a frame's head, in bytes.
pub(crate) const HEAD: usize = 24;

/// Longest body, in bytes. A manifest and a configuration fit well.
pub(crate) const BODY_MAX: usize = 512 * 1024;

/// Most samples in one answer.
pub(crate) const SAMPLES_MAX: usize = 1024;

/// Most series of one instance; more are refused and counted.
pub(crate) const SERIES_MAX: usize = 1000;

/// Longest value of a label, in bytes; the rest is cut off.
pub(crate) const LABEL_MAX: usize = 256;

/// Longest text of an error or a log line, in bytes; the rest is cut off.
pub(crate) const TEXT_MAX: usize = 4096;

/// Most instances in one host.
pub(crate) const INSTANCES_MAX: usize = 64;

/// What a frame is about.
#[repr(u16)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To the host, first: the page of the black box; its descriptor travels along.
    BlackBox = 0x100,
    /// To the host: here is a plugin file. `instance` numbers the file, the body is its
    /// manifest; its descriptor travels along.
    File = 1,
    /// To the host: make an instance. `seq` is the call, the body [`OpenBody`] as JSON.
    Create = 2,
    /// To the host: read once. `time` is the timestamp, nanoseconds since 1970.
    Collect = 3,
    /// To the host: end the instance.
    Destroy = 4,
    /// From the host: the end of the call `seq`. `flags` is a status, `time` how long it took
    /// in nanoseconds; the body is a text, or an [`Answer`]'s if `collect` went well.
    Done = 16,
    /// From the host: a series. `seq` is its handle, the body a [`SeriesBody`].
    Series = 17,
    /// From the host: the series with the handle `seq` has ended.
    SeriesDrop = 18,
    /// From the host: a line of a plugin. `flags` is the level, `seq` how many were
    /// suppressed before it.
    Log = 19,
}

impl Kind {
    fn from_code(code: u16) -> Option<Self> {
        use Kind::*;
        [BlackBox, File, Create, Collect, Destroy, Done, Series, SeriesDrop, Log]
            .into_iter()
            .find(|kind| *kind as u16 == code)
    }
}

/// `flags` of [`Kind::Done`] beyond the statuses of the ABI: the host itself refused.
pub(crate) mod verdict {
    /// The file cannot be used: nothing helps but another file.
    pub(crate) const REFUSED: u16 = 256;
    /// The plugin broke the contract in this call.
    pub(crate) const BROKE_CONTRACT: u16 = 257;
    /// The host could not do its part, for want of a thread, say.
    pub(crate) const HOST_FAILED: u16 = 258;
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) flags: u16,
    pub(crate) instance: u32,
    pub(crate) seq: u32,
    pub(crate) time: i64,
}

impl Head {
    /// A head whose other fields are zero.
    pub(crate) fn new(kind: Kind, instance: u32, seq: u32) -> Self {
        Self { kind, flags: 0, instance, seq, time: 0 }
    }
}

/// The other side does not speak our language; nothing more of it can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of kind {0}, which does not exist")]
    Kind(u16),
    #[error("a frame of {0} bytes, at most {BODY_MAX} are allowed")]
    Long(u32),
}

/// Appends a frame.
pub(crate) fn push(out: &mut Vec<u8>, head: Head, body: &[&[u8]]) {
    let len: usize = body.iter().map(|part| part.len()).sum();
    debug_assert!(len <= BODY_MAX, "whoever makes a body keeps to its bounds");
    out.reserve(HEAD + len);
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend_from_slice(&(head.kind as u16).to_ne_bytes());
    out.extend_from_slice(&head.flags.to_ne_bytes());
    out.extend_from_slice(&head.instance.to_ne_bytes());
    out.extend_from_slice(&head.seq.to_ne_bytes());
    out.extend_from_slice(&head.time.to_ne_bytes());
    for part in body {
        out.extend_from_slice(part);
    }
}

/// Bytes read so far, taken apart into frames.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
}

impl Inbox {
    /// Adds what was read.
    pub(crate) fn fill(&mut self, read: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(read);
    }

    /// The next whole frame; none if more must be read first.
    pub(crate) fn next(&mut self) -> Result<Option<(Head, &[u8])>, FrameError> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some(head) = rest.first_chunk::<HEAD>() else { return Ok(None) };
        let len = u32_at(head, 0);
        if len as usize > BODY_MAX {
            return Err(FrameError::Long(len));
        }
        let code = u16_at(head, 4);
        let kind = Kind::from_code(code).ok_or(FrameError::Kind(code))?;
        let end = HEAD + len as usize;
        let Some(body) = rest.get(HEAD..end) else { return Ok(None) };
        self.taken += end;
        let time = i64::from_ne_bytes(array_at(head, 16));
        let (flags, instance, seq) = (u16_at(head, 6), u32_at(head, 8), u32_at(head, 12));
        Ok(Some((Head { kind, flags, instance, seq, time }, body)))
    }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// The number at `at`; zero beyond the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(array_at(bytes, at))
}

/// The number at `at`; zero beyond the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(array_at(bytes, at))
}

/// The number at `at`; zero beyond the end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(array_at(bytes, at))
}

/// What [`Kind::Create`] says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct OpenBody {
    /// Number of the file.
    pub(crate) file: u32,
    /// The configuration, already judged, as JSON text.
    pub(crate) config: String,
    /// Name of the instance.
    pub(crate) instance: String,
    /// The server it watches.
    pub(crate) target: String,
    /// Time between two readings.
    pub(crate) interval_ns: u64,
    /// Longest that `create` may take, loading included.
    pub(crate) create_deadline_ns: u64,
    /// Longest that `collect` may take.
    pub(crate) collect_deadline_ns: u64,
}

/// The body of a `collect` that went well: two counters, then samples of 16 bytes.
pub(crate) struct Answer<'a> {
    /// Samples that found no room.
    pub(crate) dropped: u32,
    /// Series refused so far, since the instance was made.
    pub(crate) refused: u32,
    samples: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The bytes before the samples.
    pub(crate) fn front(dropped: u32, refused: u32) -> [u8; 8] {
        let mut front = [0; 8];
        let (one, other) = front.split_at_mut(4);
        one.copy_from_slice(&dropped.to_ne_bytes());
        other.copy_from_slice(&refused.to_ne_bytes());
        front
    }

    /// Takes a body apart; none if its length is not that of whole samples, or too long.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let (front, samples) = body.split_at_checked(8)?;
        if samples.len() % 16 != 0 || samples.len() / 16 > SAMPLES_MAX {
            return None;
        }
        Some(Self { dropped: u32_at(front, 0), refused: u32_at(front, 4), samples })
    }

    /// Handle, flags, and value, whose kind the series and the flags decide.
    pub(crate) fn samples(&self) -> impl ExactSizeIterator<Item = (u32, u32, u64)> {
        let parts = |sample| (u32_at(sample, 0), u32_at(sample, 4), u64_at(sample, 8));
        self.samples.chunks_exact(16).map(parts)
    }
}

/// The body of a series: the metric's number, then key and value of each label, each after its length.
pub(crate) struct SeriesBody;

impl SeriesBody {
    /// Starts a body.
    pub(crate) fn start(metric: u32) -> Vec<u8> {
        metric.to_ne_bytes().to_vec()
    }

    /// Adds one key or value; what is longer than a label may be by far is cut off here, and
    /// judged by the daemon.
    pub(crate) fn push(body: &mut Vec<u8>, text: &[u8]) {
        let text = text.get(..text.len().min(LABEL_MAX + 4)).unwrap_or_default();
        body.extend_from_slice(&u16::try_from(text.len()).unwrap_or(0).to_ne_bytes());
        body.extend_from_slice(text);
    }

    /// Metric and texts, keys and values in turn; none if the lengths do not fit.
    pub(crate) fn parse(body: &[u8]) -> Option<(u32, Vec<&[u8]>)> {
        let (metric, mut rest) = body.split_at_checked(4)?;
        let mut texts = Vec::new();
        while !rest.is_empty() {
            let (len, after) = rest.split_at_checked(2)?;
            let (text, after) = after.split_at_checked(usize::from(u16_at(len, 0)))?;
            texts.push(text);
            rest = after;
        }
        (texts.len() % 2 == 0).then_some((u32_at(metric, 0), texts))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let mut sent = Vec::new();
        let head = Head { kind: Kind::Done, flags: 3, instance: 7, seq: 9, time: -5 };
        push(&mut sent, head, &[b"ab", b"c"]);
        push(&mut sent, Head::new(Kind::Destroy, 1, 2), &[]);
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        for byte in sent {
            inbox.fill(&[byte]);
            while let Some((head, body)) = inbox.next().unwrap() {
                seen.push((head, body.to_vec()));
            }
        }
        let end = Head::new(Kind::Destroy, 1, 2);
        assert_eq!(seen, [(head, b"abc".to_vec()), (end, Vec::new())]);
    }

    #[test]
    fn a_liar_is_not_listened_to() {
        let mut inbox = Inbox::default();
        inbox.fill(&[0xff; HEAD]);
        assert_eq!(inbox.next(), Err(FrameError::Long(u32::MAX)));
        let mut inbox = Inbox::default();
        inbox.fill(&[0; HEAD]);
        assert_eq!(inbox.next(), Err(FrameError::Kind(0)));
        assert!(Answer::parse(&[0; 7]).is_none());
        assert!(Answer::parse(&[0; 8 + 15]).is_none());
        assert!(Answer::parse(&vec![0; 8 + 16 * (SAMPLES_MAX + 1)]).is_none());
        assert!(SeriesBody::parse(&[0, 0, 0, 0, 9, 0, 1]).is_none());
    }

    #[test]
    fn a_series_keeps_its_labels() {
        let mut body = SeriesBody::start(4);
        SeriesBody::push(&mut body, b"mount");
        SeriesBody::push(&mut body, b"/");
        let (metric, texts) = SeriesBody::parse(&body).unwrap();
        assert_eq!((metric, texts), (4, vec![&b"mount"[..], b"/"]));
    }
}

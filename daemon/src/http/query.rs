//! Query strings, read strictly: what is not understood is named, not ignored.

use crate::store::messages::{Query, Stat};

use super::reply::Problem;

/// More points than this are not sent for one series.
pub(super) const POINTS_MAX: usize = 11_000;

/// What is asked for where `from` is not given: the hour before `to`.
const SPAN_MS: i64 = 3_600_000;

/// Names and values of a query string, in order.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let pieces = text.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        })
        .collect()
}

/// Undoes percent-encoding.
pub(super) fn decode(text: &str) -> Result<String, Problem> {
    let bad = || Problem::bad_request(format!("`{text}` is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        bytes.push(u8::from_str_radix(digits.ok_or_else(bad)?, 16).map_err(|_| bad())?);
        rest = after.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// Refuses any query string.
pub(super) fn none(text: &str) -> Result<(), Problem> {
    match pairs(text)?.first() {
        None => Ok(()),
        Some((name, _)) => Err(unknown(name, "no key at all")),
    }
}

/// The question of `GET /series`, asked at `now_ms`.
pub(super) fn series(text: &str, now_ms: i64) -> Result<Query, Problem> {
    let mut server = None;
    let mut metric = None;
    let mut labels = Vec::new();
    let (mut from, mut to, mut points, mut raw, mut stats) = (None, None, None, None, None);
    for (name, value) in pairs(text)? {
        match &*name {
            "server" => once(&mut server, &name, value)?,
            "metric" => once(&mut metric, &name, value)?,
            "from" => once(&mut from, &name, time(&name, &value)?)?,
            "to" => once(&mut to, &name, time(&name, &value)?)?,
            "points" => once(&mut points, &name, count(&value)?)?,
            "raw" => once(&mut raw, &name, truth(&value)?)?,
            "stats" => once(&mut stats, &name, Stat::list(&value).map_err(Problem::bad_request)?)?,
            label => match label.strip_prefix("label.") {
                Some(label) if !label.is_empty() => labels.push((label.to_owned(), value)),
                _ => {
                    let known = "server, metric, label.NAME, from, to, points, raw and stats";
                    return Err(unknown(&name, known));
                }
            },
        }
    }
    let missing = |key: &str| Problem::bad_request(format!("`{key}` is missing: /series needs it"));
    let to_ms = to.unwrap_or(now_ms);
    let from_ms = from.unwrap_or_else(|| to_ms.saturating_sub(SPAN_MS));
    if from_ms >= to_ms {
        let detail = format!("from is {from_ms}, must be before to, which is {to_ms}");
        return Err(Problem::bad_request(detail));
    }
    Ok(Query {
        server: server.filter(|name| !name.is_empty()).ok_or_else(|| missing("server"))?,
        metric: metric.filter(|name| !name.is_empty()).ok_or_else(|| missing("metric"))?,
        labels,
        from_ms,
        to_ms,
        points,
        raw: raw.unwrap_or(false),
        stats: stats.unwrap_or_default(),
    })
}

pub(super) fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), Problem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::bad_request(format!("`{name}` is given twice; give it once"))),
    }
}

pub(super) fn time(name: &str, value: &str) -> Result<i64, Problem> {
    let bad =
        |_| Problem::bad_request(format!("{name} is `{value}`, must be milliseconds since 1970"));
    value.parse().map_err(bad)
}

fn count(value: &str) -> Result<usize, Problem> {
    let points = value.parse().ok().filter(|points| (1..=POINTS_MAX).contains(points));
    points.ok_or_else(|| Problem::too_many_points(format!("points is `{value}`")))
}

fn truth(value: &str) -> Result<bool, Problem> {
    let bad = |_| Problem::bad_request(format!("raw is `{value}`, must be true or false"));
    value.parse().map_err(bad)
}

pub(super) fn unknown(name: &str, known: &str) -> Problem {
    Problem::bad_request(format!("unknown key `{name}` in the query; known here: {known}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_question_is_read_with_its_defaults() {
        let query = series("server=web-1&metric=disk_usage_ratio&label.mount=%2Fvar", 9_000_000);
        let query = query.unwrap();
        assert_eq!((query.from_ms, query.to_ms), (5_400_000, 9_000_000));
        assert_eq!(query.labels, [("mount".to_owned(), "/var".to_owned())]);
        assert_eq!((query.points, query.raw, query.stats), (None, false, Vec::new()));
        let more = series("server=a&metric=b&stats=p95,last", 9_000_000).unwrap();
        assert_eq!(more.stats, [Stat::P95, Stat::Last]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        check("server=a", "`metric` is missing");
        check("server=a&metric=b&form=1", "unknown key `form`");
        check("server=a&metric=b&label.=x", "unknown key `label.`");
        check("server=a&server=b&metric=c", "`server` is given twice");
        check("server=a&metric=b&from=yesterday", "from is `yesterday`");
        check("server=a&metric=b&from=5&to=5", "from is 5, must be before to");
        check("server=a&metric=b&points=11001", "at most 11000");
        check("server=a&metric=b&points=0", "at most 11000");
        check("server=a&metric=b&raw=1", "raw is `1`");
        check("server=a&metric=b&stats=p99", "known are last, sum, count, p95");
        check("server=a&metric=b&stats=sum&stats=last", "`stats` is given twice");
        check("server=%zz&metric=b", "`%zz` is not percent-encoded");
        check("server=%ff&metric=b", "`%ff` is not percent-encoded");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let problem = series(text, 9_000_000).unwrap_err();
        assert!(problem.detail.contains(expected), "{}", problem.detail);
    }
}

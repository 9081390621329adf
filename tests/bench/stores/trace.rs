//! The recorded trace, and the servers that are made of it.

use std::{collections::BTreeSet, path::Path, process::Command};

use bartizan_tests::{repository, wire::Written};

/// Where the trace and its description lie.
const FOLDER: &str = "tests/bench/data";

/// A column of the trace: one series of one machine.
pub(crate) struct Column {
    /// What it is called there, without the mark of its kind.
    pub(crate) name: String,
    counts: bool,
    /// A value for each second.
    pub(crate) values: Vec<f64>,
}

/// The `count` liveliest columns of those that have a value in every row, by how often they change.
///
/// Of the first sixty the trace's description has the names; that these are they is checked.
pub(crate) fn liveliest(count: usize) -> Vec<Column> {
    let folder = repository().join(FOLDER);
    let mut columns = read(&folder.join("trace.csv.gz"));
    columns.sort_by(|one, other| changes(other).cmp(&changes(one)).then(one.name.cmp(&other.name)));
    let described = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let words: BTreeSet<&str> = described.split('`').collect();
    for column in &columns[..60] {
        assert!(words.contains(&*column.name), "{} is not named in the description", column.name);
    }
    columns.truncate(count);
    columns
}

fn read(path: &Path) -> Vec<Column> {
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    let text = String::from_utf8(unpacked.stdout).unwrap();
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',').skip(1);
    let mut columns: Vec<Column> = names
        .map(|name| Column {
            name: name[2..].to_owned(),
            counts: name.starts_with("c:"),
            values: Vec::new(),
        })
        .collect();
    let mut rows = 0;
    for line in lines {
        for (column, value) in columns.iter_mut().zip(line.split(',').skip(1)) {
            column.values.extend(value.parse::<f64>());
        }
        rows += 1;
    }
    columns.retain(|column| column.values.len() == rows);
    columns
}

fn changes(column: &Column) -> usize {
    column.values.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

impl Column {
    /// The series of `server` that this column is: by its own name.
    pub(crate) fn of_its_own(&self, server: &str) -> Written {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = self.name.chars().map(plain).collect();
        let total = if self.counts { "_total" } else { "" };
        Written::new(&format!("{name}{total}"), &labels(server))
    }

    /// The series of `server` that this column is: one of many of the metric `trace`.
    pub(crate) fn of_many(&self, server: &str) -> Written {
        let labels = [labels(server).as_slice(), &[("column", &self.name)]].concat();
        Written::new("trace", &labels)
    }

    /// The value in a row; behind the last one the trace begins again.
    pub(crate) fn value(&self, row: usize) -> f64 {
        self.values[row % self.values.len()]
    }
}

fn labels(server: &str) -> [(&'static str, &str); 3] {
    [("server", server), ("collector", "trace"), ("instance", server)]
}

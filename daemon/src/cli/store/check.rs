//! `bartizan store check`: whether every byte of a store is what it should be, and mending it where it is not.

use std::process::ExitCode;

use clap::Args;

use super::{
    super::{Failure, PlaceArguments, moment::utc, output::print, table},
    is_there,
};
use crate::store::upkeep::{self, Concerned, Damage, Findings};

/// What is done about damages.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 everything is whole, or was repaired; 1 something is damaged."
)]
pub(crate) struct CheckArguments {
    /// Rebuilds from what is whole; the damaged originals go to `quarantine/` in the state folder. Only where no
    /// daemon has it.
    #[arg(long)]
    repair: bool,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: PlaceArguments,
}

/// Checks the store, and says what is damaged.
pub(super) fn check(arguments: CheckArguments) -> Result<ExitCode, Failure> {
    let state = arguments.places.sources().state()?;
    is_there(&state)?;
    let findings = if arguments.repair { upkeep::repair(&state)? } else { upkeep::check(&state)? };
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string(&findings)?))?;
    } else {
        print(&shown(&findings))?;
    }
    let is_fine = findings.is_whole() || findings.repaired;
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(findings: &Findings) -> String {
    let Findings { files, bytes, damages, more_damages, notes, repairs, .. } = findings;
    let mut text = String::new();
    damages.iter().for_each(|damage| text.push_str(&of_damage(damage)));
    if *more_damages > 0 {
        text.push_str(&format!("{more_damages} more damages are not listed\n"));
    }
    notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    repairs.iter().for_each(|repair| text.push_str(&format!("repair: {repair}\n")));
    let size = table::value(*bytes as f64, "bytes");
    let verdict = match damages.len() as u64 + more_damages {
        0 => "everything is whole".to_owned(),
        1 => "1 damage".to_owned(),
        count => format!("{count} damages"),
    };
    text.push_str(&format!("{files} files, {size}: {verdict}"));
    if !findings.is_whole() && repairs.is_empty() {
        text.push_str("; stop the daemon and run `bartizan store check --repair`");
    }
    text.push('\n');
    text
}

fn of_damage(damage: &Damage) -> String {
    let Damage { file, at, bytes, what, concerned, more_concerned } = damage;
    let mut text = format!("{}: byte {at}, {bytes} bytes: {what}\n", file.display());
    for Concerned { series, from_ms, to_ms } in concerned {
        let time = |at_ms: &Option<i64>| at_ms.map_or("?".to_owned(), utc);
        text.push_str(&format!("  {series} from {} to {}\n", time(from_ms), time(to_ms)));
    }
    if *more_concerned > 0 {
        text.push_str(&format!("  and {more_concerned} more\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damage_is_told_with_its_place_and_whom_it_costs() {
        let concerned =
            Concerned { series: "web-1: load1".to_owned(), from_ms: Some(0), to_ms: None };
        let damage = Damage {
            file: "/state/segments/raw/1/1.seg".into(),
            at: 40,
            bytes: 12,
            what: "a checksum does not fit".to_owned(),
            concerned: vec![concerned],
            more_concerned: 2,
        };
        let findings =
            Findings { files: 3, bytes: 2048, damages: vec![damage], ..Findings::default() };
        assert_eq!(
            shown(&findings),
            "/state/segments/raw/1/1.seg: byte 40, 12 bytes: a checksum does not fit\n  \
             web-1: load1 from 1970-01-01T00:00:00Z to ?\n  \
             and 2 more\n\
             3 files, 2 KiB: 1 damage; stop the daemon and run `bartizan store check --repair`\n"
        );
        assert_eq!(shown(&Findings::default()), "0 files, 0 B: everything is whole\n");
    }
}

//! The README promises commands and folders; they are there.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, os::unix::fs::PermissionsExt};

use bartizan_tests::{Finished, Setup, repository};

#[test]
fn both_quick_starts_give_the_two_commands() {
    let text = readme();
    let (english, chinese) = text.split_once("## 中文").expect("a Chinese section");
    for (language, text) in [("English", english), ("Chinese", chinese)] {
        for command in ["cargo run --release", "tests/run"] {
            let given = blocks(text).any(|line| line.starts_with(command));
            assert!(given, "no code block of the {language} part has `{command}`");
        }
        assert!(text.contains("http://127.0.0.1:9797"), "{language}");
    }
}

#[test]
fn the_test_command_can_be_run() {
    for file in ["tests/run", "tests/bench/run", ".ci/run"] {
        let mode = fs::metadata(repository().join(file)).unwrap().permissions().mode();
        assert!(mode & 0o111 != 0, "{file} is executable");
    }
}

#[test]
fn every_folder_and_file_that_is_named_exists() {
    let text = readme();
    let mut named = 0;
    for word in text.split(['`', '(', ')', '|']).map(str::trim) {
        let first = word.split('/').next().unwrap();
        if !["daemon", "plugin-api", "plugins", "web", "tests"].contains(&first)
            || word.contains(|c: char| c.is_whitespace() || c == '<' || c == '*')
            || !word.contains('/')
        {
            continue;
        }
        assert!(repository().join(word.trim_end_matches('/')).exists(), "no {word}");
        named += 1;
    }
    assert!(named > 3, "the folders are described");
}

#[tokio::test]
async fn every_command_of_bartizan_that_is_shown_exists() {
    let setup = Setup::new("");
    let text = readme();
    for line in blocks(&text) {
        let mut words = line.split_whitespace().skip_while(|word| *word == "sudo");
        if words.next().and_then(|word| word.rsplit('/').next()) != Some("bartizan") {
            continue;
        }
        let words: Vec<&str> =
            words.take_while(|word| !word.starts_with(['-', '#', '|'])).collect();
        let depth = if words.first() == Some(&"plugin") { 2 } else { 1 };
        let mut arguments: Vec<&str> = words.into_iter().take(depth).collect();
        arguments.push("--help");
        let finished = Finished::of(setup.command(&arguments)).await;
        assert_eq!(finished.code, Some(0), "{line}: {}", finished.stderr);
    }
}

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).unwrap()
}

/// The lines inside fenced code blocks.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        inside && !fence
    })
}

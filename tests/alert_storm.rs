//! `kill -9` at random moments of a storm of breaches, with a mail server that comes and goes: every transition that
//! an outside model expects has its notice, none is wrong, and a mail comes twice only where an attempt was in flight
//! at a kill.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bartizan_tests::{
    Daemon, SEED, Setup,
    alerts::{list, number},
    dial,
    lane::{Lane, Told, by_message, told},
    mail::OPS,
    now_ms, rounds,
    smtp::{Manner, Smtp, THOUGHT, Taken},
    wait_for,
};
use fastrand::Rng;

/// How many kills, and how many of them in the long run.
const ROUNDS: (usize, usize) = (25, 500);

/// How many servers the storm goes over.
const SERVERS: usize = 8;

/// Longest back-off, and as much again: after the last outage every mail has come.
const CALM: Duration = Duration::from_secs(12 * 60);

/// Between the moment in which a mail was taken and the one in which the daemon has written that down.
const UNWRITTEN: Duration = Duration::from_secs(5);

/// A busy machine wakes a slow mail server so much later at most.
const LATE: Duration = Duration::from_secs(3);

/// So many attempts to one address are in flight at most: each from its beginning until its end is on the disk. The
/// mail server sees them only until it has taken the mail.
const AT_ONCE: usize = 2;

/// A kill, and how many attempts were in flight.
struct Kill {
    at: Instant,
    in_flight: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transition_of_a_storm_is_told_and_none_is_wrong() {
    let setup = Setup::new("").plugin(&dial::plugin());
    let mut random = Rng::with_seed(SEED);
    let mut smtp = Smtp::prepare();
    let names = (0..SERVERS).map(|at| format!("s{at}"));
    let mut lanes: Vec<Lane> = names.map(|name| Lane::new(setup.folder(), &name)).collect();
    let servers: String = lanes.iter().map(Lane::server).collect();
    setup.configure(&format!(
        "{servers}{}{}[contact.ops]\nemail = [\"{OPS}\"]\n\n[[route]]\nnotify = [\"ops\"]\n",
        dial::RULE,
        smtp.channel(),
    ));

    let (mut kills, began) = (Vec::new(), Instant::now());
    let rounds = rounds(ROUNDS.0, ROUNDS.1);
    let mut weather = Weather { until: Instant::now(), up: false };
    let (mut daemon, mut up_ms) = (setup.start().await, now_ms());
    for round in 1..=rounds {
        // Random on purpose: the kill must not fall into step with the daemon's own rhythm.
        let end = Instant::now() + Duration::from_millis(random.u64(100..3_000));
        while Instant::now() < end {
            weather.change(&mut smtp, &mut random);
            let at = random.usize(..SERVERS);
            if lanes[at].held(&daemon, up_ms).await && setup.has_kept_all(&daemon).await {
                lanes[at].turn(&mut random);
            }
            tokio::time::sleep(Duration::from_millis(random.u64(0..20))).await;
        }
        kills.push(Kill { at: Instant::now(), in_flight: smtp.open_sessions().max(AT_ONCE) });
        daemon.kill();
        if round.is_multiple_of(50) {
            eprintln!("{round} kills, {} mails", smtp.taken().len());
        }
        up_ms = now_ms();
        daemon = setup.spawn();
        daemon.answers().await;
    }

    smtp.manner(Manner::Takes);
    if !weather.up {
        smtp.up();
    }
    for lane in &lanes {
        let what = "the last value to be judged";
        wait_for(what, bartizan_tests::DEADLINE, async || {
            lane.held(&daemon, up_ms).await.then_some(())
        })
        .await;
    }
    let stormed = began.elapsed();
    daemon.nothing_waits(CALM).await;
    eprintln!("the storm took {stormed:?}, what it left {:?}", began.elapsed() - stormed);
    ends_as_the_model_says(&daemon, &lanes).await;
    let taken = smtp.taken();
    let expected = lanes.into_iter().flat_map(|lane| lane.expected).collect();
    let messages = by_message(&taken);
    everything_is_told_and_true(&messages, &expected);
    let twice = repetitions_are_explained(&messages, &kills);
    let in_flight: usize = kills.iter().map(|kill| kill.in_flight).sum();
    eprintln!(
        "{} kills, {} transitions, each told; {} mails, {twice} of them a repetition (at most {in_flight} attempts were \
         in flight)",
        kills.len(),
        expected.len(),
        taken.len(),
    );
}

/// Whether the mail server is up, and how it behaves, for a while.
struct Weather {
    until: Instant,
    up: bool,
}

impl Weather {
    fn change(&mut self, smtp: &mut Smtp, random: &mut Rng) {
        if Instant::now() < self.until {
            return;
        }
        let up = random.u8(0..3) > 0;
        match (self.up, up) {
            (false, true) => smtp.up(),
            (true, false) => smtp.down(),
            _ => {}
        }
        self.up = up;
        smtp.manner(match random.u8(0..8) {
            0 => Manner::CutsInData,
            // So that many a kill comes while a mail is being taken.
            1..=4 => Manner::TakesSlowly,
            _ => Manner::Takes,
        });
        self.until = Instant::now() + Duration::from_millis(random.u64(300..2_500));
    }
}

/// Every expected transition has one message and its value; there is no message besides.
fn everything_is_told_and_true(
    messages: &BTreeMap<String, Vec<Taken>>,
    expected: &BTreeMap<Told, f64>,
) {
    let mut found: BTreeMap<Told, String> = BTreeMap::new();
    for (id, mails) in messages {
        let letter = &mails[0].letter;
        let (told, value) = told(letter);
        assert_eq!(Some(&value), expected.get(&told), "{told:?}: {letter:?}");
        let before = found.insert(told.clone(), id.clone());
        assert_eq!(before, None, "{told:?} was told twice under two names, the second is {id}");
    }
    let missing: Vec<_> = expected.keys().filter(|told| !found.contains_key(told)).collect();
    let some = &missing[..missing.len().min(10)];
    assert!(missing.is_empty(), "{} of {} not told: {some:?}", missing.len(), expected.len());
    for (told, id) in found.iter().filter(|(told, _)| !told.fired) {
        let first = &found[&Told { fired: true, ..told.clone() }];
        let letter = &messages[id][0].letter;
        assert_eq!(letter.in_reply_to, *first, "{told:?} answers its beginning");
    }
}

/// Each repetition stands beside a kill that came just after the mail was taken. Returns how many there are.
fn repetitions_are_explained(messages: &BTreeMap<String, Vec<Taken>>, kills: &[Kill]) -> usize {
    let mut caused = vec![0; kills.len()];
    for (id, mails) in messages {
        for pair in mails.windows(2) {
            let taken = pair[0].at;
            // What was on its way at a kill may have been taken just after it.
            let may = |kill: &Kill| {
                taken <= kill.at + THOUGHT + LATE
                    && kill.at <= pair[1].at
                    && kill.at.saturating_duration_since(taken) < UNWRITTEN
            };
            let apart = |kill: &Kill| {
                kill.at.saturating_duration_since(taken) + taken.saturating_duration_since(kill.at)
            };
            let causes = (0..kills.len()).filter(|&at| may(&kills[at]));
            let cause = causes.min_by_key(|&at| apart(&kills[at]));
            let cause = cause.unwrap_or_else(|| panic!("{id} came twice, and no kill between"));
            caused[cause] += 1;
        }
    }
    for (kill, caused) in kills.iter().zip(&caused) {
        let in_flight = kill.in_flight;
        assert!(*caused <= in_flight, "{caused} repetitions, {in_flight} attempts in flight");
    }
    caused.iter().sum()
}

/// What fires is what the model says, and all has been sent.
async fn ends_as_the_model_says(daemon: &Daemon, lanes: &[Lane]) {
    let firing = daemon.incidents("firing").await;
    let expected = lanes.iter().filter(|lane| lane.fires()).count();
    assert_eq!(firing.len(), expected, "{firing:?}");
    let delivery = daemon.get("/delivery").await;
    for way in list(&delivery["ways"]) {
        assert_eq!((number(&way["held"]), number(&way["dead"])), (0, 0), "{way}");
    }
}

//! kill -9 of a process that writes, again and again on one folder: what it said was durable is there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::disk::simulated::Dice;
use super::*;
use crate::conformance::samples::*;
use crate::rows::Setting;
use crate::{Query, View};

/// Names the folder to a test that is run as the process to be killed.
const FOLDER: &str = "STORE_KILLED_FOLDER";
/// Says what it looks things up in.
const IN_SLED: &str = "STORE_KILLED_IN_SLED";
/// Kills of one run; `STORE_KILLS` sets another number.
fn kills() -> usize {
    std::env::var("STORE_KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(12)
}

fn open_folder(path: &Path, index: Index) -> (EmbeddedStore, Report) {
    // Small, so that checkpoints, merges and new segments are what it is killed in.
    let options =
        Options { index, checkpoint_keys: 300, segment_bytes: 50_000, reserve_bytes: 0, ..Options::default() };
    EmbeddedStore::open_folder(path, options).unwrap()
}

/// Does nothing unless it was started to be killed; then it writes for ever and says what is durable.
#[test]
#[expect(clippy::print_stdout, reason = "how the process says what it acknowledged")]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let index = if std::env::var_os(IN_SLED).is_some() { Index::Sled } else { Index::Runs };
    let store = Arc::new(open_folder(Path::new(&folder), index).0);
    runtime.block_on(async {
        let start = store.newest_number().await;
        let writers = (0..4).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in start.. {
                    let mut row = setting(&format!("w{writer}"));
                    row.value = payload(&number.to_string());
                    let lsn = store.commit(puts([row.into(), job("x", &format!("{writer}"), 0).into()])).await.unwrap();
                    store.durable(lsn).await.unwrap();
                    println!("\ndurable {writer} {number}");
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

impl EmbeddedStore {
    async fn numbers(&self) -> Vec<(String, u64)> {
        let store: &dyn Store = self;
        let rows = store.all::<Setting>(View::Durable, Query::Settings { prefix: "w".into() }, 100).await.unwrap();
        let number = |row: &Setting| row.value.read::<String>().unwrap().parse().unwrap();
        rows.iter().map(|row| (row.name.to_string(), number(&row.row))).collect()
    }

    async fn newest_number(&self) -> u64 {
        self.numbers().await.iter().map(|(_, number)| number + 1).max().unwrap_or(1)
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a campaign says what it has counted")]
async fn killed_processes_lose_nothing_they_acknowledged() {
    for (index, kills) in [(Index::Runs, kills()), (Index::Sled, kills().div_ceil(4))] {
        let (slowest, last) = killed(index, kills).await;
        println!("{kills} kills, looked up in {index:?}: 0 acknowledged lost of {last}, slowest start {slowest:?}");
    }
}

/// The slowest start, and how many commits were acknowledged.
async fn killed(index: Index, kills: usize) -> (Duration, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(11);
    let mut acknowledged = [0; 4];
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let mut command = Command::new(std::env::current_exe().unwrap());
        if index == Index::Sled {
            command.env(IN_SLED, "yes");
        }
        let mut child = command
            .args(["--exact", "embedded::tests::kill::writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut numbers = [0_u64; 4];
            for line in said.lines().map_while(Result::ok) {
                // The last line may be torn: the kill comes at any time.
                if let Some((writer, number)) = line.strip_prefix("durable ").and_then(|said| said.split_once(' ')) {
                    let place = writer.parse::<usize>().unwrap();
                    numbers[place] = numbers[place].max(number.parse().unwrap());
                }
            }
            numbers
        });
        std::thread::sleep(Duration::from_millis(80 + dice.below(250)));
        child.kill().unwrap();
        child.wait().unwrap();
        for (known, said) in acknowledged.iter_mut().zip(reader.join().unwrap()) {
            *known = said.max(*known);
        }
        let (store, report) = open_folder(folder.path(), index);
        slowest = slowest.max(report.took);
        assert!(report.took < Duration::from_secs(5), "{report}");
        let numbers = store.numbers().await;
        for (writer, known) in acknowledged.iter().enumerate().filter(|(_, known)| **known > 0) {
            let found = numbers.iter().find(|(name, _)| *name == format!("w{writer}")).map(|(_, number)| *number);
            assert!(found >= Some(*known), "kill {kill}: writer {writer} has {found:?} of {known}; {report}");
        }
        store.verify().unwrap_or_else(|error| panic!("kill {kill}: {error}"));
    }
    let all = acknowledged.iter().sum();
    assert!(all > 40, "too slow to say anything: {acknowledged:?}");
    (slowest, all)
}

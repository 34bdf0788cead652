//! Power cuts: nothing that was acknowledged is lost, nothing is half there, whatever is left of the disk.

use std::collections::BTreeMap;

use model::state::State;

use super::super::disk::simulated::{Dice, Faults};
use super::*;
use crate::conformance::samples::*;
use crate::query::ExecutionFilter;
use crate::rows::{Execution, Key, Row, Setting};
use crate::{Batch, Query, View};

/// Seeds of one run; `STORE_SEEDS` sets another number.
fn seeds() -> u64 {
    std::env::var("STORE_SEEDS").ok().and_then(|number| number.parse().ok()).unwrap_or(150)
}

const STATES: [State; 3] = [State::Running, State::Success, State::Failed];
const SIZES: [usize; 3] = [10, 900, 20_000];

/// What is stored, as a test sees it.
type World = (BTreeMap<String, usize>, BTreeMap<String, State>);

struct Life {
    dice: Dice,
    /// What was there after each commit; the first is nothing.
    worlds: Vec<World>,
    /// The last commit that was acknowledged.
    acknowledged: usize,
}

impl Life {
    /// A commit that changes a few things in all kinds of ways.
    fn batch(&mut self) -> (Batch, World) {
        let (mut settings, mut executions) = self.worlds.last().cloned().unwrap_or_default();
        let mut batch = Batch::new();
        for _ in 0..=self.dice.below(3) {
            let name = format!("s{}", self.dice.below(6));
            if self.dice.below(4) == 0 {
                settings.remove(&name);
                batch.delete(Key::Setting(name.into()));
            } else {
                let size = SIZES[self.dice.below(3) as usize] + self.dice.below(50) as usize;
                let mut row = setting(&name);
                row.value = payload(&"v".repeat(size));
                batch.put(row);
                settings.insert(name, size);
            }
        }
        let id = format!("e{}", self.dice.below(4));
        let state = STATES[self.dice.below(3) as usize];
        batch.put(execution(&id, &flow_key("a.b", "f"), 1, state));
        executions.insert(id, state);
        if self.dice.below(3) == 0 {
            let id = format!("e{}", self.dice.below(4));
            executions.remove(&id);
            batch.delete(Key::Execution(execution_id(&id)));
        }
        // Work that comes and goes.
        let (job_in, job_out) = (self.dice.below(3), self.dice.below(3));
        batch.put(job("x", &job_in.to_string(), 1)).delete(Key::Job(job_key("x", &job_out.to_string())));
        (batch, (settings, executions))
    }

    /// Lives until the power goes, or long enough.
    async fn live(&mut self, store: &EmbeddedStore, deeds: usize) {
        for _ in 0..deeds {
            match self.dice.below(10) {
                0 => {
                    if store.checkpoint().is_err() {
                        return;
                    }
                }
                1..4 => {
                    if store.durable(store.head()).await.is_err() {
                        return;
                    }
                    self.acknowledged = self.worlds.len() - 1;
                }
                _ => {
                    let (batch, world) = self.batch();
                    if store.commit(batch).await.is_err() {
                        return;
                    }
                    self.worlds.push(world);
                }
            }
        }
    }
}

async fn world(store: &EmbeddedStore) -> World {
    let store: &dyn Store = store;
    let settings = store.all::<Setting>(View::Newest, Query::Settings { prefix: "".into() }, 100).await.unwrap();
    let size = |row: &Setting| row.value.json.len() - 2;
    let settings = settings.iter().map(|row| (row.name.to_string(), size(&row.row))).collect();
    let every = Query::Executions(ExecutionFilter::default());
    let executions = store.all::<Execution>(View::Newest, every, 100).await.unwrap();
    let executions: BTreeMap<String, State> =
        executions.iter().map(|row| (row.record.id.to_string(), row.record.state())).collect();
    // The lists say the same as the rows.
    for state in STATES {
        let filter = ExecutionFilter { states: vec![state], ..ExecutionFilter::default() };
        let listed = store.all::<Execution>(View::Newest, Query::Executions(filter), 100).await.unwrap();
        let listed: Vec<String> = listed.iter().map(|row| row.record.id.to_string()).collect();
        let expected: Vec<String> =
            executions.iter().filter(|(_, of)| **of == state).map(|(id, _)| id.clone()).collect();
        assert_eq!(listed, expected);
    }
    (settings, executions)
}

fn run<F: std::future::Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// One life with several power cuts; panics with what was lost.
async fn life(seed: u64, on_runs: bool) {
    let mut disk = SimulatedDisk::new();
    let mut base = SimulatedBase::default();
    let mut life = Life { dice: Dice::new(seed), worlds: vec![World::default()], acknowledged: 0 };
    for cut in 0..4 {
        let off_at = life.dice.below(60);
        disk.set_faults(Faults { power_off_at: Some(disk.operations() + off_at), ..Faults::default() });
        let shelf = |base: &SimulatedBase| -> Box<dyn Shelf> {
            if on_runs { Box::new(RunsShelf) } else { Box::new(base.clone()) }
        };
        if let Ok((store, _)) = try_open(&disk, shelf(&base).as_ref(), by_hand()) {
            life.live(&store, 40).await;
            // Dropped as a process is that loses its power: nothing is written any more.
            disk.set_faults(Faults { power_off_at: Some(0), ..Faults::default() });
        }
        let left = [Left::All, Left::All, Left::Older, Left::Nothing, Left::Broken][life.dice.below(5) as usize];
        disk = disk.after_power_cut(life.dice.roll());
        base = base.after_power_cut(left);
        let (store, report) = match try_open(&disk, shelf(&base).as_ref(), by_hand()) {
            Ok(opened) => opened,
            Err(error) => panic!("seed {seed}, cut {cut}: does not open: {error}"),
        };
        let found = world(&store).await;
        let place = life.worlds.iter().rposition(|world| *world == found);
        let Some(place) = place.filter(|place| *place >= life.acknowledged) else {
            panic!(
                "seed {seed}, cut {cut}: found {place:?} of {}, acknowledged {}: {report}",
                life.worlds.len() - 1,
                life.acknowledged
            );
        };
        store.verify().unwrap_or_else(|error| panic!("seed {seed}, cut {cut}: {error}"));
        life.worlds.truncate(place + 1);
        life.acknowledged = place;
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_power_cuts() {
    for seed in 0..seeds() {
        run(life(seed, seed % 2 == 1));
    }
}

#[test]
fn every_step_of_a_checkpoint_survives_a_power_cut() {
    // The power goes before each operation in turn of a history that is the same each time.
    for off_at in 0.. {
        let disk = SimulatedDisk::new();
        let base = SimulatedBase::default();
        disk.set_faults(Faults { power_off_at: Some(off_at), ..Faults::default() });
        let mut life = Life { dice: Dice::new(7), worlds: vec![World::default()], acknowledged: 0 };
        let ended = run(async {
            let Ok((store, _)) = try_open(&disk, &base, by_hand()) else { return false };
            for _ in 0..6 {
                for _ in 0..3 {
                    let (batch, world) = life.batch();
                    if store.commit(batch).await.is_err() {
                        return false;
                    }
                    life.worlds.push(world);
                }
                if store.durable(store.head()).await.is_err() {
                    return false;
                }
                life.acknowledged = life.worlds.len() - 1;
                if store.checkpoint().is_err() {
                    return false;
                }
            }
            true
        });
        for seed in 0..6 {
            for left in [Some(Left::All), Some(Left::Older), Some(Left::Nothing), Some(Left::Broken), None] {
                let (disk, base) = (disk.after_power_cut(seed), left.map(|left| base.after_power_cut(left)));
                // Without an index of its own: the one that the runs are.
                let shelf: &dyn Shelf = base.as_ref().map_or(&RunsShelf, |base| base);
                let opened = try_open(&disk, shelf, by_hand());
                let (store, report) =
                    opened.unwrap_or_else(|error| panic!("cut at {off_at}, seed {seed}, {left:?}: {error}"));
                let found = run(world(&store));
                let place = life.worlds.iter().rposition(|world| *world == found);
                assert!(
                    place >= Some(life.acknowledged),
                    "cut at {off_at}, seed {seed}, {left:?}: {place:?}: {report}"
                );
                store.verify().unwrap();
            }
        }
        if ended {
            assert!(off_at > 60, "only {off_at} operations");
            break;
        }
    }
}

#[test]
fn numbers_go_on_after_a_restart() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    run(async {
        for round in 1..=5 {
            let store = open(&disk, &base, by_hand());
            let lsn = store.commit(puts([setting("s").into()])).await.unwrap();
            assert_eq!(lsn.0, round);
            store.durable(lsn).await.unwrap();
            if round % 2 == 0 {
                store.close().unwrap();
            }
        }
    });
}

#[test]
fn work_that_came_and_went_never_reaches_the_index() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let store = open(&disk, &base, by_hand());
    run(async {
        for number in 0..50 {
            let name = number.to_string();
            store.commit(puts([job("x", &name, 0).into(), timer(to("x"), &name, 1).into()])).await.unwrap();
            let mut batch = Batch::new();
            batch.delete(Key::Job(job_key("x", &name)));
            batch.delete(Row::from(timer(to("x"), &name, 1)).key());
            store.commit(batch).await.unwrap();
        }
    });
    store.checkpoint().unwrap();
    assert_eq!((store.stats().index_bytes, store.inner.base.first(&[], &[255]).unwrap()), (0, None));
    assert_eq!(store.stats().overlay_keys, 0);
}

//! A whole server in a simulated world: engine, timers, workers, journal and store under one seed, with a clock that jumps and a disk that
//! loses power. A seed that fails fails again in the same way.
//!
//! A world has flows drawn by dice, clients that start and end executions of them, and lives of one machine, each ended by a power cut, a
//! kill, a failing disk or in good order. What clients are told, what readers are shown and what guests do outside stands in a ledger that
//! no crash reaches. After every life the store is compared with it; when the faults stop, everything must end as its flow says, and
//! leave nothing behind. What is simulated is the disk, the time, the guests and the network; all else is the server as it is.

mod books;
mod clients;
pub mod dice;
mod flips;
mod flows;
mod gated;
mod guests;
mod ledger;
mod machine;
mod oracle;
mod power;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, Once};

use jiff::Timestamp;
use store::embedded::disk::simulated::SimulatedDisk;

pub use guests::Stage;
pub use power::SimulatedClock;

use dice::Dice;
use ledger::Ledger;
use machine::{Fate, World};
use oracle::Oracle;

/// When every world begins.
const EPOCH_S: i64 = 1_800_000_000;

/// A seed that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The same for the same seed and program.
    pub digest: u64,
    pub lives: u32,
    pub executions: usize,
}

/// A seed that did not.
#[derive(Clone, Debug)]
pub struct Failed {
    pub seed: u64,
    pub problem: String,
    /// What happened, if it was asked for.
    pub trace: Vec<String>,
}

thread_local! {
    /// What a task of this thread's world panicked with: the runtime swallows it.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Has panics of simulated servers noted instead of printed.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANIC.with_borrow_mut(|panic| *panic = Some(info.to_string()));
            before(info);
        }));
    });
}

/// Lives through the world of a seed.
pub fn simulate(stage: &Stage, seed: u64, traced: bool) -> Result<Passed, Failed> {
    watch_panics();
    PANIC.take();
    let ledger = Ledger::new(traced);
    let dice = Dice::new(seed, 0);
    let mut flows = flows::draw(&dice);
    flows::add_triggers(&mut flows, &Dice::new(seed, 7));
    let flows = Arc::new(flows);
    let actions = clients::plan(&dice, &flows);
    for flow in flows.iter() {
        ledger.note(|| format!("flow {}\n{}", flow.id, flow.source));
    }
    ledger.note(|| format!("clients {actions:#?}"));
    let epoch = Timestamp::from_second(EPOCH_S).expect("within the calendar");
    let mut world = World {
        stage,
        oracle: Oracle::new(flows.clone()),
        ledger: ledger.clone(),
        flows,
        actions: Arc::new(Mutex::new(actions)),
        disk: SimulatedDisk::new(),
        epoch,
        now: epoch,
        dice,
    };
    let lived = live(&mut world);
    let failed = |problem| Failed { seed, problem, trace: ledger.trace() };
    match PANIC.take() {
        Some(panic) => return Err(failed(format!("a task panicked: {panic}"))),
        None => lived.map_err(failed)?,
    }
    let pages = ledger.pages();
    Ok(Passed { digest: pages.digest, lives: pages.life + 1, executions: pages.shown.len() })
}

fn live(world: &mut World<'_>) -> Result<(), String> {
    for (life, fate) in Fate::draw(&world.dice).into_iter().enumerate() {
        world.ledger.pages().life = life as u32;
        let over = world.live(fate)?;
        world.check(over)?;
        if over {
            break;
        }
    }
    // What is over is durable as well.
    world.disk = world.disk.after_power_cut(world.dice.roll());
    world.check(true)
}

//! The simulated machine: lives of a node on one disk, each with its own end, and what is looked at in between.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use server::{Clock as _, Config, Error, Node, Save};
use store::Store as _;
use store::embedded::disk::simulated::{Faults, SimulatedDisk};
use store::embedded::{EmbeddedStore, Options, Pace, RunsShelf};

use super::books::Books;
use super::clients::{Action, Clients};
use super::dice::Dice;
use super::flips;
use super::flows::Drawn;
use super::gated::Gated;
use super::guests::{Guests, Stage};
use super::ledger::Ledger;
use super::oracle::Oracle;
use super::power::{Power, SimulatedClock};

/// Longest a life without a fault may take until everything is over.
const LONGEST: Duration = Duration::from_secs(3_600);
/// How often it is looked whether everything is over, at first; then less often.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_MOST: Duration = Duration::from_secs(20);
/// What may still be on its way when all executions have ended.
const SETTLE: Duration = Duration::from_secs(5);

/// How a life ends before all is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does not.
    Lasts,
    /// The power goes, before a step of the machine.
    PowerAt(u64),
    /// The power goes, before an operation of the disk.
    DiskAt(u64),
    /// The process is killed: what it wrote stays in the cache of the disk.
    KillAt(u64),
    /// It is told to end after so many milliseconds.
    ShutdownAfter(u64),
    /// A sync fails, so many operations of the disk from now.
    SyncFailsAfter(u64),
}

impl Fate {
    /// How the lives of a world end; the last one lasts.
    pub fn draw(dice: &Dice) -> Vec<Self> {
        let crashes = match dice.below(20) {
            0 | 1 => 0,
            2..13 => dice.within(1, 3),
            13..17 => 3,
            _ => dice.within(4, 9),
        };
        let mut fates: Vec<Self> = (0..crashes)
            .map(|_| match dice.below(20) {
                0..7 => Self::PowerAt(1 + dice.spread(4_000)),
                7..12 => Self::DiskAt(1 + dice.spread(600)),
                12..16 => Self::KillAt(1 + dice.spread(4_000)),
                16..19 => Self::ShutdownAfter(dice.spread(20_000)),
                _ => Self::SyncFailsAfter(dice.spread(200)),
            })
            .collect();
        fates.push(Self::Lasts);
        fates
    }

    /// Whether what is not synced is lost with it.
    fn takes_cache(self) -> bool {
        matches!(self, Self::PowerAt(_) | Self::DiskAt(_))
    }
}

/// Everything of one seed.
pub struct World<'a> {
    pub stage: &'a Stage,
    pub dice: Dice,
    pub ledger: Arc<Ledger>,
    pub flows: Arc<Vec<Drawn>>,
    pub actions: Arc<std::sync::Mutex<Vec<Action>>>,
    pub disk: SimulatedDisk,
    pub epoch: Timestamp,
    pub now: Timestamp,
    pub oracle: Oracle,
}

/// How a session ended.
enum Session {
    Over,
    Down,
}

impl World<'_> {
    fn options(&self) -> Options {
        let segment_bytes = *self.dice.pick(&[2_000, 8_000, 60_000]);
        Options { pace: Pace::ByHand, segment_bytes, reserve_bytes: 0, ..Options::default() }
    }

    /// One life. Whether everything is over.
    pub fn live(&mut self, fate: Fate) -> Result<bool, String> {
        let from = self.disk.operations();
        let disk_off = match fate {
            Fate::DiskAt(after) => Some(from + after),
            _ => None,
        };
        self.disk.set_faults(Faults { power_off_at: disk_off, ..Faults::default() });
        let step_off = match fate {
            Fate::PowerAt(step) | Fate::KillAt(step) => Some(step),
            _ => None,
        };
        let opened = EmbeddedStore::open(Arc::new(self.disk.clone()), &RunsShelf, self.options());
        let is_off = || disk_off.is_some_and(|at| self.disk.operations() >= at);
        let over = match opened {
            Err(_) if is_off() => false,
            Err(error) => return Err(format!("the store does not open: {error}")),
            Ok((store, report)) => {
                self.ledger
                    .note(|| format!("the store: {} commits from the journal, cut {:?}", report.replayed, report.cut));
                self.run(store, fate, step_off, disk_off)?
            }
        };
        // Whatever lives on in the process writes nothing any more.
        self.disk.set_faults(Faults::default());
        if !over && fate.takes_cache() {
            self.disk = self.disk.after_power_cut(self.dice.roll());
        }
        self.now =
            self.now.saturating_add(Duration::from_millis(self.dice.spread(60_000))).expect("within the calendar");
        Ok(over)
    }

    fn run(
        &mut self,
        store: EmbeddedStore,
        fate: Fate,
        step_off: Option<u64>,
        disk_off: Option<u64>,
    ) -> Result<bool, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        let power = Power::new(step_off, Dice::new(self.dice.roll(), 1));
        let gated = {
            let _within = runtime.enter();
            Gated::new(store, power.clone(), self.disk.clone(), disk_off)
        };
        let (ended, now) = runtime.block_on(async {
            let clock = SimulatedClock::starting_at(self.now);
            self.ledger.pages().clock = Some(clock);
            let session = tokio::select! {
                biased;
                () = power.gone() => Ok(Session::Down),
                ended = self.session(fate, clock, &power, &gated) => ended,
            };
            self.ledger.note(|| format!("the life ends after {} steps: {fate:?}", power.steps()));
            self.ledger.pages().clock = None;
            (session, clock.now())
        });
        self.now = now;
        self.disk.set_faults(Faults { power_off_at: Some(0), ..Faults::default() });
        power.cut();
        let health = gated.health();
        drop(runtime);
        drop(gated);
        match (ended?, self.ledger.pages().broken.clone()) {
            (_, Some(broken)) => Err(broken),
            (Session::Over, None) => Ok(true),
            (Session::Down, None) if fate == Fate::Lasts => Err(format!("the store failed by itself: {health:?}")),
            (Session::Down, None) => Ok(false),
        }
    }

    async fn session(
        &self,
        fate: Fate,
        clock: SimulatedClock,
        power: &Arc<Power>,
        gated: &Arc<Gated>,
    ) -> Result<Session, String> {
        tokio::spawn(gated.clone().run(Dice::new(self.dice.roll(), 2)));
        let guests = Guests { clock, power: power.clone(), ledger: self.ledger.clone(), store: gated.inner.clone() };
        let config = Config {
            clock: Arc::new(clock),
            entropy: Arc::new(Dice::new(self.dice.roll(), 3)),
            workers: self.dice.within(1, 9) as usize,
            ..Config::new(gated.clone(), Arc::new(guests), self.stage.catalog.clone(), self.stage.scratch.clone())
        };
        let node = Node::open(config).await.map_err(|error| format!("the node does not open: {error}"))?;
        self.save_flows(&node).await?;
        let clients = Clients {
            node: node.clone(),
            ledger: self.ledger.clone(),
            clock,
            dice: Dice::new(self.dice.roll(), 4),
            flows: self.flows.clone(),
            actions: self.actions.clone(),
            epoch: self.epoch,
        };
        clients.begin();
        tokio::spawn(faults(self.disk.clone(), fate, Dice::new(self.dice.roll(), 5)));
        tokio::select! {
            biased;
            () = shutdown(&node, fate) => Ok(Session::Down),
            over = self.watch(&clients, gated) => over,
        }
    }

    async fn save_flows(&self, node: &Arc<Node>) -> Result<(), String> {
        for drawn in self.flows.iter() {
            loop {
                match node.save_flow(&drawn.source, Save::Any).await {
                    Ok(saved) if saved.flow.revision == 1 => break,
                    Ok(saved) => return Err(format!("{} has revision {}", drawn.id, saved.flow.revision)),
                    Err(Error::Store(_) | Error::Full(_)) => tokio::time::sleep(LOOK).await,
                    Err(error) => {
                        return Err(format!(
                            "{} cannot be saved: {error} {:?}\n{}",
                            drawn.id,
                            error.issues(),
                            drawn.source
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks on until everything is over, or something is wrong.
    async fn watch(&self, clients: &Clients, gated: &Arc<Gated>) -> Result<Session, String> {
        let began = clients.clock.now();
        let mut look = LOOK;
        loop {
            tokio::time::sleep(look).await;
            look = (look * 5 / 4).min(LOOK_MOST);
            if let Some(broken) = self.ledger.pages().broken.clone() {
                return Err(broken);
            }
            let books = self.read(gated).await?;
            books.slots_held(&self.flows)?;
            if clients.are_done() && books.are_closed() {
                tokio::time::sleep(SETTLE).await;
                let books = self.read(gated).await?;
                // A retry of a whole execution, or a child nobody waits for, may have come up.
                // Nor is what the disk has no room for yet over.
                let stats = gated.inner.stats();
                if books.are_closed() && stats.durable == stats.head {
                    books.nothing_left(gated.inner.as_ref()).await.map_err(|left| format!("alive: {left}"))?;
                    return Ok(Session::Over);
                }
            }
            let longest = began.saturating_add(LONGEST).expect("within the calendar");
            if clients.clock.now() > longest {
                let actions = if clients.are_done() { "" } else { ", and clients wait" };
                return Err(format!("not over after {LONGEST:?}: {:?}{actions}", books.open()));
            }
        }
    }

    async fn read(&self, gated: &Gated) -> Result<Books, String> {
        Books::read(gated.inner.as_ref(), &self.flows)
            .await
            .map_err(|error| format!("the store cannot be read: {error}"))
    }

    /// Opens the store and compares it with the ledger; at the end of the world more strictly.
    pub fn check(&mut self, over: bool) -> Result<(), String> {
        let opened = EmbeddedStore::open(Arc::new(self.disk.clone()), &RunsShelf, self.options());
        let (store, report) = opened.map_err(|error| format!("the store does not open: {error}"))?;
        self.ledger.note(|| format!("looked at up to commit {}", report.last));
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        let flips = self.dice.percent(30).then(|| (Dice::new(self.dice.roll(), 6), self.options()));
        let checked = runtime.block_on(async {
            let books = Books::read(&store, &self.flows).await.map_err(|error| error.to_string())?;
            books.check(&self.ledger, &self.flows)?;
            if let Some((dice, options)) = flips {
                flips::check(&self.disk, options, &dice, &self.flows, &books.executions).await?;
            }
            match over {
                true => books.check_end(&store, &self.ledger, &self.flows, &mut self.oracle).await,
                false => Ok(()),
            }
        });
        self.disk.set_faults(Faults { power_off_at: Some(0), ..Faults::default() });
        drop(store);
        self.disk.set_faults(Faults::default());
        checked?;
        match self.ledger.pages().broken.clone() {
            Some(broken) => Err(broken),
            None => Ok(()),
        }
    }
}

/// Ends the node in good order, if that is its fate.
async fn shutdown(node: &Arc<Node>, fate: Fate) {
    match fate {
        Fate::ShutdownAfter(after_ms) => {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            node.shutdown().await;
        }
        _ => std::future::pending().await,
    }
}

/// What goes wrong with the disk for a while, or once.
async fn faults(disk: SimulatedDisk, fate: Fate, dice: Dice) {
    let power_off_at = None;
    match fate {
        Fate::SyncFailsAfter(operations) => {
            let at = disk.operations() + operations;
            while disk.operations() < at {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            disk.set_faults(Faults { failing_syncs: 1, ..Faults::default() });
        }
        // A disk that loses its power has that set already.
        Fate::DiskAt(_) => {}
        _ if dice.percent(25) => {
            tokio::time::sleep(Duration::from_millis(dice.below(20_000))).await;
            let used: u64 = disk.files().iter().map(|(_, size)| *size as u64).sum();
            disk.set_faults(Faults {
                capacity_bytes: Some(used + dice.spread(20_000)),
                power_off_at,
                ..Faults::default()
            });
            tokio::time::sleep(Duration::from_millis(dice.below(9_000))).await;
            disk.set_faults(Faults { power_off_at, ..Faults::default() });
        }
        _ => {}
    }
}

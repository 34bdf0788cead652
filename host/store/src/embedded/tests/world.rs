//! A life of a store, in all kinds of ways, beside what must be in it: settings of a size, executions in their lists,
//! lines of log, files with content, work that comes and goes.

use std::collections::BTreeMap;

use model::state::State;
use model::task::LogLevel;

use super::super::disk::simulated::Dice;
use super::*;
use crate::conformance::samples::*;
use crate::query::{ExecutionFilter, LogFilter};
use crate::rows::{Execution, File, Key, LogLine, Setting};
use crate::{Batch, Clear, Query, View};

const STATES: [State; 3] = [State::Running, State::Success, State::Failed];
/// Sizes of values: within a block, about a block, in packs.
pub const SIZES: [usize; 3] = [10, 900, 20_000];
const TARGETS: u64 = 3;

/// What is stored, as a test sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    pub settings: BTreeMap<String, String>,
    pub executions: BTreeMap<String, State>,
    pub logs: BTreeMap<String, Vec<String>>,
    pub files: BTreeMap<String, String>,
}

/// A life.
pub struct Life {
    pub dice: Dice,
    /// About how long values are.
    pub size: usize,
    /// What was there after each commit; the first is nothing.
    pub worlds: Vec<World>,
    /// The last commit that was acknowledged.
    pub acknowledged: usize,
}

impl Life {
    pub fn new(seed: u64, size: usize) -> Self {
        Self { dice: Dice::new(seed), size, worlds: vec![World::default()], acknowledged: 0 }
    }

    pub fn world(&self) -> World {
        self.worlds.last().cloned().unwrap_or_default()
    }

    fn text(&mut self) -> String {
        let letter = char::from(b'a' + self.dice.below(26) as u8);
        let len = self.size + self.dice.below(50) as usize;
        // Not only one letter: what cannot be compressed takes the other way.
        (0..len).map(|at| if at % 7 == 0 { char::from(b'a' + self.dice.below(26) as u8) } else { letter }).collect()
    }

    /// A commit that changes a few things in all kinds of ways.
    pub fn batch(&mut self) -> (Batch, World) {
        let mut world = self.world();
        let mut batch = Batch::new();
        for _ in 0..=self.dice.below(3) {
            let name = format!("s{}", self.dice.below(6));
            if self.dice.below(4) == 0 {
                world.settings.remove(&name);
                batch.delete(Key::Setting(name.into()));
            } else {
                let text = self.text();
                let mut row = setting(&name);
                row.value = payload(&text);
                batch.put(row);
                world.settings.insert(name, text);
            }
        }
        let id = format!("e{}", self.dice.below(4));
        let state = STATES[self.dice.below(3) as usize];
        batch.put(execution(&id, &flow_key("a.b", "f"), 1, state));
        world.executions.insert(id, state);
        if self.dice.below(3) == 0 {
            let id = format!("e{}", self.dice.below(4));
            world.executions.remove(&id);
            batch.delete(Key::Execution(execution_id(&id)));
        }
        // Work that comes and goes.
        let (job_in, job_out) = (self.dice.below(3), self.dice.below(3));
        batch.put(job("x", &job_in.to_string(), 1)).delete(Key::Job(job_key("x", &job_out.to_string())));
        (batch, world)
    }

    /// One deed. An error: the disk has failed.
    pub async fn deed(&mut self, store: &EmbeddedStore) -> Result<(), Error> {
        let target = format!("l{}", self.dice.below(TARGETS));
        match self.dice.below(14) {
            0 => return store.checkpoint(),
            1..4 => {
                store.durable(store.head()).await?;
                self.acknowledged = self.worlds.len() - 1;
                return Ok(());
            }
            4..6 => {
                let mut world = self.world();
                let lines: Vec<String> = (0..=self.dice.below(5)).map(|_| self.text()).collect();
                let rows = lines.iter().map(|text| line(to(&target), 0, LogLevel::Info, text)).collect();
                store.append_logs(rows).await?;
                world.logs.entry(target).or_default().extend(lines);
                self.worlds.push(world);
            }
            6 => {
                let mut world = self.world();
                store.clear(Clear::Logs(to(&target))).await?;
                world.logs.remove(&target);
                self.worlds.push(world);
            }
            7 => {
                let (mut world, text) = (self.world(), self.text());
                let mut writer = store.write_blob(at(0)).await?;
                writer.write(text.clone().into()).await?;
                let info = writer.finish().await?;
                let path = format!("main/{target}");
                store.commit(puts([file(&path, info).into()])).await?;
                world.files.insert(path, text);
                self.worlds.push(world);
            }
            8 => {
                store.collect_blobs(at(1)).await?;
            }
            _ => {
                let (batch, world) = self.batch();
                store.commit(batch).await?;
                self.worlds.push(world);
            }
        }
        Ok(())
    }

    /// Lives until the disk fails, or long enough.
    pub async fn live(&mut self, store: &EmbeddedStore, deeds: usize) -> Result<(), Error> {
        for _ in 0..deeds {
            self.deed(store).await?;
        }
        Ok(())
    }
}

/// Reads everything, and that lists say what rows say.
pub async fn read(store: &EmbeddedStore) -> Result<World, Error> {
    let embedded = store;
    let store: &dyn Store = store;
    let mut world = World::default();
    for row in store.all::<Setting>(View::Newest, Query::Settings { prefix: "".into() }, 100).await? {
        world.settings.insert(row.name.to_string(), row.value.read::<String>().unwrap());
    }
    let every = Query::Executions(ExecutionFilter::default());
    for row in store.all::<Execution>(View::Newest, every, 100).await? {
        world.executions.insert(row.record.id.to_string(), row.record.state());
    }
    for state in STATES {
        let filter = ExecutionFilter { states: vec![state], ..ExecutionFilter::default() };
        let listed = store.all::<Execution>(View::Newest, Query::Executions(filter), 100).await?;
        let listed: Vec<String> = listed.iter().map(|row| row.record.id.to_string()).collect();
        let expected: Vec<String> =
            world.executions.iter().filter(|(_, of)| **of == state).map(|(id, _)| id.clone()).collect();
        assert_eq!(listed, expected);
    }
    for target in (0..TARGETS).map(|number| format!("l{number}")) {
        let lines = store.all::<LogLine>(View::Newest, Query::Logs(LogFilter::of(to(&target), 0)), 10_000).await?;
        if !lines.is_empty() {
            world.logs.insert(target, lines.iter().map(|line| line.message.to_string()).collect());
        }
    }
    for row in store.all::<File>(View::Newest, Query::Files { prefix: "main/".into() }, 100).await? {
        let missing = || Error::Corrupt { what: format!("`blobs/` has nothing for `{}`", row.content.id) };
        let mut reader = embedded.read_blob(row.content.id.clone(), 0).await?.ok_or_else(missing)?;
        let mut content = Vec::new();
        while let Some(piece) = reader.read().await? {
            content.extend_from_slice(&piece);
        }
        world.files.insert(row.path.to_string(), String::from_utf8(content).unwrap());
    }
    Ok(world)
}

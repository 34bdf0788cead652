//! A disk that can lose power, run full, fail to sync and flip bits, all by a seed.
//!
//! What is written stays in a volatile cache until it is synced. A power cut keeps, of each page that was not synced,
//! the new content, the old, or a part of each, in any order; of the names that were not synced, some; and of a file's
//! length anything between what was safe and what was written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Disk, DiskFile};

/// What a drive writes at once, and what tears.
const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// A small generator of random numbers (xorshift), so that a seed means the same for ever.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { (self.roll() >> 11) % limit }
    }
}

/// The disk. Cloned, it is the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<u64, Content>,
    names: BTreeMap<String, u64>,
    safe_names: BTreeMap<String, u64>,
    /// Changes of names that are not safe, in order.
    pending: Vec<NameChange>,
    locked: BTreeSet<String>,
    next_file: u64,
    faults: Faults,
    /// Operations that changed something or made it safe.
    operations: u64,
    /// The operation before which the power went.
    cut: Option<(Deed, String)>,
}

/// What a disk is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Make,
    Write,
    Sync,
    Rename,
    Remove,
}

#[derive(Clone, Debug)]
enum NameChange {
    Made(String, u64),
    Renamed(String, String, u64),
    Removed(String),
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    safe: Vec<u8>,
    /// Pages written since the last sync.
    dirty: BTreeSet<usize>,
    modified: Timestamp,
}

/// What goes wrong, and when.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The power goes before this operation.
    pub power_off_at: Option<u64>,
    /// The next so many syncs fail, and what they were about is dropped as a kernel does.
    pub failing_syncs: u32,
    /// How much fits in all.
    pub capacity_bytes: Option<u64>,
    /// Nothing can be changed.
    pub read_only: bool,
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self { state: Arc::default() }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Operations so far that changed something or made it safe.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The operation before which the power went, and its file or folder.
    pub fn cut_at(&self) -> Option<(Deed, String)> {
        self.state().cut.clone()
    }

    /// What is left after the power was cut now, as another disk without faults.
    pub fn after_power_cut(&self, seed: u64) -> SimulatedDisk {
        let mut dice = Dice::new(seed);
        let state = self.state();
        let mut names = state.safe_names.clone();
        // Most file systems keep the order of names; not all do.
        let ordered = dice.below(4) != 0;
        let kept = dice.below(state.pending.len() as u64 + 1) as usize;
        for (at, change) in state.pending.iter().enumerate() {
            if if ordered { at < kept } else { dice.below(2) == 0 } {
                change.apply(&mut names);
            }
        }
        let mut files = HashMap::new();
        for file in names.values() {
            let content = state.files.get(file).cloned().unwrap_or_default();
            let left = content.after_power_cut(&mut dice);
            files.insert(
                *file,
                Content { safe: left.clone(), now: left, modified: content.modified, ..Content::default() },
            );
        }
        let left = State { files, safe_names: names.clone(), names, next_file: state.next_file, ..State::default() };
        SimulatedDisk { state: Arc::new(Mutex::new(left)) }
    }

    /// The same content as another disk, all of it safe.
    pub fn copy(&self) -> SimulatedDisk {
        let state = self.state();
        let files = state.files.iter().map(|(id, content)| {
            let now = content.now.clone();
            (*id, Content { safe: now.clone(), now, modified: content.modified, ..Content::default() })
        });
        let names = state.names.clone();
        let copy = State {
            files: files.collect(),
            safe_names: names.clone(),
            names,
            next_file: state.next_file,
            ..State::default()
        };
        SimulatedDisk { state: Arc::new(Mutex::new(copy)) }
    }

    /// Names and lengths of all files.
    pub fn files(&self) -> Vec<(String, usize)> {
        let state = self.state();
        state
            .names
            .iter()
            .map(|(name, id)| (name.clone(), state.files.get(id).map_or(0, |file| file.now.len())))
            .collect()
    }

    /// Puts a file of another disk in place of one of the same name, or beside it.
    pub fn take_file(&self, from: &SimulatedDisk, name: &str, as_name: &str) {
        let content = {
            let from = from.state();
            from.names.get(name).and_then(|id| from.files.get(id)).map(|file| file.now.clone())
        };
        let Some(now) = content else { return };
        let mut state = self.state();
        let id = state.next_file;
        state.next_file += 1;
        state.files.insert(id, Content { safe: now.clone(), now, ..Content::default() });
        state.names.insert(as_name.to_owned(), id);
        state.safe_names.insert(as_name.to_owned(), id);
    }

    /// Changes the content of a file from outside, as damage does.
    pub fn damage(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let Some(id) = state.names.get(name).copied() else { return };
        if let Some(content) = state.files.get_mut(&id) {
            damage(&mut content.now);
            content.safe = content.now.clone();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Made(name, file) => {
                names.insert(name.clone(), *file);
            }
            NameChange::Renamed(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            NameChange::Removed(name) => {
                names.remove(name);
            }
        }
    }

    fn is_in(&self, folder: &str) -> bool {
        let within = |name: &String| parent(name) == folder.trim_end_matches('/');
        match self {
            NameChange::Made(name, _) | NameChange::Removed(name) => within(name),
            NameChange::Renamed(from, to, _) => within(from) || within(to),
        }
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Content {
    fn after_power_cut(&self, dice: &mut Dice) -> Vec<u8> {
        let mut left = self.safe.clone();
        for page in &self.dirty {
            let from = page * PAGE;
            let new = self.now.get(from..self.now.len().min(from + PAGE)).unwrap_or_default();
            let sectors = match dice.below(4) {
                0 => 0,
                1 => dice.below((PAGE / SECTOR) as u64 + 1) as usize,
                _ => PAGE / SECTOR,
            };
            let kept = new.get(..new.len().min(sectors * SECTOR)).unwrap_or_default();
            if left.len() < from + kept.len() && !kept.is_empty() {
                left.resize(from + kept.len(), 0);
            }
            if let Some(place) = left.get_mut(from..from + kept.len()) {
                place.copy_from_slice(kept);
            }
        }
        if self.now.len() < self.safe.len() && dice.below(2) == 0 {
            left.truncate(self.now.len());
        }
        left
    }

    fn touch(&mut self, from: usize, upto: usize) {
        self.dirty.extend(from / PAGE..upto.div_ceil(PAGE));
    }
}

impl State {
    /// Counts an operation; an error if the power is off.
    fn operate(&mut self, deed: Deed, name: &str) -> io::Result<()> {
        if self.faults.power_off_at.is_some_and(|at| self.operations >= at) {
            self.cut.get_or_insert_with(|| (deed, name.to_owned()));
            return Err(io::Error::other("the power is off"));
        }
        if self.faults.read_only {
            return Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "read-only file system"));
        }
        self.operations += 1;
        Ok(())
    }

    /// As `operate`, for an open file.
    fn operate_on(&mut self, deed: Deed, file: u64) -> io::Result<()> {
        let off = self.faults.power_off_at.is_some() && self.cut.is_none();
        let name = self.names.iter().filter(|_| off).find(|(_, id)| **id == file).map(|(name, _)| name.clone());
        self.operate(deed, &name.unwrap_or_default())
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|file| file.now.len() as u64).sum()
    }

    fn sync_fails(&mut self) -> bool {
        let fails = self.faults.failing_syncs > 0;
        self.faults.failing_syncs = self.faults.failing_syncs.saturating_sub(1);
        fails
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file `{name}`"))
}

impl Disk for SimulatedDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let folder = folder.trim_end_matches('/');
        let state = self.state();
        let within = state.names.keys().filter(|name| parent(name) == folder);
        let mut names: Vec<String> = within.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect();
        // Folders are what names begin with.
        let below = state.names.keys().filter_map(|name| {
            let rest = if folder.is_empty() { name } else { name.strip_prefix(folder)?.strip_prefix('/')? };
            rest.split_once('/').map(|(first, _)| first.to_owned())
        });
        names.extend(below.collect::<BTreeSet<_>>());
        Ok(names)
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.state().operate(Deed::Make, folder)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.operate(Deed::Make, name)?;
        if state.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{name}` is there already")));
        }
        let id = state.next_file;
        state.next_file += 1;
        state.files.insert(id, Content::default());
        state.names.insert(name.to_owned(), id);
        state.pending.push(NameChange::Made(name.to_owned(), id));
        Ok(Box::new(SimulatedFile { disk: self.clone(), id }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let id = self.state().names.get(name).copied().ok_or_else(|| missing(name))?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), id }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate(Deed::Rename, to)?;
        let id = state.names.remove(from).ok_or_else(|| missing(from))?;
        state.names.insert(to.to_owned(), id);
        state.pending.push(NameChange::Renamed(from.to_owned(), to.to_owned(), id));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate(Deed::Remove, name)?;
        state.names.remove(name).ok_or_else(|| missing(name))?;
        state.pending.push(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate(Deed::Sync, folder)?;
        if state.sync_fails() {
            return Err(io::Error::other("sync failed"));
        }
        let (safe, pending) = std::mem::take(&mut state.pending).into_iter().partition(|change| change.is_in(folder));
        let safe: Vec<NameChange> = safe;
        state.pending = pending;
        for change in safe {
            change.apply(&mut state.safe_names);
        }
        Ok(())
    }

    fn modified(&self, name: &str) -> io::Result<Timestamp> {
        let state = self.state();
        let file = state.names.get(name).and_then(|id| state.files.get(id)).ok_or_else(|| missing(name))?;
        Ok(file.modified)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.state();
        Ok(state.faults.capacity_bytes.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>> {
        if self.state().faults.read_only {
            return Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "read-only file system"));
        }
        if !self.state().locked.insert(name.to_owned()) {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process has this store open"));
        }
        Ok(Box::new(SimulatedLock { disk: self.clone(), name: name.to_owned() }))
    }
}

struct SimulatedLock {
    disk: SimulatedDisk,
    name: String,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.name);
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    id: u64,
}

impl SimulatedFile {
    fn with<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        work(self.disk.state().files.entry(self.id).or_default())
    }
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.with(|content| content.now.len() as u64))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate_on(Deed::Write, self.id)?;
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let room = state.faults.capacity_bytes.map(|capacity| capacity.saturating_sub(state.used()));
        let content = state.files.entry(self.id).or_default();
        let grows = (from + bytes.len()).saturating_sub(content.now.len()) as u64;
        let fits = match room {
            Some(room) if grows > room => bytes.len().saturating_sub((grows - room) as usize),
            _ => bytes.len(),
        };
        if content.now.len() < from + fits {
            content.now.resize(from + fits, 0);
        }
        if let (Some(place), Some(written)) = (content.now.get_mut(from..from + fits), bytes.get(..fits)) {
            place.copy_from_slice(written);
        }
        content.touch(from, from + fits);
        if fits < bytes.len() { Err(io::Error::new(io::ErrorKind::StorageFull, "no space left")) } else { Ok(()) }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.with(|content| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.now.len());
            let rest = content.now.get(from..).unwrap_or_default();
            let read = rest.len().min(into.len());
            if let (Some(place), Some(rest)) = (into.get_mut(..read), rest.get(..read)) {
                place.copy_from_slice(rest);
            }
            Ok(read)
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate_on(Deed::Write, self.id)?;
        let content = state.files.entry(self.id).or_default();
        content.now.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn set_modified(&self, at: Timestamp) -> io::Result<()> {
        self.with(|content| content.modified = at);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate_on(Deed::Sync, self.id)?;
        let fails = state.sync_fails();
        let content = state.files.entry(self.id).or_default();
        let dirty = std::mem::take(&mut content.dirty);
        if fails {
            // As Linux does: the pages count as written from now on, no later sync writes them.
            return Err(io::Error::other("sync failed"));
        }
        content.safe.resize(content.now.len(), 0);
        for from in dirty.into_iter().map(|page| page * PAGE) {
            let upto = content.now.len().min(from + PAGE);
            if let (Some(safe), Some(now)) = (content.safe.get_mut(from..upto), content.now.get(from..upto)) {
                safe.copy_from_slice(now);
            }
        }
        Ok(())
    }
}

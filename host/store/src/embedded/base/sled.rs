//! The base in sled 0.34. The only place that knows sled; none of its types leave this file.
//!
//! sled is fast and not to be trusted: it can lose what it took in a power cut, lose keys after a flipped bit without
//! a word, panic on a damaged page, hang while opening. So everything in it is also in the runs; a sum over all its
//! pairs is kept with them and checked at every opening; opening happens behind a guard and a time limit; every call is
//! guarded against panics; and what does not check out is moved aside. Values stay small, because sled puts larger ones
//! into files that it never syncs.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

use ::sled::{Batch, Config, Db, Mode, Tree};

use super::{Base, Change, Opening, Pair, Shelf};
use crate::Lsn;
use crate::error::Error;
use crate::index::encode::KeyBuf;

/// Longest an opening may take, its check included: past that it hangs, and rebuilding is faster.
const OPEN_LIMIT: Duration = Duration::from_secs(120);
/// How long a dropped store's threads may take to let sled's lock go, and how often it is tried: they only have to be scheduled.
const LET_GO: Duration = Duration::from_secs(10);
const LET_GO_AGAIN: Duration = Duration::from_millis(10);
/// What sled says while its lock is held.
const LOCKED: &str = "could not acquire lock";
/// sled's own cache of pages.
const CACHE_BYTES: u64 = 64 << 20;
/// Its values and nodes over a quarter of a segment become files that it never syncs: with this, none does.
const SEGMENT_BYTES: usize = 8 << 20;
/// Longer values are kept in pieces.
const PIECE_BYTES: usize = 16 * 1024;
/// Read at once when files are summed.
const SUMMED_AT_ONCE: usize = 1 << 20;

/// Begins the keys of pieces: after every key of the store.
const PIECES: u8 = 0xfe;
/// Where the sum and the last commit are.
const META: [u8; 1] = [0xff];
/// Marks of stored values: whole, or in pieces.
const WHOLE: u8 = 0;
const IN_PIECES: u8 = 1;

/// A folder for sled.
#[derive(Debug)]
pub struct SledShelf {
    path: PathBuf,
}

impl SledShelf {
    /// The index in a folder of its own.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }

    /// What says that the files were closed in order, and what they sum up to.
    fn seal(&self) -> PathBuf {
        self.beside(".seal")
    }

    /// What says that a call has panicked: then nothing in there is believed any more.
    fn unsound(&self) -> PathBuf {
        self.beside(".unsound")
    }

    /// Opens what is there or makes something new, on a thread of its own that can be given up.
    fn guarded(&self, check: bool) -> Result<SledBase, Error> {
        let (path, seal, unsound) = (self.path.clone(), self.seal(), self.unsound());
        within(OPEN_LIMIT, move || SledBase::open(&path, seal, unsound, check))
    }
}

/// Does something on a thread of its own that may panic, and is given up when it takes too long.
fn within<T: Send + 'static>(
    limit: Duration,
    open: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (done, opened) = mpsc::sync_channel(1);
    let guarded = move || {
        let opened = catch_unwind(AssertUnwindSafe(open));
        // Nobody listens any more if it took too long.
        drop(done.send(opened.unwrap_or_else(|_| Err(damaged("sled panicked while opening")))));
    };
    std::thread::Builder::new()
        .name("store-index-open".into())
        .spawn(guarded)
        .map_err(|source| Error::Io { path: "thread store-index-open".into(), source })?;
    match opened.recv_timeout(limit) {
        Ok(opened) => opened,
        Err(_) => Err(damaged("sled did not open in time")),
    }
}

fn damaged(what: &str) -> Error {
    Error::Corrupt { what: format!("the index: {what}") }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.display().to_string(), source }
}

impl Shelf for SledShelf {
    fn open(&self, _: &Opening<'_>) -> Result<Arc<dyn Base>, Error> {
        if self.unsound().exists() {
            return Err(damaged("sled panicked when it was last used"));
        }
        Ok(Arc::new(self.guarded(true)?))
    }

    fn start_over(&self, _: &Opening<'_>) -> Result<Arc<dyn Base>, Error> {
        // One damaged index is kept for who wants to look; more would only take space.
        let aside = self.beside(".damaged");
        if self.path.exists() {
            if aside.exists() {
                fs::remove_dir_all(&aside).map_err(io(&aside))?;
            }
            fs::rename(&self.path, &aside).map_err(io(&self.path))?;
        }
        for leftover in [self.seal(), self.unsound()] {
            if leftover.exists() {
                fs::remove_file(&leftover).map_err(io(&leftover))?;
            }
        }
        Ok(Arc::new(self.guarded(false)?))
    }
}

/// Opens sled. Its own lock outlives a store that was dropped until its threads are gone. Nobody else can have it: the store's lock is ours.
fn once_let_go(config: &Config) -> Result<Db, Error> {
    let began = Instant::now();
    loop {
        match config.open() {
            Ok(db) => return Ok(db),
            Err(error) if began.elapsed() < LET_GO && error.to_string().contains(LOCKED) => {
                std::thread::sleep(LET_GO_AGAIN);
            }
            Err(error) => return Err(damaged(&error.to_string())),
        }
    }
}

/// What is kept about all pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Meta {
    applied: Lsn,
    pairs: u64,
    /// The sum of a hash of each pair: whatever order they came in.
    sum: u64,
}

impl Meta {
    fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (place, number) in bytes.chunks_exact_mut(8).zip([self.applied.0, self.pairs, self.sum]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks_exact(8).filter_map(|chunk| Some(u64::from_le_bytes(*chunk.first_chunk()?)));
        let meta = Self { applied: Lsn(numbers.next()?), pairs: numbers.next()?, sum: numbers.next()? };
        (bytes.len() == 24).then_some(meta)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.pairs = self.pairs.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash(key, value));
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        self.pairs = self.pairs.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(key, value));
    }
}

/// A hash of a pair against accidents, not against people (FNV-1a over words, mixed at the end).
fn hash(key: &[u8], value: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325 ^ key.len() as u64;
    for part in [key, value] {
        let mut words = part.chunks_exact(8);
        for word in words.by_ref() {
            let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        for byte in words.remainder() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

struct SledBase {
    path: PathBuf,
    seal: PathBuf,
    unsound: PathBuf,
    /// `None` once it is closed.
    open: RwLock<Option<(Db, Tree)>>,
    meta: RwLock<Meta>,
    /// A call has panicked: sled is not asked again.
    broken: AtomicBool,
}

impl SledBase {
    fn open(path: &Path, seal: PathBuf, unsound: PathBuf, check: bool) -> Result<Self, Error> {
        let sealed = fs::read_to_string(&seal).ok();
        // The folder itself is part of what the seal says, so it is summed before sled touches anything.
        let in_order = check && sealed.is_some_and(|sealed| sum_of_files(path).is_ok_and(|sum| sum == sealed));
        if seal.exists() {
            fs::remove_file(&seal).map_err(io(&seal))?;
        }
        let fresh = !path.exists();
        let config = Config::new()
            .path(path)
            .mode(Mode::LowSpace)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(None)
            .use_compression(false);
        let db = once_let_go(&config)?;
        let tree: Tree = Tree::clone(&db);
        let found = tree.get(META).map_err(|error| damaged(&error.to_string()))?;
        let meta = match found {
            Some(found) => Meta::from_bytes(&found).ok_or_else(|| damaged("its sum is not one"))?,
            None => Meta::default(),
        };
        let base = Self {
            path: path.to_owned(),
            seal,
            unsound,
            open: RwLock::new(Some((db, tree))),
            meta: RwLock::new(meta),
            broken: AtomicBool::new(false),
        };
        if check && !in_order {
            base.verify()?;
        }
        if fresh {
            base.sync_new()?;
        }
        Ok(base)
    }

    /// sled never syncs its own configuration, and does not open without it.
    fn sync_new(&self) -> Result<(), Error> {
        for name in ["conf", "db", "."] {
            let path = self.path.join(name);
            File::open(&path).and_then(|file| file.sync_all()).map_err(io(&path))?;
        }
        match self.path.parent().filter(|above| !above.as_os_str().is_empty()) {
            Some(above) => File::open(above).and_then(|file| file.sync_all()).map_err(io(above)),
            None => Ok(()),
        }
    }

    fn meta(&self) -> Meta {
        *self.meta.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks sled, and survives it.
    fn ask<T>(&self, ask: impl FnOnce(&Db, &Tree) -> Result<T, ::sled::Error>) -> Result<T, Error> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(damaged("sled has panicked; it is rebuilt at the next start"));
        }
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let Some((db, tree)) = open.as_ref() else {
            return Err(Error::ReadOnly { reason: "the index is closed".into() });
        };
        match catch_unwind(AssertUnwindSafe(|| ask(db, tree))) {
            Ok(answer) => answer.map_err(|error| damaged(&error.to_string())),
            Err(_) => {
                self.broken.store(true, Ordering::Relaxed);
                // Without the mark the sum still speaks at the next opening.
                drop(fs::write(&self.unsound, "sled panicked\n"));
                Err(damaged("sled panicked"))
            }
        }
    }

    /// The value behind a stored one, put together if it is in pieces.
    fn whole(&self, tree: &Tree, key: &[u8], stored: &[u8]) -> Result<Option<Vec<u8>>, ::sled::Error> {
        match stored.split_first() {
            Some((&WHOLE, value)) => Ok(Some(value.to_vec())),
            Some((&IN_PIECES, _)) => {
                let mut value = Vec::new();
                for pair in tree.scan_prefix(pieces_of(key)) {
                    value.extend_from_slice(&pair?.1);
                }
                Ok(Some(value))
            }
            _ => Ok(None),
        }
    }

    fn found(&self, tree: &Tree, pair: Option<(::sled::IVec, ::sled::IVec)>) -> Result<Option<Pair>, ::sled::Error> {
        let Some((key, stored)) = pair else { return Ok(None) };
        Ok(self.whole(tree, &key, &stored)?.map(|value| (KeyBuf::from(&*key), value)))
    }
}

/// What the pieces of a key's value begin with.
fn pieces_of(key: &[u8]) -> Vec<u8> {
    [&[PIECES][..], &(key.len() as u32).to_be_bytes(), key].concat()
}

impl Base for SledBase {
    fn applied(&self) -> Lsn {
        self.meta().applied
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.ask(|_, tree| match tree.get(key)? {
            Some(stored) => self.whole(tree, key, &stored),
            None => Ok(None),
        })
    }

    fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error> {
        if from >= upto {
            return Ok(None);
        }
        self.ask(|_, tree| self.found(tree, tree.range(from..upto).next().transpose()?))
    }

    fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error> {
        if from >= upto {
            return Ok(None);
        }
        self.ask(|_, tree| self.found(tree, tree.range(from..upto).next_back().transpose()?))
    }

    fn apply(&self, upto: Lsn, changes: Vec<Change>) -> Result<(), Error> {
        let mut meta = self.meta();
        meta.applied = upto;
        self.ask(|db, tree| {
            let mut batch = Batch::default();
            for (key, value) in changes {
                if let Some(old) = tree.get(&key)? {
                    meta.take(&key, &old);
                    if old.first() == Some(&IN_PIECES) {
                        for pair in tree.scan_prefix(pieces_of(&key)) {
                            let (piece, content) = pair?;
                            meta.take(&piece, &content);
                            batch.remove(piece);
                        }
                    }
                }
                match value {
                    None => batch.remove(&*key),
                    Some(value) if value.len() <= PIECE_BYTES => {
                        let stored = [&[WHOLE][..], &value].concat();
                        meta.add(&key, &stored);
                        batch.insert(&*key, stored);
                    }
                    Some(value) => {
                        for (number, content) in value.chunks(PIECE_BYTES).enumerate() {
                            let piece = [&pieces_of(&key)[..], &(number as u32).to_be_bytes()].concat();
                            meta.add(&piece, content);
                            batch.insert(piece, content);
                        }
                        meta.add(&key, &[IN_PIECES]);
                        batch.insert(&*key, &[IN_PIECES]);
                    }
                }
            }
            batch.insert(&META, &meta.to_bytes());
            tree.apply_batch(batch)?;
            db.flush().map(drop)
        })?;
        // sled's flush does not reach the drive.
        let db = self.path.join("db");
        File::open(&db).and_then(|file| file.sync_data()).map_err(io(&db))?;
        *self.meta.write().unwrap_or_else(PoisonError::into_inner) = meta;
        Ok(())
    }

    fn verify(&self) -> Result<(), Error> {
        let expected = self.meta();
        let found = self.ask(|_, tree| {
            let mut found = Meta { applied: expected.applied, ..Meta::default() };
            for pair in tree.iter() {
                let (key, value) = pair?;
                if *key != META {
                    found.add(&key, &value);
                }
            }
            Ok(found)
        })?;
        if found == expected {
            Ok(())
        } else {
            Err(damaged(&format!("it has {} pairs of {}, or other ones", found.pairs, expected.pairs)))
        }
    }

    fn size_bytes(&self) -> u64 {
        self.ask(|db, _| db.size_on_disk()).unwrap_or(0)
    }

    fn broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn close(&self) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        // Both ends of sled at once: the files are at rest when the last handle is gone.
        let at_rest = catch_unwind(AssertUnwindSafe(|| {
            let flushed = open.as_ref().is_some_and(|(db, _)| db.flush().is_ok());
            drop(open);
            flushed
        }));
        if !matches!(at_rest, Ok(true)) || self.broken() {
            return;
        }
        if let Ok(sum) = sum_of_files(&self.path) {
            // Without a seal the next opening looks at everything: slower, nothing worse.
            drop(fs::write(&self.seal, sum));
        }
    }
}

/// Names, lengths and checksums of all files of a folder, as text.
fn sum_of_files(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut lines = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let mut file = File::open(entry.path())?;
            let mut buffer = vec![0; SUMMED_AT_ONCE];
            let (mut len, mut checksum) = (0_u64, 0);
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                len += read as u64;
                checksum = crc32c::crc32c_append(checksum, buffer.get(..read).unwrap_or_default());
            }
            lines.push(format!("{} {len} {checksum:08x}\n", entry.path().display()));
        }
    }
    lines.sort();
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f24_index_that_hangs_or_panics_is_given_up() {
        let hangs = within(Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_secs(2));
            Ok(())
        });
        assert!(hangs.is_err_and(|error| error.to_string().contains("did not open in time")));
        let panics = within(OPEN_LIMIT, || -> Result<(), Error> { panic!("as sled does on a damaged page") });
        assert!(panics.is_err_and(|error| error.to_string().contains("panicked")));
        assert_eq!(within(OPEN_LIMIT, || Ok(7)).unwrap(), 7);
    }
}

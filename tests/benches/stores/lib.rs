//! Stores that others use, each doing what one commit of Sluice does: a row of 200 bytes is updated, one of 100 bytes
//! is added, and both are on the disk when it returns.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// One commit.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    pub writer: usize,
    pub sequence: u64,
}

impl Commit {
    fn state_key(self) -> String {
        format!("state/{:06}", self.writer)
    }

    fn event_key(self) -> String {
        format!("event/{:06}/{:016x}", self.writer, self.sequence)
    }
}

const STATE: [u8; 200] = [b's'; 200];
const EVENT: [u8; 100] = [b'e'; 100];

/// Something that makes commits durable, one group at a time.
pub trait Engine: Send {
    fn commit(&mut self, group: &[Commit]);
}

/// How one is made in a folder.
pub type Make = fn(&Path) -> Box<dyn Engine>;

/// All of them, by name.
pub const ENGINES: [(&str, Make); 5] = [
    ("raw log", |path| Box::new(RawLog::new(path))),
    ("sled, flushed", |path| Box::new(Sled::new(path, Flush::OfSled))),
    ("sled, synced", |path| Box::new(Sled::new(path, Flush::ToTheDrive))),
    ("redb", |path| Box::new(Redb::new(path))),
    ("sqlite", |path| Box::new(Sqlite::new(path))),
];

/// What the disk allows: bytes appended, one sync.
struct RawLog(File);

impl RawLog {
    fn new(path: &Path) -> Self {
        Self(File::create(path.join("log")).expect("a file"))
    }
}

impl Engine for RawLog {
    fn commit(&mut self, group: &[Commit]) {
        let bytes: Vec<u8> = group.iter().flat_map(|_| STATE.iter().chain(&EVENT).copied()).collect();
        self.0.write_all(&bytes).and_then(|()| self.0.sync_data()).expect("a write");
    }
}

/// What a commit in sled waits for.
#[derive(Clone, Copy, PartialEq)]
enum Flush {
    /// Its own flush, which writes out pages but never tells the drive: it survives a killed process, not a power cut.
    OfSled,
    /// And a sync of its file, as all others do.
    ToTheDrive,
}

struct Sled {
    db: sled::Db,
    file: File,
    flush: Flush,
}

impl Sled {
    fn new(path: &Path, flush: Flush) -> Self {
        let path = path.join("sled");
        let db = sled::Config::new().path(&path).flush_every_ms(None).open().expect("a database");
        Self { db, file: File::open(path.join("db")).expect("its file"), flush }
    }
}

impl Engine for Sled {
    fn commit(&mut self, group: &[Commit]) {
        let mut batch = sled::Batch::default();
        for commit in group {
            batch.insert(commit.state_key().as_bytes(), &STATE[..]);
            batch.insert(commit.event_key().as_bytes(), &EVENT[..]);
        }
        self.db.apply_batch(batch).expect("a batch");
        self.db.flush().expect("a flush");
        if self.flush == Flush::ToTheDrive {
            self.file.sync_data().expect("a sync");
        }
    }
}

struct Redb(redb::Database);

const TABLE: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("rows");

impl Redb {
    fn new(path: &Path) -> Self {
        Self(redb::Database::create(path.join("redb")).expect("a database"))
    }
}

impl Engine for Redb {
    fn commit(&mut self, group: &[Commit]) {
        let write = self.0.begin_write().expect("a transaction");
        {
            let mut table = write.open_table(TABLE).expect("a table");
            for commit in group {
                table.insert(commit.state_key().as_str(), &STATE[..]).expect("a row");
                table.insert(commit.event_key().as_str(), &EVENT[..]).expect("a row");
            }
        }
        write.commit().expect("a commit");
    }
}

/// SQLite with a write-ahead log that is synced with every transaction.
struct Sqlite(rusqlite::Connection);

impl Sqlite {
    fn new(path: &Path) -> Self {
        let connection = rusqlite::Connection::open(path.join("sqlite")).expect("a database");
        connection
            .execute_batch(
                "pragma journal_mode = wal; pragma synchronous = full; \
                 create table states (key text primary key, value blob) without rowid; \
                 create table events (key text primary key, value blob) without rowid;",
            )
            .expect("tables");
        Self(connection)
    }
}

impl Engine for Sqlite {
    fn commit(&mut self, group: &[Commit]) {
        let transaction = self.0.transaction().expect("a transaction");
        {
            let mut state = transaction.prepare_cached("insert or replace into states values (?1, ?2)").expect("sql");
            let mut event = transaction.prepare_cached("insert into events values (?1, ?2)").expect("sql");
            for commit in group {
                state.execute((commit.state_key(), &STATE[..])).expect("a row");
                event.execute((commit.event_key(), &EVENT[..])).expect("a row");
            }
        }
        transaction.commit().expect("a commit");
    }
}

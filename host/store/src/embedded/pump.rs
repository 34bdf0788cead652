//! Moves commits from the queue into the journal: a group when somebody waits, when much has come together, or when it
//! has waited long enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::journal::WriteError;
use super::store::{Inner, Pace, Refusal, lock};
use crate::Lsn;
use crate::error::Error;
use crate::index::stage::Effect;
use crate::rows::Row;

/// Longest a commit waits that nobody waits for: what a power cut can take is at most so much work nobody saw.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// A group is written when about so much has come together.
const GROUP_BYTES: usize = 1 << 20;
/// Most commits of one group: bounds the buffer, and the time others wait for it.
const GROUP_COMMITS: usize = 4_096;
/// What may wait for the journal: past that, who commits waits for the disk, or memory would be the queue.
const QUEUE_BYTES: usize = 64 << 20;
/// How many times the keys of a checkpoint may be in memory while one is made: past that, who commits waits.
const OVERLAY_MOST: usize = 2;
/// How long who commits waits for a checkpoint before it is refused.
const LONGEST_CHECKPOINT: Duration = Duration::from_secs(60);
/// How often a store without room looks whether there is some.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a group that found no room waits before it tries again.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// How long nobody writes until a store is at rest: long enough that a task between two commits is no rest.
const REST_AFTER: Duration = Duration::from_secs(5);
/// A journal so long becomes a run when a store is at rest, so that idle disks hold little but what is alive.
const IDLE_CHECKPOINT_BYTES: u64 = 1 << 20;
/// What a row counts for without its texts.
const ROW_BYTES: usize = 300;

/// Commits that are not in the journal yet.
pub struct Queue {
    commits: Vec<(Lsn, Vec<Effect>)>,
    bytes: usize,
    since: Option<Instant>,
    /// The highest commit somebody waits for.
    wanted: Lsn,
    /// The store is being closed.
    pub closing: bool,
    /// A copy of what is durable, for threads that wait.
    durable: Lsn,
    refusal: Option<Refusal>,
    /// A checkpoint is due.
    checkpoint_due: bool,
    /// Those who wait for a commit. Each is told when it is durable, and nobody for the commit of another; dropped, it
    /// means that something else has happened.
    waiting: Vec<(Lsn, oneshot::Sender<()>)>,
}

/// How idle the journal's thread is.
#[derive(Clone, Copy)]
enum Idle {
    No,
    /// The last group has its mark.
    Marked,
    /// There is nothing left to do.
    Resting,
}

/// What many look at often, without holding anybody up.
#[derive(Debug, Default)]
pub struct Gauges {
    /// The last commit.
    pub head: AtomicU64,
    /// What waits for the journal.
    pub queued_bytes: AtomicUsize,
    /// Keys that wait for the next checkpoint while one is made.
    pub waiting_keys: AtomicUsize,
}

impl Queue {
    pub fn new(durable: Lsn) -> Self {
        Self {
            commits: Vec::new(),
            bytes: 0,
            since: None,
            wanted: Lsn::START,
            closing: false,
            durable,
            refusal: None,
            checkpoint_due: false,
            waiting: Vec::new(),
        }
    }

    /// How long to wait before the next group; nothing: it is time.
    fn wait(&self) -> Option<Duration> {
        let (first, _) = self.commits.first()?;
        if self.wanted >= *first || self.closing || self.bytes >= GROUP_BYTES || self.commits.len() >= GROUP_COMMITS {
            return None;
        }
        let waited = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        LONGEST_WAIT.checked_sub(waited).filter(|left| !left.is_zero())
    }

    fn take(&mut self) -> Vec<(Lsn, Vec<Effect>)> {
        let rest = self.commits.split_off(self.commits.len().min(GROUP_COMMITS));
        self.bytes = if rest.is_empty() { 0 } else { self.bytes / 2 };
        self.since = (!rest.is_empty()).then(Instant::now);
        std::mem::replace(&mut self.commits, rest)
    }
}

fn bytes_of(effect: &Effect) -> usize {
    let text = match effect {
        Effect::Put(Row::Change(change)) => change.change.json.len(),
        Effect::Put(Row::Snapshot(snapshot)) => snapshot.state.json.len(),
        Effect::Put(Row::Flow(flow)) => flow.source.len(),
        Effect::Put(Row::Job(job)) => job.work.json.len(),
        Effect::Put(Row::Log(line)) => line.message.len(),
        _ => 0,
    };
    ROW_BYTES + text
}

impl Inner {
    /// Queues a commit. Called under the lock of the core.
    pub fn enqueue(&self, lsn: Lsn, effects: Vec<Effect>) {
        let mut queue = lock(&self.queue);
        let first = queue.commits.is_empty();
        let before = queue.bytes;
        queue.bytes += effects.iter().map(bytes_of).sum::<usize>();
        self.gauges.queued_bytes.store(queue.bytes, Ordering::Relaxed);
        queue.commits.push((lsn, effects));
        if first {
            queue.since = Some(Instant::now());
        }
        if first || before < GROUP_BYTES && queue.bytes >= GROUP_BYTES {
            self.wake.notify_all();
        }
    }

    /// Whether more is waiting for the journal, or for a checkpoint, than should.
    pub fn is_crowded(&self) -> bool {
        self.gauges.queued_bytes.load(Ordering::Relaxed) > QUEUE_BYTES || self.overlay_is_full()
    }

    fn overlay_is_full(&self) -> bool {
        let most = self.options.checkpoint_keys.saturating_mul(OVERLAY_MOST);
        // By hand nobody makes checkpoints but who waits here.
        self.gauges.waiting_keys.load(Ordering::Relaxed) > most && self.options.pace == Pace::Threads
    }

    /// Waits until the disk has caught up with what is committed.
    pub async fn room(&self, head: Lsn) -> Result<(), Error> {
        self.durable(head).await?;
        let began = Instant::now();
        while self.overlay_is_full() {
            if began.elapsed() >= LONGEST_CHECKPOINT {
                let reason = "what is not in runs yet takes too much memory: checkpoints do not keep up".into();
                return Err(Error::Full { reason });
            }
            tokio::time::sleep(LONGEST_WAIT).await;
        }
        Ok(())
    }

    /// Waits for a commit, and makes the journal hurry.
    pub async fn durable(&self, lsn: Lsn) -> Result<(), Error> {
        if lsn.0 > self.gauges.head.load(Ordering::Acquire) {
            return Err(Error::Misuse(format!("commit `{lsn}` does not exist")));
        }
        if self.options.pace == Pace::ByHand && lock(&self.queue).durable < lsn {
            self.write_all()?;
        }
        loop {
            let told = {
                let mut queue = lock(&self.queue);
                if queue.durable >= lsn {
                    return Ok(());
                }
                if let Some(refusal) = &queue.refusal {
                    return Err(refusal.error());
                }
                if queue.closing {
                    return Err(Error::ReadOnly { reason: "the store is closed".into() });
                }
                let (tell, told) = oneshot::channel();
                queue.waiting.push((lsn, tell));
                self.want(&mut queue, lsn);
                told
            };
            // Told or dropped: what is so is looked at again.
            drop(told.await);
        }
    }

    fn take(&self, queue: &mut Queue) -> Vec<(Lsn, Vec<Effect>)> {
        let group = queue.take();
        self.gauges.queued_bytes.store(queue.bytes, Ordering::Relaxed);
        group
    }

    fn want(&self, queue: &mut Queue, lsn: Lsn) {
        if queue.wanted < lsn {
            // Once somebody waits for what is queued, the journal is on its way.
            let on_its_way = queue.commits.first().is_some_and(|(first, _)| queue.wanted >= *first);
            queue.wanted = lsn;
            if !on_its_way {
                self.wake.notify_all();
            }
        }
    }

    /// As `durable`, for a thread.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<(), Error> {
        if self.options.pace == Pace::ByHand {
            return self.write_all();
        }
        let mut queue = lock(&self.queue);
        self.want(&mut queue, lsn);
        while queue.durable < lsn {
            if let Some(refusal) = &queue.refusal {
                return Err(refusal.error());
            }
            queue = self.moved.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        Ok(())
    }

    /// Writes everything that is queued.
    fn write_all(&self) -> Result<(), Error> {
        let mut writer = lock(&self.writer);
        loop {
            let mut group = self.take(&mut lock(&self.queue));
            if group.is_empty() {
                return Ok(());
            }
            match writer.write(&group) {
                Ok(last) => self.settle(last),
                Err(error) => {
                    let refusal = refusal(error);
                    // They keep their place: after the disk has room again they are the first.
                    let mut queue = lock(&self.queue);
                    group.append(&mut queue.commits);
                    queue.commits = group;
                    drop(queue);
                    self.refuse(Some(refusal.clone()));
                    return Err(refusal.error());
                }
            }
            if self.read().refusal.is_some() {
                self.refuse(None);
            }
        }
    }

    /// A group is durable: shows it to clients and to those who wait.
    fn settle(&self, last: Lsn) {
        {
            let mut core = self.write();
            core.durable = last;
            core.overlay.advance(last);
            if let Some(table) = core.frozen.as_mut().and_then(|(table, _)| Arc::get_mut(table)) {
                table.advance(last);
            }
        }
        let told: Vec<_> = {
            let mut queue = lock(&self.queue);
            queue.durable = last;
            queue.waiting.extract_if(.., |(lsn, _)| *lsn <= last).collect()
        };
        self.moved.notify_all();
        for (_, tell) in told {
            // Who waited may have gone away.
            tell.send(()).ok();
        }
        self.hub.durable(last);
    }

    /// Begins or ends refusing commits.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        {
            let mut core = self.write();
            if matches!(core.refusal, Some(Refusal::Failed(_))) {
                return;
            }
            core.refusal = refusal.clone();
        }
        let mut queue = lock(&self.queue);
        queue.refusal = refusal;
        queue.waiting.clear();
        drop(queue);
        self.moved.notify_all();
    }

    pub fn start_threads(self: &Arc<Self>) -> Result<Vec<JoinHandle<()>>, Error> {
        let spawn = |name: &str, run: fn(&Inner)| {
            let inner = Arc::clone(self);
            let run = move || {
                let guarded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&inner)));
                if guarded.is_err() {
                    inner.refuse(Some(Refusal::Failed("a thread of the store panicked".into())));
                }
            };
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
            thread.map_err(|source| Error::Io { path: format!("thread {name}"), source })
        };
        Ok(vec![spawn("store-journal", Inner::run_journal)?, spawn("store-checkpoint", Inner::run_checkpoints)?])
    }

    /// The journal's thread.
    fn run_journal(&self) {
        let mut looked = Instant::now();
        while let Some(group) = self.next_group() {
            if !self.write_group(&group) {
                return;
            }
            if self.is_due() {
                let mut queue = lock(&self.queue);
                if !queue.checkpoint_due {
                    queue.checkpoint_due = true;
                    self.due.notify_all();
                }
            }
            if looked.elapsed() >= LOOK_AGAIN {
                looked = Instant::now();
                self.look_at_room();
            }
        }
    }

    /// Waits for the next group; `None`: the store is closed and all is written.
    fn next_group(&self) -> Option<Vec<(Lsn, Vec<Effect>)>> {
        let mut queue = lock(&self.queue);
        let mut idle = Idle::No;
        loop {
            if queue.commits.is_empty() {
                if queue.closing {
                    return None;
                }
                let wait = match idle {
                    _ if queue.refusal.is_some() => LOOK_AGAIN,
                    Idle::No => LONGEST_WAIT,
                    Idle::Marked => REST_AFTER,
                    Idle::Resting => {
                        queue = self.wake.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
                        continue;
                    }
                };
                let (back, timeout) =
                    self.wake.wait_timeout(queue, wait).unwrap_or_else(std::sync::PoisonError::into_inner);
                queue = back;
                if timeout.timed_out() && queue.commits.is_empty() {
                    let refusing = queue.refusal.is_some();
                    drop(queue);
                    idle = match idle {
                        Idle::No => {
                            lock(&self.writer).mark();
                            Idle::Marked
                        }
                        Idle::Marked if refusing => Idle::Marked,
                        Idle::Marked | Idle::Resting => {
                            self.rest();
                            Idle::Resting
                        }
                    };
                    self.look_at_room();
                    queue = lock(&self.queue);
                }
                continue;
            }
            match queue.wait() {
                None => return Some(self.take(&mut queue)),
                Some(wait) => {
                    queue = self.wake.wait_timeout(queue, wait).unwrap_or_else(std::sync::PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Nobody has written for a while: what is safe is written down, and a long journal becomes a run.
    pub fn rest(&self) {
        let bytes = {
            let mut writer = lock(&self.writer);
            if let Err(error) = writer.rest() {
                tracing::warn!(%error, "the end of the journal was not written down");
            }
            writer.bytes()
        };
        if bytes >= IDLE_CHECKPOINT_BYTES && self.read().overlay.len() > 0 {
            lock(&self.queue).checkpoint_due = true;
            self.due.notify_all();
        }
    }

    /// Writes a group, and waits for room if there is none. Whether to go on.
    fn write_group(&self, group: &[(Lsn, Vec<Effect>)]) -> bool {
        let mut refused = false;
        loop {
            let written = lock(&self.writer).write(group);
            match written {
                Ok(last) => {
                    self.settle(last);
                    if refused {
                        self.refuse(None);
                        self.look_at_room();
                    }
                    return true;
                }
                Err(error) => {
                    let refusal = refusal(error);
                    let fatal = matches!(refusal, Refusal::Failed(_));
                    self.refuse(Some(refusal));
                    refused = true;
                    if fatal {
                        return false;
                    }
                }
            }
            std::thread::sleep(TRY_AGAIN);
            if lock(&self.queue).closing {
                return false;
            }
        }
    }

    /// Refuses commits when the reserve is touched, and takes them again when there is room. How much is free and how
    /// much should be, if it is too little.
    pub fn look_at_room(&self) -> Option<(u64, u64)> {
        let Ok(free) = self.disk.free_bytes() else { return None };
        let reserve = self.options.reserve_bytes;
        let refusing = self.read().refusal.is_some();
        if free < reserve {
            let reason = format!("{free} bytes are free on its disk, {reserve} are kept in reserve");
            self.refuse(Some(Refusal::Full(reason)));
            return Some((free, reserve));
        }
        if refusing && free - reserve >= reserve / 8 {
            // Only with some room to spare, or it would change its mind with every commit.
            self.refuse(None);
        }
        None
    }

    /// The checkpoints' thread.
    fn run_checkpoints(&self) {
        loop {
            {
                let mut queue = lock(&self.queue);
                while !queue.checkpoint_due && !queue.closing {
                    queue = self.due.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                if queue.closing {
                    return;
                }
            }
            let made = self.checkpoint();
            let mut queue = lock(&self.queue);
            queue.checkpoint_due = false;
            if let Err(error) = made {
                tracing::warn!(%error, "a checkpoint was not made; it is tried again");
                // Not at once: what hinders it is likely still there.
                drop(self.due.wait_timeout(queue, LOOK_AGAIN));
            }
        }
    }
}

fn refusal(error: WriteError) -> Refusal {
    match error {
        WriteError::Full(reason) => Refusal::Full(reason),
        WriteError::Fatal(error) => {
            Refusal::Failed(format!("{error}\nhint: start again, everything acknowledged is kept"))
        }
    }
}

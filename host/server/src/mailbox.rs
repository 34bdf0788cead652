//! One mailbox per hot execution: whatever happens to it comes through here, one turn after the other. Never decides.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::{Event, State};
use model::execution::Execution;
use model::ids::{ExecutionId, TaskRunId};
use store::Lsn;
use store::rows::{self, MessageKey, UniqueKey};
use tokio::sync::{mpsc, oneshot};

use crate::apply::Owner;
use crate::error::Error;
use crate::node::Node;
use crate::worker::kept::Kept;

/// Most mail drained into one commit (design.md, section 3).
pub const MAIL_PER_TURN: usize = 256;
/// Most mail that waits for one execution: beyond it senders wait. More than workers, timers and children send at once.
const MAIL_WAITING: usize = 16_384;
/// How long mail waits that the store did not take.
const STORE_AGAIN: Duration = Duration::from_millis(200);
/// How long an execution that nothing happens to stays in memory.
const IDLE: Duration = Duration::from_secs(60);

/// What an execution is told.
pub enum Mail {
    /// Something happened.
    Event(Box<Event>),
    /// It begins with what another execution had.
    Replay(Box<Replaying>),
    /// A concurrency slot may be free.
    TrySlot,
    /// The node has started again: do again what is outstanding.
    Recover,
    /// Somebody wants to see the newest state.
    Peek(oneshot::Sender<State>),
}

impl Mail {
    /// The execution that it asks for, where it does.
    pub fn beginning(&self) -> Option<&Execution> {
        match self {
            Self::Event(event) => match &**event {
                Event::Start { execution } => Some(execution),
                _ => None,
            },
            Self::Replay(replaying) => Some(&replaying.execution),
            Self::TrySlot | Self::Recover | Self::Peek(_) => None,
        }
    }
}

/// What a replay begins with.
pub struct Replaying {
    /// The state of the execution that is replayed.
    pub source: State,
    /// The new one.
    pub execution: Execution,
    /// The task run of the other to go on from; `None`: what failed in it.
    pub from: Option<TaskRunId>,
}

/// Mail with what belongs to it.
pub struct Envelope {
    pub mail: Mail,
    /// The stored message it came from: drained in the commit that takes it in.
    pub drain: Option<MessageKey>,
    /// A name that only this execution may have, taken in the same commit.
    pub take: Option<UniqueKey>,
    /// What the task run that it ends leaves, written in the same commit if it ends well.
    pub keeps: Option<Arc<Kept>>,
    /// Told when the commit is made (not yet durable), or why there is none.
    pub reply: Option<oneshot::Sender<Result<Told, Error>>>,
}

/// What a sender is told once its mail is taken in.
pub struct Told {
    /// The commit that took it in; not yet durable perhaps.
    pub lsn: Lsn,
    /// What the execution was right after it, whatever has happened since.
    pub state: State,
}

impl Envelope {
    pub fn new(mail: Mail) -> Self {
        Self { mail, drain: None, take: None, keeps: None, reply: None }
    }

    /// Whether it is what an execution begins with.
    pub fn starts(&self) -> bool {
        self.mail.beginning().is_some()
    }

    pub fn event(event: Event) -> Self {
        Self::new(Mail::Event(Box::new(event)))
    }
}

/// The mailboxes of the executions that are in memory.
#[derive(Default)]
pub struct Mailboxes {
    boxes: Mutex<BTreeMap<ExecutionId, mpsc::Sender<Envelope>>>,
}

impl Mailboxes {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ExecutionId, mpsc::Sender<Envelope>>> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many executions are in memory.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Lets every owner end when it has read its mail.
    pub fn close(&self) {
        self.lock().clear();
    }
}

impl Node {
    /// Puts mail into an execution's mailbox, bringing it into memory where it is not.
    pub(crate) fn post(self: &Arc<Self>, id: &ExecutionId, envelope: Envelope) {
        let mut boxes = self.mailboxes.lock();
        let envelope = match boxes.get(id) {
            None => envelope,
            Some(sender) => match sender.try_send(envelope) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Closed(envelope)) => envelope,
                Err(mpsc::error::TrySendError::Full(envelope)) => {
                    let (sender, node, id) = (sender.clone(), self.clone(), id.clone());
                    self.tasks.spawn(async move {
                        if let Err(mpsc::error::SendError(envelope)) = sender.send(envelope).await {
                            node.post(&id, envelope);
                        }
                    });
                    return;
                }
            },
        };
        let (sender, receiver) = mpsc::channel(MAIL_WAITING);
        if sender.try_send(envelope).is_err() {
            unreachable!("a new mailbox has room");
        }
        boxes.insert(id.clone(), sender);
        drop(boxes);
        let (node, id) = (self.clone(), id.clone());
        self.tasks.spawn(async move { node.own(id, receiver).await });
    }

    /// Puts an event into a mailbox and waits for the commit that takes it in.
    pub(crate) async fn tell(self: &Arc<Self>, id: &ExecutionId, event: Event) -> Result<Told, Error> {
        self.tell_and_take(id, event, None).await
    }

    /// As [`Node::tell`]; the same commit takes a unique key, or nothing is done.
    pub(crate) async fn tell_and_take(
        self: &Arc<Self>,
        id: &ExecutionId,
        event: Event,
        take: Option<UniqueKey>,
    ) -> Result<Told, Error> {
        self.send(id, Envelope { take, ..Envelope::event(event) }).await
    }

    /// Begins an execution with what another had, and waits for the commit.
    pub(crate) async fn tell_replay(self: &Arc<Self>, replaying: Replaying) -> Result<Told, Error> {
        let id = replaying.execution.id.clone();
        self.send(&id, Envelope::new(Mail::Replay(Box::new(replaying)))).await
    }

    async fn send(self: &Arc<Self>, id: &ExecutionId, envelope: Envelope) -> Result<Told, Error> {
        let (reply, answer) = oneshot::channel();
        self.post(id, Envelope { reply: Some(reply), ..envelope });
        answer.await.map_err(|_| Error::Store("the execution's owner ended before it answered".to_owned()))?
    }

    /// As [`Node::tell`]; if the event ends a task run well, the same commit keeps what the run wrote.
    pub(crate) async fn tell_and_keep(
        self: &Arc<Self>,
        id: &ExecutionId,
        event: Event,
        keeps: Option<Arc<Kept>>,
    ) -> Result<Told, Error> {
        let (reply, answer) = oneshot::channel();
        self.post(id, Envelope { reply: Some(reply), keeps, ..Envelope::event(event) });
        answer.await.map_err(|_| Error::Store("the execution's owner ended before it answered".to_owned()))?
    }

    /// The newest state of an execution, not yet durable perhaps.
    pub(crate) async fn peek(self: &Arc<Self>, id: &ExecutionId) -> Option<State> {
        let (reply, answer) = oneshot::channel();
        self.post(id, Envelope::new(Mail::Peek(reply)));
        answer.await.ok()
    }

    /// Hands a stored message to its execution.
    pub(crate) fn deliver(self: &Arc<Self>, message: &rows::Message) {
        let rows::Target::Execution(id) = &message.key.to else { return };
        match message.body.read::<Event>() {
            Ok(event) => {
                let drain = Some(message.key.clone());
                self.post(id, Envelope { drain, ..Envelope::event(event) });
            }
            Err(error) => tracing::error!(message = %message.key.unique, %error, "a stored message cannot be read"),
        }
    }

    /// The life of one owner.
    async fn own(self: Arc<Self>, id: ExecutionId, mut receiver: mpsc::Receiver<Envelope>) {
        let mut owner = Owner::new(self.clone(), id.clone());
        let mut mail = Vec::new();
        loop {
            if !mail.is_empty() {
                // The store did not take it. It is offered again, with what has come since, until it does or the node ends.
                if self.is_ending() {
                    return;
                }
                tokio::time::sleep(STORE_AGAIN).await;
                while mail.len() < MAIL_PER_TURN
                    && let Ok(envelope) = receiver.try_recv()
                {
                    mail.push(envelope);
                }
                mail = owner.turn(mail).await;
                continue;
            }
            let received = tokio::time::timeout(IDLE, receiver.recv_many(&mut mail, MAIL_PER_TURN)).await;
            match received {
                Ok(0) => return,
                Ok(_) => mail = owner.turn(std::mem::take(&mut mail)).await,
                Err(_) => {
                    let mut boxes = self.mailboxes.lock();
                    // Mail is put in under this lock: an empty box stays empty until it is out of the table.
                    if receiver.is_empty() {
                        boxes.remove(&id);
                        return;
                    }
                }
            }
            if mail.is_empty() && owner.is_done() {
                let mut boxes = self.mailboxes.lock();
                if receiver.is_empty() {
                    boxes.remove(&id);
                    return;
                }
            }
        }
    }
}

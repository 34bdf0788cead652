//! What can be wrong with a server, and when it is: set while it runs, looked up for every request.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::requests::{Seen, Service, Step};

/// Something that is done by a server on the way.
#[derive(Clone)]
pub struct Action(pub Arc<dyn Fn() + Send + Sync>);

impl Action {
    pub fn new(action: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(action))
    }
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Action")
    }
}

/// What an answer to `fetch` goes on with until nobody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// A pack of zeros, which is wrong from its first object on.
    Zeros,
    /// A pack of one object that is in order as far as it goes: a blob of zeros, not deflated.
    Blob,
    /// Messages for people, and never a pack.
    Progress,
}

/// What is wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    // Instead of an answer.
    /// A status with a line of text.
    Status(u16),
    /// 301 to the same path below another address of a repository.
    Redirect(String),
    /// 200 with a page where one logs in.
    Html,
    /// A server of files alone, which knows nothing of services.
    Dumb,
    /// Git's own answer of an older protocol, 0 or 1, whatever was asked for.
    Protocol(u8),
    /// An answer to `fetch` that does not end.
    Endless(Endless),
    /// This pack, whatever was asked for.
    Pack(Arc<Vec<u8>>),
    /// Every reference that is pushed is refused (`ng`) for this reason; nothing is written.
    Reject(String),
    /// The pack that is pushed could not be unpacked, for this reason; nothing is written.
    UnpackFailed(String),
    // With git's answer.
    /// A hook `pre-receive` that says this and refuses.
    Hook(String),
    /// Done before git looks at a push.
    BeforePush(Action),
    /// The connection breaks after so many bytes of the body.
    Cut(u64),
    /// The body ends after so many bytes as if that were all.
    Short(u64),
    /// A byte of the pack is another one, counted from the pack's first.
    Flip(u64),
    /// Every byte comes alone.
    Drip,
    /// No answer before [`super::Server::release`].
    HangBefore,
    /// No more of it after so many bytes of the body, before [`super::Server::release`].
    Hang(u64),
}

/// Which requests a fault is for: all that fit, from one of them on, so many times.
#[derive(Clone, Debug, Default)]
pub struct When {
    step: Option<Step>,
    service: Option<Service>,
    repository: Option<String>,
    skip: usize,
    times: Option<usize>,
}

impl When {
    /// Always.
    pub fn always() -> Self {
        Self::default()
    }

    /// At a step.
    pub fn at(step: Step) -> Self {
        Self { step: Some(step), ..Self::default() }
    }

    /// Of one service.
    pub fn of(self, service: Service) -> Self {
        Self { service: Some(service), ..self }
    }

    /// Of one repository, `name.git`.
    pub fn with(self, repository: &str) -> Self {
        Self { repository: Some(repository.to_owned()), ..self }
    }

    /// At the n-th that fits, counted from 1, and only then. Those that are refused for their credentials count.
    pub fn nth(self, n: usize) -> Self {
        Self { skip: n.saturating_sub(1), times: Some(1), ..self }
    }

    /// At the next so many that fit.
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    fn fits(&self, seen: &Seen) -> bool {
        self.step.is_none_or(|step| step == seen.step)
            && self.service.is_none_or(|service| Some(service) == seen.service)
            && self.repository.as_ref().is_none_or(|repository| *repository == seen.repository)
    }
}

/// The faults a server has.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Standing>>);

struct Standing {
    when: When,
    fault: Fault,
    /// How many requests have fitted.
    met: usize,
}

impl Faults {
    pub fn add(&self, when: When, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Standing { when, fault, met: 0 });
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Those that a request meets, in the order in which they were set.
    pub fn due(&self, seen: &Seen) -> Vec<Fault> {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for fault in standing.iter_mut().filter(|fault| fault.when.fits(seen)) {
            let at = fault.met;
            fault.met += 1;
            let is_over = fault.when.times.is_some_and(|times| at >= fault.when.skip.saturating_add(times));
            if at >= fault.when.skip && !is_over {
                due.push(fault.fault.clone());
            }
        }
        due
    }
}

/// Where answers hang.
#[derive(Clone)]
pub(super) struct Gate {
    /// How many have come to hang.
    hung: Arc<watch::Sender<usize>>,
    /// How often they were let go.
    released: Arc<watch::Sender<u64>>,
    ended: watch::Receiver<bool>,
}

impl Gate {
    pub fn new(ended: watch::Receiver<bool>) -> Self {
        Self { hung: Arc::new(watch::Sender::new(0)), released: Arc::new(watch::Sender::new(0)), ended }
    }

    /// Waits until somebody lets go, or the server ends.
    pub async fn pass(&self) {
        let (mut released, mut ended) = (self.released.subscribe(), self.ended.clone());
        self.hung.send_modify(|hung| *hung += 1);
        tokio::select! {
            _ = released.changed() => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }

    pub fn release(&self) {
        self.released.send_modify(|released| *released += 1);
    }

    /// Waits until so many have come to hang.
    pub async fn hung(&self, count: usize) {
        let mut hung = self.hung.subscribe();
        // The sender is ours.
        let _ = hung.wait_for(|hung| *hung >= count).await;
    }
}

//! An execution whose commands are left to the test: what a simulated world answers at once is answered late, twice or not at all.

use engine::{Command, Decision, Event, JobId, Outcome, Rejected, State, decide};
use expr::{Map, Value};
use jiff::Timestamp;
use model::change::Change;
use model::ids::TaskId;

use crate::{shown_state, world};

pub struct Hand {
    pub state: State,
    pub now: Timestamp,
    /// Commands that nobody has carried out yet, in the order they were given.
    pub left: Vec<Command>,
}

impl Hand {
    pub fn new(body: &str) -> Self {
        let mut sim = world(body);
        let id = sim.start("test", "main", Map::new());
        let (state, now) = (sim.state(&id).clone(), sim.now);
        sim.run_while(|_| false);
        let Some(Change::Created { execution }) = sim.changes(&id).first().cloned() else {
            panic!("the first change creates the execution")
        };
        let mut hand = Self { state, now, left: Vec::new() };
        hand.send(Event::Start { execution }).unwrap();
        hand
    }

    pub fn send(&mut self, event: Event) -> Result<(), Rejected> {
        let Decision { changes, commands } = decide(&self.state, event, self.now)?;
        changes.iter().for_each(|change| self.state.apply(change));
        self.left.extend(commands);
        Ok(())
    }

    /// The first command of a kind, which is no longer left.
    pub fn take<T>(&mut self, wanted: impl Fn(&Command) -> Option<T>) -> Option<T> {
        let (index, found) =
            self.left.iter().enumerate().find_map(|(index, command)| Some((index, wanted(command)?)))?;
        self.left.remove(index);
        Some(found)
    }

    /// How many commands of a kind are left.
    pub fn count(&self, wanted: impl Fn(&Command) -> bool) -> usize {
        self.left.iter().filter(|command| wanted(command)).count()
    }

    /// Answers the first render with what its templates say.
    pub fn render(&mut self) {
        let (id, values) = self
            .take(|command| match command {
                Command::Render { id, templates, .. } => Some((
                    id.clone(),
                    templates.iter().map(|(name, value, _)| ((*name).into(), value.clone())).collect(),
                )),
                _ => None,
            })
            .unwrap();
        self.send(Event::Rendered { id, result: Ok(values) }).unwrap();
    }

    /// A worker takes the job of a task.
    pub fn begin(&mut self, name: &str) -> JobId {
        let wanted = TaskId::trusted(name);
        let job = self.take(|command| match command {
            Command::Run { job, task, .. } if *task == wanted => Some(job.clone()),
            _ => None,
        });
        let job = job.unwrap();
        self.send(Event::TaskStarted { job: job.clone(), epoch: 1 }).unwrap();
        job
    }

    pub fn end(&mut self, job: JobId, end: engine::End) {
        self.send(Event::TaskEnded { job, epoch: 1, outcome: Outcome { end, outputs: Value::Null } }).unwrap();
    }

    pub fn shown(&self) -> String {
        shown_state(&self.state)
    }
}

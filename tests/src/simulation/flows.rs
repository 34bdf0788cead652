//! The flows of a world, drawn by its dice: every kind of flow control, over fake tasks whose properties say how they go. A flow calls only
//! flows drawn before it, so that nothing calls itself.

use jiff::Timestamp;
use model::ids::{FlowId, FlowKey, Namespace, TENANT};
use serde_json::{Map, Value, json};

use super::EPOCH_S;
use super::clients::CALL;
use super::dice::Dice;

pub const NAMESPACE: &str = "sim";
/// Flows of one world.
const FLOWS: u64 = 4;
/// In how many seconds all dates of triggers come.
const TRIGGERS_S: u64 = 40;
/// Tasks of one flow, those within others included.
const TASKS: u64 = 9;
/// How deep tasks are within others.
const DEPTH: u32 = 3;
/// What plugin tasks have in front of their kind's name.
pub const PREFIX: &str = "com.example.sim.";
/// Where the type names of the engine's own tasks begin.
const CORE: &str = "io.kestra.plugin.core.";

/// One flow.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub id: String,
    pub source: String,
    /// How many of it run at once, and what becomes of more.
    pub concurrency: Option<(u32, &'static str)>,
    pub trigger: Option<Fires>,
}

/// When a flow starts by itself. Its executions have the input 2, and a label that says what they are for.
#[derive(Clone, Debug)]
pub enum Fires {
    /// At these times.
    At(Vec<Timestamp>),
    /// When an execution of this flow has ended.
    After(String),
}

impl Fires {
    /// The input of the executions.
    pub const N: i64 = 2;
    /// What the label of one begins with, behind which stands its date or the execution it comes after.
    pub const AT: &'static str = "at ";
    pub const AFTER: &'static str = "after ";

    /// The trigger as a flow has it.
    fn written(&self, dice: &Dice) -> Value {
        let common = |label: &str, more: Value| {
            let mut trigger = json!({ "id": "by", "inputs": { "n": Self::N }, "labels": { CALL: label } });
            for (key, value) in more.as_object().into_iter().flatten() {
                trigger[key] = value.clone();
            }
            trigger
        };
        match self {
            Self::At(dates) => common(
                &format!("{}{{{{ trigger.date }}}}", Self::AT),
                json!({ "type": core("trigger.ScheduleOnDates"), "dates": dates.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "allowConcurrent": dice.percent(50) }),
            ),
            Self::After(flow) => common(
                &format!("{}{{{{ trigger.executionId }}}}", Self::AFTER),
                json!({ "type": core("trigger.Flow"),
                    "states": ["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED"],
                    "conditions": [{ "type": core("condition.ExecutionFlow"), "namespace": NAMESPACE, "flowId": flow }] }),
            ),
        }
    }
}

/// Gives some flows of a world a trigger. Drawn apart from the flows, so that these are the same without.
pub fn add_triggers(drawn: &mut [Drawn], dice: &Dice) {
    let ids: Vec<String> = drawn.iter().map(|flow| flow.id.clone()).collect();
    for (number, flow) in drawn.iter_mut().enumerate() {
        let fires = match dice.below(10) {
            0..4 => {
                let date = |_| {
                    Timestamp::from_second(EPOCH_S + dice.within(1, TRIGGERS_S) as i64).expect("within the calendar")
                };
                let mut dates: Vec<Timestamp> = (0..dice.within(1, 5)).map(date).collect();
                dates.sort_unstable();
                dates.dedup();
                Fires::At(dates)
            }
            // One that calls others might call the one it comes after, and so go round and round.
            4..6 if number > 0 && !flow.source.contains("flow.Subflow") => {
                Fires::After(dice.pick(ids.get(..number).unwrap_or_default()).clone())
            }
            _ => continue,
        };
        let mut source: Value = serde_yaml::from_str(&flow.source).expect("it was written a moment ago");
        source["triggers"] = json!([fires.written(dice)]);
        flow.source = serde_yaml::to_string(&source).expect("a flow of texts and numbers can be written");
        flow.trigger = Some(fires);
    }
}

impl Drawn {
    /// Its key in the store.
    pub fn key(&self) -> FlowKey {
        FlowKey {
            tenant: TENANT.into(),
            namespace: Namespace::trusted(NAMESPACE),
            id: FlowId::trusted(self.id.as_str()),
        }
    }
}

/// The flows of a world.
pub fn draw(dice: &Dice) -> Vec<Drawn> {
    let mut drawn: Vec<Drawn> = Vec::new();
    let mut next = 0;
    for number in 0..dice.within(1, FLOWS + 1) {
        let id = format!("f{number}");
        // What others call must not be refused a slot: what becomes of them would hang on the time.
        let callable = drawn.iter().filter(|flow| flow.concurrency.is_none_or(|(_, over)| over == "QUEUE"));
        let callable: Vec<String> = callable.map(|flow| flow.id.clone()).collect();
        // Task ids are unique in the whole world: the oracle's scripts go by them.
        let mut drawing = Drawing { dice, callable, next, left: dice.within(1, TASKS + 1), units: true };
        drawn.push(drawing.flow(&id));
        next = drawing.next;
    }
    drawn
}

struct Drawing<'a> {
    dice: &'a Dice,
    callable: Vec<String>,
    next: u32,
    left: u64,
    /// A unit that is tried again runs its tasks again as they were: such flows have none, so that an effect that comes twice is told.
    units: bool,
}

impl Drawing<'_> {
    fn flow(&mut self, id: &str) -> Drawn {
        let mut flow = Map::new();
        let mut set = |key: &str, value: Value| drop(flow.insert(key.to_owned(), value));
        set("id", json!(id));
        set("namespace", json!(NAMESPACE));
        set("inputs", json!([{ "id": "n", "type": "INT", "defaults": 0 }]));
        let concurrency = self.dice.percent(30).then(|| {
            let over = *self.dice.pick(&["QUEUE", "QUEUE", "QUEUE", "CANCEL", "FAIL"]);
            (self.dice.within(1, 3) as u32, over)
        });
        if let Some((limit, over)) = concurrency {
            set("concurrency", json!({ "limit": limit, "behavior": over }));
        }
        if self.dice.percent(8) {
            let behavior = *self.dice.pick(&["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION", "CREATE_NEW_EXECUTION"]);
            set("retry", json!({ "type": "constant", "interval": "PT2S", "maxAttempts": 3, "behavior": behavior }));
            self.units = behavior != "RETRY_FAILED_TASK";
        }
        if self.dice.percent(10) {
            set("sla", json!([{ "id": "long", "type": "MAX_DURATION", "duration": "PT5H", "behavior": "FAIL" }]));
        }
        set("tasks", self.tasks(0));
        if self.dice.percent(20) {
            set("errors", json!([self.work()]));
        }
        if self.dice.percent(20) {
            set("finally", json!([self.work()]));
        }
        if self.dice.percent(15) {
            let after = if self.dice.percent(30) { self.sleep() } else { self.work() };
            set("afterExecution", json!([after]));
        }
        if self.dice.percent(15) {
            set("outputs", json!([{ "id": "shown", "type": "STRING", "value": "{{ flow.id }}-{{ inputs.n }}" }]));
        }
        let source = serde_yaml::to_string(&flow).expect("a flow of texts and numbers can be written");
        Drawn { id: id.to_owned(), source, concurrency, trigger: None }
    }

    fn id(&mut self, letter: char) -> String {
        self.next += 1;
        format!("{letter}{}", self.next)
    }

    fn tasks(&mut self, depth: u32) -> Value {
        let count = self.dice.within(1, 4);
        Value::Array((0..count).map(|_| self.task(depth)).collect())
    }

    fn task(&mut self, depth: u32) -> Value {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || depth >= DEPTH {
            return self.work();
        }
        let mut task = match self.dice.below(22) {
            0..8 => return self.work(),
            8 => json!({ "id": self.id('q'), "type": core("flow.Sequential"), "tasks": self.tasks(depth + 1) }),
            9 | 10 => json!({ "id": self.id('p'), "type": core("flow.Parallel"), "concurrent": self.dice.below(3),
                "tasks": self.tasks(depth + 1) }),
            11 => json!({ "id": self.id('i'), "type": core("flow.If"), "condition": self.condition(),
                "then": self.tasks(depth + 1), "else": self.tasks(depth + 1) }),
            12 | 13 => json!({ "id": self.id('e'), "type": core("flow.ForEach"), "values": self.values(),
                "concurrencyLimit": self.dice.below(3), "tasks": self.tasks(depth + 1) }),
            14 => self.sleep(),
            15 => self.pause(),
            16 => self.subflow(),
            17 if self.units => self.unit(),
            18 => json!({ "id": self.id('a'), "type": core("flow.AllowFailure"), "tasks": self.tasks(depth + 1) }),
            19 => json!({ "id": self.id('x'), "type": core("flow.Switch"), "value": "{{ inputs.n }}",
                "cases": { "1": self.tasks(depth + 1), "3": self.tasks(depth + 1) }, "defaults": [self.work()] }),
            20 => self.dag(),
            _ => self.act(),
        };
        if self.dice.percent(8) {
            task["runIf"] = self.condition();
        }
        if self.dice.percent(8) {
            task["allowFailure"] = json!(true);
        }
        task
    }

    /// A plugin's task.
    fn work(&mut self) -> Value {
        let kind = *self.dice.pick(&["Pure", "Same", "Again", "Once"]);
        let mut task = self.plain_work(kind);
        let hangs = if self.dice.percent(6) { self.dice.within(1, 3) } else { 0 };
        if hangs > 0 {
            task["hangs"] = json!(hangs);
        }
        if hangs > 0 || self.dice.percent(10) {
            task["timeout"] = json!("PT30S");
        }
        if self.dice.percent(25) {
            let interval = format!("PT{}S", self.dice.within(1, 6));
            task["retry"] = json!({ "type": "constant", "interval": interval, "maxAttempts": self.dice.within(2, 4) });
        }
        if self.dice.percent(8) {
            task["runIf"] = self.condition();
        }
        task
    }

    fn plain_work(&mut self, kind: &str) -> Value {
        let fails = if self.dice.percent(15) { self.dice.within(1, 4) } else { 0 };
        let mut task = json!({
            "id": self.id('t'),
            "type": format!("{PREFIX}{kind}"),
            "takes": self.dice.spread(4_000),
            "note": "{{ flow.id }} {{ taskrun.id }}",
        });
        if fails > 0 {
            task["fails"] = json!(fails);
        }
        if self.dice.percent(20) {
            task["lines"] = json!(self.dice.within(1, 4));
        }
        if self.dice.percent(8) {
            task["allowFailure"] = json!(true);
        }
        if self.dice.percent(4) {
            task["disabled"] = json!(true);
        }
        task
    }

    fn condition(&self) -> Value {
        json!(*self.dice.pick(&["{{ inputs.n > 2 }}", "{{ inputs.n < 4 }}", "{{ true }}", "{{ inputs.n == 3 }}"]))
    }

    fn values(&self) -> Value {
        match self.dice.below(8) {
            0 => json!([]),
            1 => json!("{{ [1, 2, 3] }}"),
            2 => json!(["a", "b", "c", "d", "e", "f"]),
            3 => json!(["a", "a"]),
            _ => json!(["a", "b"]),
        }
    }

    fn sleep(&mut self) -> Value {
        json!({ "id": self.id('s'), "type": core("flow.Sleep"), "duration": format!("PT{}S", self.dice.within(1, 9)) })
    }

    fn pause(&mut self) -> Value {
        let behavior = *self.dice.pick(&["RESUME", "RESUME", "WARN", "FAIL", "CANCEL"]);
        let mut pause = json!({ "id": self.id('z'), "type": core("flow.Pause"), "behavior": behavior,
            "pauseDuration": format!("PT{}S", self.dice.within(1, 9)) });
        if self.dice.percent(30) {
            pause["tasks"] = json!([self.work()]);
        }
        if self.dice.percent(20) {
            pause["timeout"] = json!("PT3H");
        }
        pause
    }

    fn subflow(&mut self) -> Value {
        let Some(flow) = (!self.callable.is_empty()).then(|| self.dice.pick(&self.callable).clone()) else {
            return self.work();
        };
        let mut task = json!({ "id": self.id('c'), "type": core("flow.Subflow"), "namespace": NAMESPACE, "flowId": flow,
            "inputs": { "n": "{{ inputs.n }}" } });
        task["wait"] = json!(self.dice.percent(80));
        task["transmitFailed"] = json!(self.dice.percent(70));
        if self.dice.percent(20) {
            task["retry"] = json!({ "type": "constant", "interval": "PT3S", "maxAttempts": 2 });
        }
        task
    }

    /// A WorkingDirectory. Its tasks have ids of their own kind: a lost unit begins anew, and they with it.
    fn unit(&mut self) -> Value {
        let kinds = ["Pure", "Same", "Again", "Once"];
        let id = self.id('u');
        let tasks: Vec<Value> = (0..self.dice.within(1, 4))
            .map(|_| {
                let kind = *self.dice.pick(&kinds);
                let mut task = self.plain_work(kind);
                task["id"] = json!(self.id('w'));
                task
            })
            .collect();
        json!({ "id": id, "type": core("flow.WorkingDirectory"), "tasks": tasks })
    }

    fn dag(&mut self) -> Value {
        let (first, second, third) = (self.work(), self.work(), self.work());
        let on = |task: &Value| task.get("id").cloned().unwrap_or_default();
        let last = json!([on(&first), on(&second)]);
        json!({ "id": self.id('d'), "type": core("flow.Dag"), "tasks": [
            { "task": third, "dependsOn": last },
            { "task": first },
            { "task": second },
        ] })
    }

    fn act(&mut self) -> Value {
        match self.dice.below(2) {
            0 => json!({ "id": self.id('l'), "type": core("execution.Labels"), "labels": { "made": "{{ flow.id }}" } }),
            _ => {
                json!({ "id": self.id('v'), "type": core("execution.SetVariables"), "variables": { "x": "{{ inputs.n }}" } })
            }
        }
    }
}

fn core(name: &str) -> String {
    format!("{CORE}{name}")
}

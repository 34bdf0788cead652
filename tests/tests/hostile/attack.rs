//! An attack as data: what is tried under which policy, how it must end, and the twin that differs in one thing and succeeds.

/// One way out that is tried.
#[derive(Clone, Copy)]
pub struct Attack {
    pub name: &'static str,
    /// The last part of the task type of `tests/guests/hostile`.
    pub task: &'static str,
    /// Its property `with`. `{open}` and the like stand for what only a run knows (`Given`).
    pub with: &'static [&'static str],
    /// What the policy opens to the plugin there, beside `profile: strict`.
    pub policy: &'static str,
    /// More of the task, as YAML in one line.
    pub more: &'static str,
    pub end: End,
    /// What the message must say.
    pub words: &'static [&'static str],
    pub twin: Twin,
}

/// How an attack ends.
#[derive(Clone, Copy)]
pub enum End {
    /// The task fails with this code.
    Failed(&'static str),
    /// It goes on, and what it did too much of is cut off: the log says the words.
    CutOff,
}

/// What differs from the attack. Everything else is the same.
#[derive(Clone, Copy)]
pub enum Twin {
    /// This line is added where the refusal says; the refusal must say both.
    Line(&'static str),
    /// The same, and what was refused comes to the next thing that says no, in words of its own.
    Past(&'static str, &'static str),
    /// This policy.
    Policy(&'static str),
    /// This input.
    With(&'static [&'static str]),
    /// More of the task.
    More(&'static str),
    /// The nearest thing that is allowed.
    Task(&'static str, &'static [&'static str]),
}

/// An attack that is still to be told how it ends.
pub const fn attack(name: &'static str, task: &'static str, with: &'static [&'static str]) -> Attack {
    Attack { name, task, with, policy: "", more: "", end: End::CutOff, words: &[], twin: Twin::With(&[]) }
}

impl Attack {
    pub const fn under(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }

    pub const fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    pub const fn fails(self, code: &'static str, words: &'static [&'static str]) -> Self {
        Self { end: End::Failed(code), words, ..self }
    }

    /// Goes on without what is too much.
    pub const fn cut(self, words: &'static [&'static str]) -> Self {
        Self { end: End::CutOff, words, ..self }
    }

    pub const fn twin(self, twin: Twin) -> Self {
        Self { twin, ..self }
    }

    /// The namespace of the attack.
    pub fn namespace(&self) -> String {
        format!("hostile.a.{}", self.name)
    }

    /// The namespace of its twin.
    pub fn twin_namespace(&self) -> String {
        format!("hostile.t.{}", self.name)
    }

    /// The task, the input and more of the twin's task.
    pub fn twin_task(&self) -> (&'static str, &'static [&'static str], &'static str) {
        match self.twin {
            Twin::With(with) => (self.task, with, self.more),
            Twin::More(more) => (self.task, self.with, more),
            Twin::Task(task, with) => (task, with, self.more),
            Twin::Line(_) | Twin::Past(..) | Twin::Policy(_) => (self.task, self.with, self.more),
        }
    }

    /// What the policy file says of both namespaces.
    pub fn policy(&self) -> String {
        let section = |policy: &str| match policy.is_empty() {
            true => "{profile: strict}".to_owned(),
            false => format!("{{profile: strict, {policy}}}"),
        };
        let every = section(match self.twin {
            Twin::Policy(other) => other,
            _ => self.policy,
        });
        let added = match self.twin {
            Twin::Line(line) | Twin::Past(line, _) => format!(", hostile: {{{line}}}"),
            _ => String::new(),
        };
        format!(
            "  {}: {{plugins: {{\"*\": {}}}}}\n  {}: {{plugins: {{\"*\": {every}{added}}}}}\n",
            self.namespace(),
            section(self.policy),
            self.twin_namespace()
        )
    }
}

/// A flow of one task that tries something.
pub fn flow(namespace: &str, task: &str, with: &[&str], more: &str) -> String {
    let with = serde_json::json!(with);
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    format!(
        "id: tries\nnamespace: {namespace}\ntasks:\n  - {{id: t, type: com.example.hostile.{task}, with: {with}{more}}}\n"
    )
}

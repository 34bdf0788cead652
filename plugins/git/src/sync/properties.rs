//! Properties that several tasks have.

use serde_json::Value;
use sluice_sdk::objects;
use sluice_sdk::prelude::*;

use super::plan::Missing;
use super::pulling::Invalid;
use super::report::Report;
use crate::failures::{self, fault};
use crate::objects::commit::Author;
use glob::Glob;

/// Writes the struct of a task's properties: those of access, its own, and those that flows for Kestra have and that mean nothing here. With `acting`, the
/// user in `auth` means something.
macro_rules! properties_of_engine {
    (acting $(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $crate::access::properties_of_access! {
            $(#[$meta])*
            pub struct $name {
                $($own)*
                /// Taken, and nothing follows from it: submodules are never kept in step.
                #[unused]
                clone_submodules: Option<bool>,
                /// Taken, and nothing follows from it: the engine is the one that runs this flow.
                #[unused]
                kestra_url: Option<String>,
            }
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $crate::sync::properties::properties_of_engine! {
            acting
            $(#[$meta])*
            pub struct $name {
                $($own)*
                /// Taken, and nothing follows from it: what the flow may reach is what counts.
                #[unused]
                auth: Option<$crate::sync::properties::Auth>,
            }
        }
    };
}
pub(crate) use properties_of_engine;

/// Writes the struct of a task that pushes: its own properties, and how it commits.
macro_rules! properties_of_push {
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $crate::sync::properties::properties_of_engine! {
            $(#[$meta])*
            pub struct $name {
                /// The branch; it is made if it is not there.
                #[default("main")]
                branch: String,
                $($own)*
                /// Whether nothing is pushed and only the diff is made.
                #[default(false)]
                dry_run: bool,
                /// How a dry run ends that finds something to do.
                #[default(crate::sync::properties::OnDrift::Warning)]
                on_drift: crate::sync::properties::OnDrift,
                /// The message of the commit.
                commit_message: Option<String>,
                /// The author's address.
                author_email: Option<String>,
                /// The author's name. Without it: `username`.
                author_name: Option<String>,
            }
        }

        impl $name {
            /// How it commits, with this message if the task says none.
            fn commit<'a>(&'a self, usual: &'a str) -> $crate::sync::pushing::Commit<'a> {
                let who = [&self.author_name, &self.author_email, &self.username].map(Option::as_deref);
                $crate::sync::pushing::Commit {
                    author: $crate::sync::properties::author(who[0], who[1], who[2]),
                    message: self.commit_message.as_deref().unwrap_or(usual),
                    dry: self.dry_run.then_some(self.on_drift),
                }
            }
        }
    };
}
pub(crate) use properties_of_push;

/// Which side is right where they differ.
#[properties]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SourceOfTruth {
    /// The repository: the engine is changed.
    Git,
    /// The engine: the repository is changed.
    Kestra,
}

/// What becomes of what the source of truth does not have.
#[properties]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum WhenMissing {
    /// It is deleted on the other side.
    Delete,
    /// It stays.
    Keep,
    /// The task fails and changes nothing.
    Fail,
}

/// What becomes of a flow or document of the repository that is not valid.
#[properties]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnInvalid {
    /// It is left out.
    Skip,
    /// It is left out, with a warning.
    Warn,
    /// The task fails and changes nothing.
    Fail,
}

/// How a dry run ends that finds something to do.
#[properties]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnDrift {
    /// SUCCESS.
    Success,
    /// WARNING.
    Warning,
    /// FAILED, with the code `GIT_DRIFT`.
    Fail,
}

/// Who asks the server for its own things.
#[properties]
pub struct Auth {
    /// A token.
    #[secret]
    api_token: Option<String>,
    /// A user.
    username: Option<String>,
    /// The user's password.
    #[secret]
    password: Option<String>,
    /// Taken, and nothing follows from it: without credentials, whoever runs a server without login is asked.
    #[unused]
    auto: Option<bool>,
}

impl From<WhenMissing> for Missing {
    fn from(written: WhenMissing) -> Self {
        match written {
            WhenMissing::Delete => Self::Delete,
            WhenMissing::Keep => Self::Keep,
            WhenMissing::Fail => Self::Fail,
        }
    }
}

impl From<OnInvalid> for Invalid {
    fn from(written: OnInvalid) -> Self {
        match written {
            OnInvalid::Skip => Self::Skip,
            OnInvalid::Warn => Self::Warn,
            OnInvalid::Fail => Self::Fail,
        }
    }
}

impl Auth {
    /// Has the run reach what this user may reach.
    pub fn act(auth: Option<&Self>) -> Result<(), Failure> {
        let mut user = serde_json::Map::new();
        if let Some(auth) = auth {
            for (name, value) in
                [("apiToken", &auth.api_token), ("username", &auth.username), ("password", &auth.password)]
            {
                if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                    user.insert(name.to_owned(), Value::from(value.as_str()));
                }
            }
        }
        objects::act_as(&Value::Object(user))
    }
}

/// Who a commit is by.
pub fn author(name: Option<&str>, email: Option<&str>, username: Option<&str>) -> Author {
    let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    Author {
        name: given(name).or_else(|| given(username)).unwrap_or_else(|| "Sluice".to_owned()),
        email: given(email).unwrap_or_else(|| "sluice@localhost".to_owned()),
    }
}

/// Patterns, as one text or several.
pub fn patterns(property: &str, written: Option<&Value>) -> Result<Vec<Glob>, Failure> {
    let texts: Vec<&str> = match written {
        None | Some(Value::Null) => vec!["**"],
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect()
        }
        Some(_) => return Err(Failure::bad_property(format!("`{property}` is a pattern or a list of patterns"))),
    };
    texts
        .into_iter()
        .map(|text| Glob::anywhere(text).map_err(|why| Failure::bad_property(format!("`{property}`: {why}"))))
        .collect()
}

/// Whether one of the patterns fits.
pub fn fits(patterns: &[Glob], path: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(path))
}

/// The namespace that a task is for: the flow's own unless it says another.
pub fn namespace(written: Option<&str>, cx: &Context) -> String {
    match written.map(str::trim).filter(|text| !text.is_empty()) {
        Some(name) => name.to_owned(),
        None => cx.get("flow.namespace").unwrap_or_default(),
    }
}

/// The end of a dry run: drift is something that a schedule can tell people of.
pub fn end_of_dry_run(report: &Report, on_drift: OnDrift, cx: &Context) -> Result<(), Failure> {
    let changes = report.changes();
    match on_drift {
        OnDrift::Warning if changes > 0 => cx.end_in_warning(),
        OnDrift::Fail if changes > 0 => {
            let message =
                format!("the two sides are not in step: {changes} things differ; hint: run the task without `dryRun`");
            return Err(fault(failures::DRIFT, message));
        }
        _ => {}
    }
    Ok(())
}

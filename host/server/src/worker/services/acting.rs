//! As whom a run acts: as its flow, or, once it has shown the credentials of a user, for the whole tenant. What the run is granted stays the
//! same, and no credentials are kept, shown or logged.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use runtime::HostError;
use serde::Deserialize;

use super::{RunServices, refused};
use crate::access::Access;

/// How often one run may be wrong: it must not be a place to try passwords at.
const WRONG_MAX: u32 = 3;
/// What to do about a refusal.
const HINT: &str = "hint: give the task `auth` with `username` and `password` of this server";

/// As whom a run acts.
#[derive(Default)]
pub(super) struct Acting {
    user: AtomicBool,
    wrong: AtomicU32,
}

/// Who it wants to act as.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct User {
    username: Option<String>,
    password: Option<String>,
    api_token: Option<String>,
}

impl RunServices {
    /// Acts as a user from now on. What is to be said of it.
    pub(super) fn act_as(&self, user: &str) -> Result<String, HostError> {
        // What is wrong with it is not said: the words would quote it.
        let user: User = serde_json::from_str(user).map_err(|_| {
            HostError::bad_argument(
                "a user is a JSON object with `username` and `password`, or with `apiToken`, all of them texts",
            )
        })?;
        let access = &self.node.config.access;
        let told = match (access, user) {
            (Access::Open, _) => "this server asks for no login: this run has all rights of a user of it",
            (Access::Basic(_), User { username: Some(name), password: Some(password), .. }) => {
                self.shows(access, &name, &password)?;
                "this run has the rights of a user of this server"
            }
            (Access::Basic(_), User { api_token: Some(_), .. }) => {
                return Err(HostError::not_granted(format!("this server has no API tokens; {HINT}")));
            }
            (Access::Basic(_), _) => {
                return Err(HostError::not_granted(format!("this server asks for a login, and there is none; {HINT}")));
            }
        };
        self.acting.user.store(true, Ordering::Release);
        Ok(told.to_owned())
    }

    fn shows(&self, access: &Access, name: &str, password: &str) -> Result<(), HostError> {
        if self.acting.wrong.load(Ordering::Acquire) >= WRONG_MAX {
            return Err(HostError::not_granted(format!(
                "credentials were wrong {WRONG_MAX} times: this run tries no others"
            )));
        }
        if self.outgoing.shows(access, name, password)? {
            return Ok(());
        }
        self.acting.wrong.fetch_add(1, Ordering::AcqRel);
        Err(HostError::not_granted(format!("the credentials are not those of a user of this server; {HINT}")))
    }

    /// Whether it acts as a user.
    pub(super) fn is_user(&self) -> bool {
        self.acting.user.load(Ordering::Acquire)
    }

    /// Whether a namespace may be read and written.
    pub(super) fn reaches(&self, namespace: &str) -> bool {
        self.is_user() || self.reach.allows(namespace)
    }

    /// Whether a namespace may be read.
    pub(super) fn may_read(&self, namespace: &str) -> bool {
        self.is_user() || self.reach.may_read(namespace)
    }

    /// Leave to deal with a namespace; the empty one is that of documents without, which are everybody's.
    pub(super) fn must_reach(&self, namespace: &str) -> Result<(), HostError> {
        match self.reaches(namespace) {
            true => Ok(()),
            false if namespace.is_empty() => Err(self.not_a_user("what is in no namespace")),
            false => Err(refused(namespace)),
        }
    }

    /// The refusal of what only a user has.
    pub(super) fn not_a_user(&self, what: &str) -> HostError {
        HostError::not_granted(format!("{what} is for users of this server, and this run acts as none; {HINT}"))
    }
}

//! The codes of this plugin's failures, each with its own words. What went wrong on the way is told as the SDK's client told it.

use std::cell::RefCell;
use std::rc::Rc;

use sluice_sdk::Failure;

/// The address is none that can be reached over HTTP.
pub const URL: &str = "GIT_URL";
/// SSH is not spoken.
pub const SSH: &str = "GIT_SSH";
/// The server asks for other credentials.
pub const AUTH: &str = "GIT_AUTH";
/// The credentials are known and not enough.
pub const FORBIDDEN: &str = "GIT_FORBIDDEN";
/// There is no such repository, or nobody may know that there is.
pub const NOT_FOUND: &str = "GIT_NOT_FOUND";
/// The server has trouble of its own.
pub const SERVER: &str = "GIT_SERVER";
/// What answers is no Git server, or not as it should be.
pub const PROTOCOL: &str = "GIT_PROTOCOL";
/// The repository names its objects with another hash.
pub const OBJECT_FORMAT: &str = "GIT_OBJECT_FORMAT";
/// No branch of this name.
pub const BRANCH: &str = "GIT_BRANCH";
/// No tag of this name.
pub const TAG: &str = "GIT_TAG";
/// No commit of this name.
pub const COMMIT: &str = "GIT_COMMIT";
/// The repository has no commit at all.
pub const EMPTY: &str = "GIT_EMPTY";
/// More than a guest can hold.
pub const TOO_LARGE: &str = "GIT_TOO_LARGE";
/// Objects that are not what they say, or are not there.
pub const CORRUPT: &str = "GIT_CORRUPT";
/// A path that must not be written.
pub const PATH: &str = "GIT_PATH";
/// Something is in the way in the working directory.
pub const EXISTS: &str = "GIT_EXISTS";
/// There is no working directory.
pub const NO_DIRECTORY: &str = "NO_WORKING_DIRECTORY";
/// The branch has moved meanwhile.
pub const REJECTED: &str = "GIT_REJECTED";
/// The server does not take it.
pub const REFUSED: &str = "GIT_REFUSED";

/// What the source lacks must not be missing.
pub const MISSING: &str = "GIT_MISSING";
/// Everything would be deleted because the source is empty.
pub const DESTRUCTIVE: &str = "GIT_DESTRUCTIVE";
/// Somebody else has changed the same thing meanwhile, or two files are one thing.
pub const CONFLICT: &str = "GIT_CONFLICT";
/// A flow or document of the repository is not valid.
pub const INVALID: &str = "GIT_INVALID";
/// What the engine has in a protected namespace.
pub const PROTECTED: &str = "GIT_PROTECTED";
/// The two sides are not in step.
pub const DRIFT: &str = "GIT_DRIFT";

/// What a failure on the way was, before the layers in between made a text of it.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Rc<RefCell<Option<Failure>>>);

impl Trouble {
    /// Keeps a failure; the first one is the cause of those behind it.
    pub fn keep(&self, failure: Failure) {
        self.0.borrow_mut().get_or_insert(failure);
    }

    /// What was kept, or `other`.
    pub fn or(&self, other: impl FnOnce() -> Failure) -> Failure {
        self.0.borrow_mut().take().unwrap_or_else(other)
    }
}

/// A failure that another attempt does not mend.
pub fn fault(code: &str, message: impl Into<String>) -> Failure {
    Failure::new(code, message).retryable(false)
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

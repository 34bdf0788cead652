//! What can go wrong with something that is fetched from elsewhere, each with its stable code and what to do about it. Fetching itself is the
//! server's; this crate makes no connection.

use model::lock::Digest;
use semver::Version;

/// Why something that was asked for did not come, or is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("the server answered {0}")]
    Status(u16),
    #[error("nothing came for {seconds} s")]
    Stalled { seconds: u64 },
    #[error("it took longer than {seconds} s")]
    TooSlow { seconds: u64 },
    #[error("it ended after {got} of {size} bytes")]
    CutOff { got: u64, size: u64 },
    #[error("it has more than {limit} bytes")]
    TooLong { limit: u64 },
    #[error("its sha256 is {found}, and the index says {published}")]
    OtherBytes { found: Digest, published: Digest },
    #[error("it is plugin `{plugin}` {version} inside")]
    OtherPlugin { plugin: String, version: Version },
    /// `of`: the address that is not asked.
    #[error("`{of}` is not asked: only https is, and plain http on this machine")]
    NotAllowed { of: String },
    #[error("it was redirected more than {limit} times")]
    Redirects { limit: usize },
    #[error("it is no index: {0}")]
    BadIndex(String),
}

impl Fault {
    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "SOURCE_UNREACHABLE",
            Self::Status(_) => "SOURCE_STATUS",
            Self::Stalled { .. } => "SOURCE_STALLED",
            Self::TooSlow { .. } => "SOURCE_TOO_SLOW",
            Self::CutOff { .. } => "SOURCE_CUT_OFF",
            Self::TooLong { .. } => "SOURCE_TOO_LONG",
            Self::OtherBytes { .. } => "SOURCE_OTHER_BYTES",
            Self::OtherPlugin { .. } => "SOURCE_OTHER_PLUGIN",
            Self::NotAllowed { .. } => "SOURCE_NOT_ALLOWED",
            Self::Redirects { .. } => "SOURCE_REDIRECTS",
            Self::BadIndex(_) => "SOURCE_BAD_INDEX",
        }
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Stalled { .. } | Self::TooSlow { .. } | Self::CutOff { .. } => {
                "try again; nothing was installed"
            }
            Self::Status(404) => "is it the folder that `sluice plugin index` wrote?",
            Self::Status(_) => "ask whoever serves it",
            Self::TooLong { .. } | Self::OtherBytes { .. } | Self::OtherPlugin { .. } | Self::BadIndex(_) => {
                "do not trust it; have whoever serves it run `sluice plugin index` again"
            }
            Self::NotAllowed { .. } => "name it with https://, or copy it here and install the file",
            Self::Redirects { .. } => "name the address that it is redirected to",
        }
    }
}

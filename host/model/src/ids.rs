//! Names of things. An id that exists is well-formed: it was parsed once, at the edge.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest flow id, in characters (Kestra's rule).
pub const FLOW_ID_MAX: usize = 100;
/// Longest namespace, in characters (Kestra's rule).
pub const NAMESPACE_MAX: usize = 150;
/// Longest task id, in characters (Kestra's rule).
pub const TASK_ID_MAX: usize = 256;
/// The one tenant of the open edition.
pub const TENANT: &str = "main";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a text that is known to be well-formed: made by us, or read back from the store.
            pub fn trusted(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// A flow's id within its namespace: `^[a-zA-Z0-9][a-zA-Z0-9._-]*`.
    FlowId
);
id!(
    /// A dotted namespace: `^[a-z0-9][a-z0-9._-]*`.
    Namespace
);
id!(
    /// A task's id, unique over the whole tree of a flow.
    TaskId
);
id!(
    /// An execution's id: 22 characters of base 62, or derived (a hash) for children.
    ExecutionId
);
id!(
    /// A task run's id: hash of (execution, task path, iteration values, loop count), without the attempt.
    TaskRunId
);
id!(
    /// A trigger's id within its flow.
    TriggerId
);

/// Which flow: tenant, namespace and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowKey {
    /// Always [`TENANT`] today; part of every key so that it need not be added later.
    pub tenant: Arc<str>,
    /// The flow's namespace.
    pub namespace: Namespace,
    /// The flow's id.
    pub id: FlowId,
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.id)
    }
}

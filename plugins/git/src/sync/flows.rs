//! `PushFlows`, `SyncFlows` and `SyncFlow`: flows of a namespace in one folder, where folders below it are namespaces below.

use serde_json::Value;
use sluice_sdk::prelude::*;

use super::engine::Scope;
use super::layout::Layout;
use super::model::{Key, Kind, Side};
use super::namespaces::own_flow;
use super::plan::{Missing, Policy, Target};
use super::properties::{OnDrift, fits, namespace, patterns, properties_of_engine, properties_of_push};
use super::pulling::{Invalid, Pull, simple};
use super::pushing::{self, Things};
use super::report::Summary;
use super::repository::{Branch, Repository};
use crate::failures::{self, fault};
use crate::objects::tree::folder_name;

/// The folder of flows where a task says none.
const FOLDER: &str = "_flows";
const KINDS: [Kind; 1] = [Kind::Flow];

properties_of_push! {
    pub struct PushFlowsProperties {
        /// The folder of the flows.
        #[default(FOLDER)]
        git_directory: String,
        /// The namespace whose flows are pushed. Without it: the flow's own.
        source_namespace: Option<String>,
        /// The namespace that they are in from then on, in the repository.
        target_namespace: Option<String>,
        /// Which flows, by patterns of their ids.
        flows: Option<Value>,
        /// Whether flows of namespaces below are pushed, each into a folder.
        #[default(false)]
        include_child_namespaces: bool,
        /// Whether flows that the engine does not have are deleted from the repository, of those that `flows` fits.
        #[default(true)]
        delete: bool,
        /// Whether everything in the folder may be deleted because the engine has nothing of it.
        #[default(false)]
        allow_destructive: bool,
    }
}

#[outputs]
pub struct PushFlowsOutputs {
    /// The URI of the diff: JSON lines.
    flows: String,
    /// How much of what.
    summary: Summary,
    /// The commit that was pushed.
    commit_id: Option<String>,
    /// Where people find it.
    #[serde(rename = "commitURL")]
    #[schemars(rename = "commitURL")]
    commit_url: Option<String>,
}

/// Push flows of a namespace to a Git repository.
///
/// One commit and one push, or nothing. A push that meets another one is planned again.
///
/// # Push the flows of a namespace
/// ```yaml
/// id: push
/// type: io.kestra.plugin.git.PushFlows
/// sourceNamespace: dev
/// targetNamespace: prod
/// flows: "*"
/// url: https://github.com/example/flows
/// branch: main
/// username: git
/// password: "{{ secret('GITHUB_TOKEN') }}"
/// commitMessage: "flows of {{ flow.namespace }}"
/// ```
#[task("io.kestra.plugin.git.PushFlows")]
pub fn push_flows(properties: PushFlowsProperties, cx: &Context) -> Result<PushFlowsOutputs, Failure> {
    let access = properties.access(cx)?;
    let folder = folder_name("gitDirectory", &properties.git_directory)?;
    let from = namespace(properties.source_namespace.as_deref(), cx);
    let to = properties
        .target_namespace
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .unwrap_or(&from)
        .to_owned();
    let patterns = patterns("flows", properties.flows.as_ref())?;
    let wanted = |key: &Key| fits(&patterns, &key.id);
    let scope = Scope::Namespace { name: from.clone(), children: properties.include_child_namespaces };
    let source: Side = pushing::source(&scope, &KINDS, wanted)?
        .into_iter()
        .map(|(key, mut version)| {
            let below = key.namespace.strip_prefix(&from).unwrap_or_default();
            let namespace = format!("{to}{below}");
            if namespace != key.namespace {
                version.content = in_namespace(&version.content, &namespace);
            }
            (Key { namespace, ..key }, version)
        })
        .collect();
    let layout = Layout::Flows { namespace: to, children: properties.include_child_namespaces };
    let policy = Policy {
        target: Target::Repository,
        missing: if properties.delete { Missing::Delete } else { Missing::Keep },
        protected: &[],
        own: None,
        allow_destructive: properties.allow_destructive,
    };
    let things = Things { layout: &layout, kinds: &KINDS, source: &source, policy };
    let usual = format!("Add flows from namespace {from}");
    let commit = properties.commit(&usual);
    let repository = Repository::fetch(&access, &properties.branch, &folder, Branch::MayBeNew, cx)?;
    let title = format!("flows of `{from}` into `{}` of the repository", repository.branch);
    let pushed = pushing::push(repository, |repository| things.plan(repository, wanted, cx), &commit, &title, cx)?;
    Ok(PushFlowsOutputs {
        flows: pushed.diff,
        summary: pushed.summary,
        commit_id: pushed.commit_id,
        commit_url: pushed.commit_url,
    })
}

properties_of_engine! {
    pub struct SyncFlowsProperties {
        /// The branch.
        #[default("main")]
        branch: String,
        /// The namespace that the flows are for, whatever they say.
        target_namespace: String,
        /// The folder of the flows.
        #[default(FOLDER)]
        git_directory: String,
        /// Whether folders are namespaces below.
        #[default(false)]
        include_child_namespaces: bool,
        /// Whether flows that the repository does not have are deleted. The flow at work stays.
        #[default(false)]
        delete: bool,
        /// Whether everything in the namespace may be deleted because the folder is empty.
        #[default(false)]
        allow_destructive: bool,
        /// Whether flows that are not valid are left out, with a warning.
        #[default(false)]
        ignore_invalid_flows: bool,
        /// Whether nothing is changed and only the diff is made.
        #[default(false)]
        dry_run: bool,
        /// How a dry run ends that finds something to do.
        #[default(OnDrift::Warning)]
        on_drift: OnDrift,
        /// Whether a folder that is not there fails the task.
        #[default(true)]
        fail_on_missing_directory: bool,
    }
}

#[outputs]
pub struct SyncFlowsOutputs {
    /// The URI of the diff: JSON lines.
    flows: String,
    /// How much of what.
    summary: Summary,
}

/// Bring flows of a Git repository into a namespace.
///
/// All of them are looked at as saving would, and saved in one commit of the engine, or none is.
///
/// # Bring flows from a repository
/// ```yaml
/// id: sync
/// type: io.kestra.plugin.git.SyncFlows
/// targetNamespace: prod
/// gitDirectory: flows
/// delete: true
/// url: https://github.com/example/flows
/// branch: main
/// ```
#[task("io.kestra.plugin.git.SyncFlows")]
pub fn sync_flows(properties: SyncFlowsProperties, cx: &Context) -> Result<SyncFlowsOutputs, Failure> {
    let access = properties.access(cx)?;
    let folder = folder_name("gitDirectory", &properties.git_directory)?;
    let target = properties.target_namespace.trim().to_owned();
    let repository = Repository::fetch(&access, &properties.branch, &folder, Branch::MustBeThere, cx)?;
    if !repository.has_folder && properties.fail_on_missing_directory {
        let message = format!(
            "there is no folder `{folder}` on `{}` of `{}`; hint: look at `gitDirectory`, or say `failOnMissingDirectory: false`",
            repository.branch, access.url
        );
        return Err(fault(failures::MISSING, message));
    }
    let own = own_flow(cx);
    let children = properties.include_child_namespaces;
    let pull = Pull {
        repository: &repository,
        scope: Scope::Namespace { name: target.clone(), children },
        kinds: &KINDS,
        layout: &Layout::Flows { namespace: target.clone(), children },
        policy: Policy { allow_destructive: properties.allow_destructive, ..simple(own.as_ref(), properties.delete) },
        invalid: if properties.ignore_invalid_flows { Invalid::Warn } else { Invalid::Fail },
        dry: properties.dry_run.then_some(properties.on_drift),
        rewrite: true,
    };
    let pulled = pull.carry_out(&format!("`{}` of the repository into `{target}`", repository.branch), cx)?;
    Ok(SyncFlowsOutputs { flows: pulled.diff, summary: pulled.summary })
}

properties_of_engine! {
    pub struct SyncFlowProperties {
        /// The branch.
        #[default("main")]
        branch: String,
        /// The namespace that the flow is for, whatever it says.
        target_namespace: String,
        /// The path of the flow in the repository.
        flow_path: String,
        /// Whether nothing is changed.
        #[default(false)]
        dry_run: bool,
        /// How a dry run ends that finds something to do.
        #[default(OnDrift::Warning)]
        on_drift: OnDrift,
    }
}

#[outputs]
pub struct SyncFlowOutputs {
    /// The flow's id.
    flow_id: String,
    /// Its namespace.
    namespace: String,
    /// Its revision from now on; none if nothing was changed.
    revision: Option<u64>,
}

/// Bring one flow of a Git repository into a namespace.
///
/// # Bring a flow from a repository
/// ```yaml
/// id: sync
/// type: io.kestra.plugin.git.SyncFlow
/// targetNamespace: prod
/// flowPath: flows/orders.yaml
/// url: https://github.com/example/flows
/// branch: main
/// ```
#[task("io.kestra.plugin.git.SyncFlow")]
pub fn sync_flow(properties: SyncFlowProperties, cx: &Context) -> Result<SyncFlowOutputs, Failure> {
    let access = properties.access(cx)?;
    let path = folder_name("flowPath", &properties.flow_path)?;
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let target = properties.target_namespace.trim().to_owned();
    let repository = Repository::fetch(&access, &properties.branch, folder, Branch::MustBeThere, cx)?;
    let layout = Layout::Flows { namespace: target.clone(), children: false };
    let super::layout::Place::Thing(key) = layout.place(name) else {
        return Err(Failure::bad_property(format!("`flowPath`: `{path}` is no YAML file")));
    };
    if !repository.leaves.contains_key(name) {
        let message = format!(
            "there is no file `{path}` on `{}` of `{}`; hint: look at `flowPath`",
            repository.branch, access.url
        );
        return Err(fault(failures::MISSING, message));
    }
    let pull = Pull {
        repository: &repository,
        scope: Scope::Namespace { name: target.clone(), children: false },
        kinds: &KINDS,
        layout: &Layout::OneFlow { name: name.to_owned(), key: key.clone() },
        policy: simple(None, false),
        invalid: Invalid::Fail,
        dry: properties.dry_run.then_some(properties.on_drift),
        rewrite: true,
    };
    let pulled = pull.carry_out(&format!("`{path}` of the repository into `{target}`"), cx)?;
    let revision = pulled.revisions.first().map(|(_, revision)| *revision);
    Ok(SyncFlowOutputs { flow_id: key.id, namespace: target, revision })
}

/// A flow's source with another namespace: its line is replaced, everything else stays.
pub fn in_namespace(content: &[u8], namespace: &str) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(content) else { return content.to_vec() };
    let mut done = false;
    let mut changed = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if !done && line.starts_with("namespace:") {
            let end = line.trim_end_matches(['\r', '\n']).len();
            changed.push_str(&format!("namespace: {namespace}"));
            changed.push_str(line.get(end..).unwrap_or_default());
            done = true;
        } else {
            changed.push_str(line);
        }
    }
    changed.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_replaced_in_its_line() {
        let check = |from: &str, expected: &str| assert_eq!(in_namespace(from.as_bytes(), "x.y"), expected.as_bytes());
        check(
            "id: a\nnamespace: b # here\r\ntasks:\n  - namespace: c\n",
            "id: a\nnamespace: x.y\r\ntasks:\n  - namespace: c\n",
        );
        check("id: a\n", "id: a\n");
    }
}

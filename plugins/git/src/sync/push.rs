//! `Push` and `Sync`, which newer tasks do better: files of the working directory, flows and namespace files into a branch, and back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use glob::Glob;
use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

use super::engine::Scope;
use super::files::read;
use super::layout::Layout;
use super::model::{Kind, comparable};
use super::namespaces::own_flow;
use super::properties::{OnDrift, author, properties_of_engine};
use super::pulling::{Invalid, Pull, simple};
use super::pushing::{self, Commit, plain};
use super::report::Summary;
use super::repository::{Branch, Repository};
use crate::failures::{self, fault};
use crate::objects::tree::folder_name;

/// Bytes of files that are pushed at once: they are in memory.
const PUSHED_BYTES_MAX: u64 = 96 << 20;
/// How deep the working directory is looked through.
const DEPTH_MAX: usize = 32;
/// Most files that are pushed.
const FILES_MAX: usize = 20_000;

/// Namespace files that are pushed as well.
#[properties]
pub struct PushedFiles {
    /// Whether they are.
    #[default(true)]
    enabled: bool,
    /// The folder they are pushed to.
    #[default("_files")]
    git_directory: String,
}

/// Flows that are pushed as well.
#[properties]
pub struct PushedFlows {
    /// Whether they are.
    #[default(true)]
    enabled: bool,
    /// Whether those of namespaces below are, each into a folder.
    #[default(true)]
    child_namespaces: bool,
    /// The folder they are pushed to.
    #[default("_flows")]
    git_directory: String,
}

/// Who a commit is by.
#[properties]
pub struct CommitAuthor {
    /// The name.
    name: Option<String>,
    /// The address.
    email: Option<String>,
}

properties_of_engine! {
    pub struct PushProperties {
        /// The folder of the working directory. Without it: the working directory itself.
        directory: Option<String>,
        /// The branch; it is made if it is not there.
        branch: String,
        /// The message of the commit.
        commit_message: String,
        /// Namespace files that are pushed as well.
        namespace_files: Option<PushedFiles>,
        /// Flows that are pushed as well.
        flows: Option<PushedFlows>,
        /// Files to push: a map of paths and contents, or URIs of stored files.
        input_files: Option<Map<String, Value>>,
        /// Which files of the working directory are pushed; `.` is all of them.
        #[default(vec![".".to_owned()])]
        add_files_pattern: Vec<String>,
        /// Who the commit is by.
        author: Option<CommitAuthor>,
    }
}

#[outputs]
pub struct PushOutputs {
    /// The commit that was pushed; none if nothing was different.
    commit_id: Option<String>,
    /// The URI of the diff: JSON lines.
    files: String,
    /// How much of what.
    summary: Summary,
}

/// Push files of the working directory, flows and namespace files to a Git repository.
///
/// Deprecated: `PushFlows`, `PushNamespaceFiles` and `PushExecutionFiles` each do one of it. Nothing is deleted from the repository.
///
/// # Push what tasks have made
/// ```yaml
/// id: push
/// type: io.kestra.plugin.git.Push
/// branch: main
/// commitMessage: "results of {{ execution.id }}"
/// flows:
///   enabled: false
/// addFilesPattern: ["*.csv"]
/// url: https://github.com/example/results
/// username: git
/// password: "{{ secret('GITHUB_TOKEN') }}"
/// ```
#[task("io.kestra.plugin.git.Push")]
pub fn push(properties: PushProperties, cx: &Context) -> Result<PushOutputs, Failure> {
    let access = properties.access(cx)?;
    let mut room = PUSHED_BYTES_MAX;
    let mut contents = BTreeMap::new();
    let namespace = cx.get("flow.namespace").unwrap_or_default();
    if let Some(root) = cx.working_dir() {
        let folder = folder_name("directory", properties.directory.as_deref().unwrap_or_default())?;
        let all = |text: &str| matches!(text.trim(), "." | "./");
        let patterns: Result<Vec<Glob>, Failure> = properties
            .add_files_pattern
            .iter()
            .map(|text| if all(text) { "**" } else { text })
            .map(|text| Glob::anywhere(text).map_err(|why| Failure::bad_property(format!("`addFilesPattern`: {why}"))))
            .collect();
        found(&root.join(folder), "", 0, &patterns?, &mut room, &mut contents)?;
    }
    for (path, content) in properties.input_files.iter().flatten() {
        let path = folder_name("inputFiles", path)?;
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        let is_uri = text.starts_with("kestra:///") || text.starts_with("nsfile://");
        contents.insert(path, if is_uri { read(&text, &mut room)? } else { text.into_bytes() });
    }
    if let Some(files) = properties.namespace_files.as_ref().filter(|files| files.enabled) {
        let folder = folder_name("namespaceFiles.gitDirectory", &files.git_directory)?;
        let scope = Scope::Namespace { name: namespace.clone(), children: false };
        for (key, version) in pushing::source(&scope, &[Kind::File], |_| true)? {
            contents.insert(within(&folder, &key.id), version.content);
        }
    }
    let flows = properties.flows.unwrap_or(PushedFlows {
        enabled: true,
        child_namespaces: true,
        git_directory: "_flows".to_owned(),
    });
    if flows.enabled {
        let folder = folder_name("flows.gitDirectory", &flows.git_directory)?;
        let scope = Scope::Namespace { name: namespace.clone(), children: flows.child_namespaces };
        let layout = Layout::Flows { namespace: namespace.clone(), children: flows.child_namespaces };
        for (key, version) in pushing::source(&scope, &[Kind::Flow], |_| true)? {
            let mut content = comparable(Kind::Flow, &version.content);
            content.push(b'\n');
            contents.insert(within(&folder, &layout.path(&key)?), content);
        }
    }
    let by = properties.author.as_ref();
    let commit = Commit {
        author: author(
            by.and_then(|by| by.name.as_deref()),
            by.and_then(|by| by.email.as_deref()),
            properties.username.as_deref(),
        ),
        message: &properties.commit_message,
        dry: None,
    };
    let repository = Repository::fetch(&access, &properties.branch, "", Branch::MayBeNew, cx)?;
    let title = format!("files into `{}` of the repository", repository.branch);
    let pushed = pushing::push(repository, |repository| plain(repository, &contents, |_| false), &commit, &title, cx)?;
    Ok(PushOutputs { commit_id: pushed.commit_id, files: pushed.diff, summary: pushed.summary })
}

fn within(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

/// Files below a folder whose path fits. Links are not followed; `.git` is not looked into.
fn found(
    folder: &Path,
    path: &str,
    depth: usize,
    patterns: &[Glob],
    room: &mut u64,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), Failure> {
    let many = || {
        fault(
            failures::TOO_LARGE,
            format!(
                "more than {FILES_MAX} files, or more than {DEPTH_MAX} folders deep; hint: narrow `addFilesPattern`"
            ),
        )
    };
    if depth > DEPTH_MAX {
        return Err(many());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        let path = within(path, &name);
        if kind.is_dir() && name != ".git" {
            found(&entry.path(), &path, depth + 1, patterns, room, files)?;
        } else if kind.is_file() && patterns.iter().any(|pattern| pattern.fits(&path)) {
            let length = entry.metadata()?.len();
            *room = room.checked_sub(length).ok_or_else(|| {
                fault(
                    failures::TOO_LARGE,
                    format!("the files are more than {} MiB; hint: narrow `addFilesPattern`", PUSHED_BYTES_MAX >> 20),
                )
            })?;
            files.insert(folder_name("directory", &path)?, fs::read(entry.path())?);
            if files.len() > FILES_MAX {
                return Err(many());
            }
        }
    }
    Ok(())
}

properties_of_engine! {
    pub struct SyncProperties {
        /// The branch.
        #[default("main")]
        branch: String,
        /// The folder of the repository. Without it: all of it.
        git_directory: Option<String>,
        /// The folder of the namespace's files that they are put into. Without it: all of them.
        namespace_files_directory: Option<String>,
        /// Whether nothing is changed and only the diff is made.
        #[default(false)]
        dry_run: bool,
        /// How a dry run ends that finds something to do.
        #[default(OnDrift::Warning)]
        on_drift: OnDrift,
        /// Whether everything may be deleted because the folder is empty.
        #[default(false)]
        allow_destructive: bool,
    }
}

#[outputs]
pub struct SyncOutputs {
    /// The URI of the diff: JSON lines.
    diff: String,
    /// How much of what.
    summary: Summary,
}

/// Make the flows and files of this namespace what a Git repository has.
///
/// Deprecated: `NamespaceSync`, `SyncFlows` and `SyncNamespaceFiles` say more. Flows are in `_flows`, everything else is files; what the repository does not have is
/// deleted. The flow at work stays.
///
/// # Bring a repository into this namespace
/// ```yaml
/// id: sync
/// type: io.kestra.plugin.git.Sync
/// branch: main
/// dryRun: true
/// url: https://github.com/example/flows
/// ```
#[task("io.kestra.plugin.git.Sync")]
pub fn sync(properties: SyncProperties, cx: &Context) -> Result<SyncOutputs, Failure> {
    let access = properties.access(cx)?;
    let folder = folder_name("gitDirectory", properties.git_directory.as_deref().unwrap_or_default())?;
    let prefix =
        folder_name("namespaceFilesDirectory", properties.namespace_files_directory.as_deref().unwrap_or_default())?;
    let namespace = cx.get("flow.namespace").unwrap_or_default();
    let repository = Repository::fetch(&access, &properties.branch, &folder, Branch::MustBeThere, cx)?;
    let own = own_flow(cx);
    let pull = Pull {
        repository: &repository,
        scope: Scope::Namespace { name: namespace.clone(), children: false },
        kinds: &[Kind::Flow, Kind::File],
        layout: &Layout::Mixed { namespace: namespace.clone(), prefix: prefix.clone() },
        policy: super::plan::Policy { allow_destructive: properties.allow_destructive, ..simple(own.as_ref(), true) },
        invalid: Invalid::Fail,
        dry: properties.dry_run.then_some(properties.on_drift),
        rewrite: true,
    };
    let pulled = pull.carry_out(&format!("`{}` of the repository into `{namespace}`", repository.branch), cx)?;
    Ok(SyncOutputs { diff: pulled.diff, summary: pulled.summary })
}

//! `PushNamespaceFiles`, `SyncNamespaceFiles` and `PushExecutionFiles`: files and one folder of a repository.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Map, Value};
use sluice_sdk::files;
use sluice_sdk::prelude::*;

use super::engine::Scope;
use super::layout::Layout;
use super::model::{Key, Kind};
use super::plan::{Missing, Policy, Target};
use super::properties::{OnDrift, fits, namespace, patterns, properties_of_engine, properties_of_push};
use super::pulling::{Invalid, Pull, simple};
use super::pushing::{self, Things, plain};
use super::report::Summary;
use super::repository::{Branch, Repository};
use crate::failures::{self, fault};
use crate::objects::tree::folder_name;

/// The folder of files where a task says none.
const FOLDER: &str = "_files";
/// The folder of files of executions.
const OUTPUTS: &str = "_outputs";
/// Bytes of files that are pushed at once: they are in memory.
const PUSHED_BYTES_MAX: u64 = 96 << 20;
const KINDS: [Kind; 1] = [Kind::File];

properties_of_push! {
    pub struct PushNamespaceFilesProperties {
        /// The namespace. Without it: the flow's own.
        namespace: Option<String>,
        /// The folder of the files.
        #[default(FOLDER)]
        git_directory: String,
        /// Which files, by patterns of their paths.
        files: Option<Value>,
        /// Whether it fails the task that no file fits.
        #[default(false)]
        error_on_missing: bool,
        /// Whether files that the namespace does not have are deleted from the repository, of those that `files` fits.
        #[default(true)]
        delete: bool,
        /// Whether everything in the folder may be deleted because the namespace has no files.
        #[default(false)]
        allow_destructive: bool,
    }
}

#[outputs]
pub struct PushFilesOutputs {
    /// The URI of the diff: JSON lines.
    files: String,
    /// How much of what.
    summary: Summary,
    /// The commit that was pushed.
    commit_id: Option<String>,
    /// Where people find it.
    #[serde(rename = "commitURL")]
    #[schemars(rename = "commitURL")]
    commit_url: Option<String>,
}

/// Push files of a namespace to a Git repository.
///
/// # Push the scripts of a namespace
/// ```yaml
/// id: push
/// type: io.kestra.plugin.git.PushNamespaceFiles
/// namespace: company.team
/// files: "scripts/**"
/// gitDirectory: _files
/// url: https://github.com/example/flows
/// branch: main
/// username: git
/// password: "{{ secret('GITHUB_TOKEN') }}"
/// ```
#[task("io.kestra.plugin.git.PushNamespaceFiles")]
pub fn push_namespace_files(
    properties: PushNamespaceFilesProperties,
    cx: &Context,
) -> Result<PushFilesOutputs, Failure> {
    let access = properties.access(cx)?;
    let folder = folder_name("gitDirectory", &properties.git_directory)?;
    let namespace = namespace(properties.namespace.as_deref(), cx);
    let patterns = patterns("files", properties.files.as_ref())?;
    let wanted = |key: &Key| fits(&patterns, &key.id);
    let scope = Scope::Namespace { name: namespace.clone(), children: false };
    let source = pushing::source(&scope, &KINDS, wanted)?;
    if source.is_empty() && properties.error_on_missing {
        return Err(none_fits(&format!("namespace `{namespace}`")));
    }
    let layout = Layout::Files { namespace: namespace.clone() };
    let policy = Policy {
        target: Target::Repository,
        missing: if properties.delete { Missing::Delete } else { Missing::Keep },
        protected: &[],
        own: None,
        allow_destructive: properties.allow_destructive,
    };
    let things = Things { layout: &layout, kinds: &KINDS, source: &source, policy };
    let usual = format!("Add files from namespace {namespace}");
    let commit = properties.commit(&usual);
    let repository = Repository::fetch(&access, &properties.branch, &folder, Branch::MayBeNew, cx)?;
    let title = format!("files of `{namespace}` into `{}` of the repository", repository.branch);
    let pushed = pushing::push(repository, |repository| things.plan(repository, wanted, cx), &commit, &title, cx)?;
    Ok(PushFilesOutputs {
        files: pushed.diff,
        summary: pushed.summary,
        commit_id: pushed.commit_id,
        commit_url: pushed.commit_url,
    })
}

fn none_fits(what: &str) -> Failure {
    fault(failures::MISSING, format!("no file of {what} fits; hint: look at `files`, or say `errorOnMissing: false`"))
}

properties_of_engine! {
    pub struct SyncNamespaceFilesProperties {
        /// The branch.
        #[default("main")]
        branch: String,
        /// The namespace. Without it: the flow's own.
        namespace: Option<String>,
        /// The folder of the files.
        #[default(FOLDER)]
        git_directory: String,
        /// Whether files that the repository does not have are deleted.
        #[default(false)]
        delete: bool,
        /// Whether all files may be deleted because the folder is empty.
        #[default(false)]
        allow_destructive: bool,
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
pub struct SyncFilesOutputs {
    /// The URI of the diff: JSON lines.
    files: String,
    /// How much of what.
    summary: Summary,
}

/// Bring files of a Git repository into a namespace.
///
/// # Bring scripts from a repository
/// ```yaml
/// id: sync
/// type: io.kestra.plugin.git.SyncNamespaceFiles
/// namespace: company.team
/// gitDirectory: _files
/// url: https://github.com/example/flows
/// branch: main
/// ```
#[task("io.kestra.plugin.git.SyncNamespaceFiles")]
pub fn sync_namespace_files(
    properties: SyncNamespaceFilesProperties,
    cx: &Context,
) -> Result<SyncFilesOutputs, Failure> {
    let access = properties.access(cx)?;
    let folder = folder_name("gitDirectory", &properties.git_directory)?;
    let namespace = namespace(properties.namespace.as_deref(), cx);
    let repository = Repository::fetch(&access, &properties.branch, &folder, Branch::MustBeThere, cx)?;
    if !repository.has_folder && properties.fail_on_missing_directory {
        let message = format!(
            "there is no folder `{folder}` on `{}` of `{}`; hint: look at `gitDirectory`, or say `failOnMissingDirectory: false`",
            repository.branch, access.url
        );
        return Err(fault(failures::MISSING, message));
    }
    let pull = Pull {
        repository: &repository,
        scope: Scope::Namespace { name: namespace.clone(), children: false },
        kinds: &KINDS,
        layout: &Layout::Files { namespace: namespace.clone() },
        policy: Policy { allow_destructive: properties.allow_destructive, ..simple(None, properties.delete) },
        invalid: Invalid::Fail,
        dry: properties.dry_run.then_some(properties.on_drift),
        rewrite: false,
    };
    let pulled =
        pull.carry_out(&format!("files of `{}` of the repository into `{namespace}`", repository.branch), cx)?;
    Ok(SyncFilesOutputs { files: pulled.diff, summary: pulled.summary })
}

properties_of_push! {
    pub struct PushExecutionFilesProperties {
        /// The folder of the files.
        #[default(OUTPUTS)]
        git_directory: String,
        /// Which files of the execution, by patterns of their names. Without this and `filesMap`: all.
        files: Option<Value>,
        /// Files by the paths they get: a map of paths and URIs.
        files_map: Option<Map<String, Value>>,
        /// Whether it fails the task that no file fits.
        #[default(false)]
        error_on_missing: bool,
        /// Whether other files of the folder are deleted, of those that `files` fits.
        #[default(true)]
        delete: bool,
    }
}

/// Push files of the execution to a Git repository.
///
/// # Push a report
/// ```yaml
/// id: push
/// type: io.kestra.plugin.git.PushExecutionFiles
/// filesMap:
///   reports/today.csv: "{{ outputs.report.uri }}"
/// gitDirectory: _outputs
/// delete: false
/// url: https://github.com/example/reports
/// branch: main
/// username: git
/// password: "{{ secret('GITHUB_TOKEN') }}"
/// ```
#[task("io.kestra.plugin.git.PushExecutionFiles", capabilities = crate::without_objects)]
pub fn push_execution_files(
    properties: PushExecutionFilesProperties,
    cx: &Context,
) -> Result<PushFilesOutputs, Failure> {
    let access = properties.access(cx)?;
    let folder = folder_name("gitDirectory", &properties.git_directory)?;
    let patterns = patterns("files", properties.files.as_ref())?;
    let mut contents = BTreeMap::new();
    let mut room = PUSHED_BYTES_MAX;
    for (path, uri) in properties.files_map.iter().flatten() {
        let path = folder_name("filesMap", path)?;
        let uri = uri
            .as_str()
            .ok_or_else(|| Failure::bad_property(format!("`filesMap`: `{path}` is not the URI of a file")))?;
        contents.insert(path, read(uri, &mut room)?);
    }
    if properties.files.is_some() || properties.files_map.is_none() {
        for uri in files::find("")? {
            let name = uri.rsplit('/').next().unwrap_or_default().to_owned();
            if !fits(&patterns, &name) {
                continue;
            }
            let name = folder_name("files", &name)?;
            if contents.contains_key(&name) {
                let message =
                    format!("the execution has several files `{name}`; hint: name those you mean in `filesMap`");
                return Err(fault(failures::CONFLICT, message));
            }
            contents.insert(name, read(&uri, &mut room)?);
        }
    }
    if contents.is_empty() && properties.error_on_missing {
        return Err(none_fits("the execution"));
    }
    let delete = properties.delete && !contents.is_empty();
    let commit = properties.commit("Add files of an execution");
    let repository = Repository::fetch(&access, &properties.branch, &folder, Branch::MayBeNew, cx)?;
    let title = format!("files of the execution into `{}` of the repository", repository.branch);
    let owned = |path: &str| delete && fits(&patterns, path.rsplit('/').next().unwrap_or_default());
    let pushed = pushing::push(repository, |repository| plain(repository, &contents, owned), &commit, &title, cx)?;
    Ok(PushFilesOutputs {
        files: pushed.diff,
        summary: pushed.summary,
        commit_id: pushed.commit_id,
        commit_url: pushed.commit_url,
    })
}

/// A stored file, as long as there is room.
pub fn read(uri: &str, room: &mut u64) -> Result<Vec<u8>, Failure> {
    let mut file = files::open(uri)?;
    *room = room.checked_sub(file.size()).ok_or_else(|| {
        fault(
            failures::TOO_LARGE,
            format!("the files are more than {} MiB; hint: push them in parts", PUSHED_BYTES_MAX >> 20),
        )
    })?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

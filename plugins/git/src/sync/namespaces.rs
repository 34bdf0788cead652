//! `NamespaceSync` and `TenantSync`: flows, files and documents of one namespace or of all, in folders by namespace and kind.

use sluice_sdk::prelude::*;

use super::engine::Scope;
use super::layout::Layout;
use super::model::{Key, Kind};
use super::plan::{Policy, Target};
use super::properties::{Auth, OnDrift, OnInvalid, SourceOfTruth, WhenMissing, author, properties_of_engine};
use super::pulling::Pull;
use super::pushing::{self, Commit, Things};
use super::report::Summary;
use super::repository::{Branch, Repository};
use crate::access::Access;
use crate::objects::tree::folder_name;

/// What a namespace has.
const OF_NAMESPACES: [Kind; 4] = [Kind::Flow, Kind::File, Kind::App, Kind::Test];
/// What a tenant has.
const OF_TENANTS: [Kind; 6] = [Kind::Flow, Kind::File, Kind::App, Kind::Test, Kind::Dashboard, Kind::Blueprint];

/// Writes the struct of a task's properties, with those that both tasks have.
macro_rules! properties_of_sync {
    ([$($acting:ident)?] $(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        properties_of_engine! {
            $($acting)?
            $(#[$meta])*
            pub struct $name {
                /// The branch. With `sourceOfTruth: KESTRA` it is made if it is not there.
                branch: String,
                /// The folder of the repository that is kept in step. Without it: all of the repository.
                git_directory: Option<String>,
                /// Which side is right where they differ.
                #[default(SourceOfTruth::Kestra)]
                source_of_truth: SourceOfTruth,
                /// What becomes of what the source of truth does not have. An empty source deletes nothing unless `allowDestructive` says so.
                #[default(WhenMissing::Delete)]
                when_missing_in_source: WhenMissing,
                /// Namespaces, with those below them, of which nothing is deleted in the engine.
                #[default(vec!["system".to_owned()])]
                protected_namespaces: Vec<String>,
                /// Whether nothing is changed and only the diff is made.
                #[default(false)]
                dry_run: bool,
                /// How a dry run ends that finds something to do.
                #[default(OnDrift::Warning)]
                on_drift: OnDrift,
                /// What becomes of a flow or document of the repository that is not valid.
                #[default(OnInvalid::Fail)]
                on_invalid_syntax: OnInvalid,
                /// Whether everything on one side may be deleted because the other is empty, as it is on a first run with the wrong settings.
                #[default(false)]
                allow_destructive: bool,
                /// The message of the commit.
                commit_message: Option<String>,
                /// The author's address.
                author_email: Option<String>,
                /// The author's name. Without it: `username`.
                author_name: Option<String>,
                $($own)*
            }
        }

        impl $name {
            fn sync(&self) -> Sync<'_> {
                Sync {
                    branch: &self.branch,
                    folder: self.git_directory.as_deref().unwrap_or_default(),
                    source: self.source_of_truth,
                    missing: self.when_missing_in_source,
                    protected: &self.protected_namespaces,
                    dry: self.dry_run.then_some(self.on_drift),
                    invalid: self.on_invalid_syntax,
                    allow_destructive: self.allow_destructive,
                    message: self.commit_message.as_deref(),
                    author: (self.author_name.as_deref(), self.author_email.as_deref(), self.username.as_deref()),
                }
            }
        }
    };
}

properties_of_sync! {
    []
    pub struct NamespaceSyncProperties {
        /// The namespace; those below it are not part of it.
        namespace: String,
    }
}

properties_of_sync! {
    [acting]
    pub struct TenantSyncProperties {
        /// Who asks: a user of this server. Without credentials, whoever runs a server without login.
        auth: Option<Auth>,
    }
}

#[outputs]
pub struct SyncOutputs {
    /// The URI of the diff: JSON lines, one for each thing that changes, or stays for a reason.
    diff: String,
    /// How much of what.
    summary: Summary,
    /// Whether something was different.
    drift: bool,
    /// The commit that was pushed.
    commit_id: Option<String>,
    /// Where people find it.
    #[serde(rename = "commitURL")]
    #[schemars(rename = "commitURL")]
    commit_url: Option<String>,
}

/// Keep one namespace and a Git repository in step.
///
/// Flows, files, apps and tests of a namespace are files of the repository: `<namespace>/flows/<id>.yaml`, `<namespace>/files/<path>`, `<namespace>/apps/<id>.yaml`,
/// `<namespace>/tests/<id>.yaml`. What is in the source of truth is made so on the other side.
///
/// A plan is made first, looked at whole (each flow as saving it would), and then carried out whole or not at all: one commit with one push, or one commit of
/// the engine. `dryRun` makes the diff and nothing else, and ends in WARNING if there is something to do. A push that meets another one is planned again; what both
/// have changed fails with `GIT_CONFLICT`, and nothing is overwritten.
///
/// Failure codes: those of `io.kestra.plugin.git.Clone`, `GIT_REJECTED`, `GIT_REFUSED`, `GIT_CONFLICT`, `GIT_INVALID`, `GIT_MISSING`, `GIT_DESTRUCTIVE`, `GIT_DRIFT`.
///
/// # From the repository into the engine
/// ```yaml
/// id: sync
/// type: io.kestra.plugin.git.NamespaceSync
/// namespace: company.team
/// sourceOfTruth: GIT
/// whenMissingInSource: KEEP
/// url: https://github.com/example/flows
/// branch: main
/// username: git
/// password: "{{ secret('GITHUB_TOKEN') }}"
/// ```
#[task("io.kestra.plugin.git.NamespaceSync")]
pub fn namespace_sync(properties: NamespaceSyncProperties, cx: &Context) -> Result<SyncOutputs, Failure> {
    let access = properties.access(cx)?;
    let name = properties.namespace.trim().to_owned();
    let scope = Scope::Namespace { name: name.clone(), children: false };
    let layout = Layout::Folders { only: Some(name) };
    properties.sync().carry_out(&access, &scope, &OF_NAMESPACES, &layout, "Namespace sync from Kestra", cx)
}

/// Keep all namespaces and a Git repository in step.
///
/// As `NamespaceSync`, of all namespaces, with dashboards and blueprints in `_global/`. Needs a user of the server whose rights reach that far: `auth`.
///
/// # From the engine into the repository
/// ```yaml
/// id: sync
/// type: io.kestra.plugin.git.TenantSync
/// sourceOfTruth: KESTRA
/// whenMissingInSource: DELETE
/// url: https://github.com/example/flows
/// branch: main
/// username: git
/// password: "{{ secret('GITHUB_TOKEN') }}"
/// auth:
///   username: admin@example.com
///   password: "{{ secret('SLUICE_PASSWORD') }}"
/// ```
#[task("io.kestra.plugin.git.TenantSync")]
pub fn tenant_sync(properties: TenantSyncProperties, cx: &Context) -> Result<SyncOutputs, Failure> {
    let access = properties.access(cx)?;
    Auth::act(properties.auth.as_ref())?;
    properties.sync().carry_out(
        &access,
        &Scope::Tenant,
        &OF_TENANTS,
        &Layout::Folders { only: None },
        "Tenant sync from Kestra",
        cx,
    )
}

/// One run of either task.
struct Sync<'a> {
    branch: &'a str,
    folder: &'a str,
    source: SourceOfTruth,
    missing: WhenMissing,
    protected: &'a [String],
    dry: Option<OnDrift>,
    invalid: OnInvalid,
    allow_destructive: bool,
    message: Option<&'a str>,
    author: (Option<&'a str>, Option<&'a str>, Option<&'a str>),
}

impl Sync<'_> {
    fn carry_out(
        &self,
        access: &Access,
        scope: &Scope,
        kinds: &[Kind],
        layout: &Layout,
        usual_message: &str,
        cx: &Context,
    ) -> Result<SyncOutputs, Failure> {
        let folder = folder_name("gitDirectory", self.folder)?;
        let own = own_flow(cx);
        let policy = Policy {
            target: match self.source {
                SourceOfTruth::Git => Target::Engine,
                SourceOfTruth::Kestra => Target::Repository,
            },
            missing: self.missing.into(),
            protected: self.protected,
            own: own.as_ref(),
            allow_destructive: self.allow_destructive,
        };
        let rule = match self.source {
            SourceOfTruth::Git => Branch::MustBeThere,
            SourceOfTruth::Kestra => Branch::MayBeNew,
        };
        let repository = Repository::fetch(access, self.branch, &folder, rule, cx)?;
        let (diff, summary, commit_id, commit_url) = match self.source {
            SourceOfTruth::Git => {
                let pull = Pull {
                    repository: &repository,
                    scope: scope.clone(),
                    kinds,
                    layout,
                    policy,
                    invalid: self.invalid.into(),
                    dry: self.dry,
                    rewrite: false,
                };
                let pulled =
                    pull.carry_out(&format!("`{}` of the repository into the engine", repository.branch), cx)?;
                let head = repository.head();
                let (id, url) = (head.map(|id| id.to_string()), head.map(|id| repository.commit_url(id)));
                (pulled.diff, pulled.summary, id, url)
            }
            SourceOfTruth::Kestra => {
                let source = pushing::source(scope, kinds, |_| true)?;
                let things = Things { layout, kinds, source: &source, policy };
                let (name, email, username) = self.author;
                let message = self.message.filter(|text| !text.trim().is_empty()).unwrap_or(usual_message);
                let commit = Commit { author: author(name, email, username), message, dry: self.dry };
                let title = format!("the engine into `{}` of the repository", repository.branch);
                let make = |repository: &Repository| things.plan(repository, |_| true, cx);
                let pushed = pushing::push(repository, make, &commit, &title, cx)?;
                (pushed.diff, pushed.summary, pushed.commit_id, pushed.commit_url)
            }
        };
        let drift = summary.added + summary.updated + summary.deleted > 0;
        Ok(SyncOutputs { diff, summary, drift, commit_id, commit_url })
    }
}

/// The flow at work.
pub fn own_flow(cx: &Context) -> Option<Key> {
    Some(Key { kind: Kind::Flow, namespace: cx.get("flow.namespace")?, id: cx.get("flow.id")? })
}

//! Files of a WorkingDirectory: what is put into it before its first task runs, and what is taken from it after the last. Never follows a
//! symbolic link: a guest may have made it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use expr::{Map, Value};
use glob::Glob;
use jiff::Timestamp;
use model::execution::Failure;
use model::ids::{FlowKey, Namespace, TENANT, TaskId, TaskRunId};
use store::rows::{self, BlobInfo, Key};
use store::{Query, View};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::kept::{Keeping, Write};
use crate::node::Node;
use crate::readable::{NAMESPACE_SCHEME, SCHEME, folder_of, namespace_folder, task_folder};

/// Most files that are put into a directory or taken from it.
const FILES_MAX: usize = 10_000;
/// How deep a directory is looked through.
const DEPTH_MAX: usize = 32;
/// One read of a file.
const PIECE_BYTES: usize = 256 << 10;
/// The file of a cache that says when it was made.
const STAMP: &str = ".made";

/// The properties of a WorkingDirectory, rendered.
pub(super) struct Wanted {
    input_files: Value,
    output_files: Vec<Glob>,
    namespace_files: Option<NamespaceFiles>,
    cache: Option<Cache>,
}

struct NamespaceFiles {
    namespaces: Vec<Namespace>,
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

struct Cache {
    patterns: Vec<Glob>,
    /// How long it is good.
    ttl: Option<jiff::SignedDuration>,
    /// Where its files are, below the tenant.
    folder: String,
}

/// Where a working directory belongs.
pub(super) struct Place<'a> {
    pub flow: &'a FlowKey,
    pub execution: &'a model::ids::ExecutionId,
    pub task: &'a TaskId,
    pub run: &'a TaskRunId,
}

fn wrong(property: &str, why: impl std::fmt::Display) -> Failure {
    Failure { retryable: Some(false), ..Failure::new("working-directory", format!("property `{property}`: {why}")) }
}

fn broken(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new("working-directory", format!("{what}: {error}"))
}

impl Wanted {
    /// Reads rendered properties.
    pub fn read(properties: &Map, place: &Place<'_>) -> Result<Self, Failure> {
        let get = |name: &str| properties.get(name).cloned().unwrap_or_default();
        let input_files = structured(get("inputFiles"));
        if !matches!(input_files, Value::Null | Value::Map(_)) {
            return Err(wrong("inputFiles", "a map of names and contents is wanted"));
        }
        let output_files = globs("outputFiles", &get("outputFiles"), Glob::anchored)?;
        let namespace_files = match get("namespaceFiles") {
            Value::Map(asked) => NamespaceFiles::read(&asked, &place.flow.namespace)?,
            _ => None,
        };
        let cache = match get("cache") {
            Value::Map(asked) => Some(Cache::read(&asked, place)?),
            _ => None,
        };
        Ok(Self { input_files, output_files, namespace_files, cache })
    }
}

impl NamespaceFiles {
    fn read(asked: &Map, own: &Namespace) -> Result<Option<Self>, Failure> {
        let get = |name: &str| asked.get(name).cloned().unwrap_or_default();
        if matches!(get("enabled"), value if !value.is_null() && !value.truthy()) {
            return Ok(None);
        }
        let named: Vec<Namespace> = texts(&get("namespaces")).into_iter().map(Namespace::trusted).collect();
        Ok(Some(Self {
            namespaces: if named.is_empty() { vec![own.clone()] } else { named },
            include: globs("namespaceFiles.include", &get("include"), Glob::anywhere)?,
            exclude: globs("namespaceFiles.exclude", &get("exclude"), Glob::anywhere)?,
        }))
    }

    fn wants(&self, path: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|glob| glob.fits(path));
        included && !self.exclude.iter().any(|glob| glob.fits(path))
    }
}

impl Cache {
    fn read(asked: &Map, place: &Place<'_>) -> Result<Self, Failure> {
        let get = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let ttl = match get("ttl") {
            Value::Null => None,
            ttl => Some(model::duration::of_value(&ttl).map_err(|why| wrong("cache.ttl", why))?),
        };
        let patterns = globs("cache.patterns", &get("patterns"), Glob::anchored)?;
        let flow = place.flow;
        let namespace = flow.namespace.as_str().replace('.', "/");
        Ok(Self { patterns, ttl, folder: format!("{namespace}/{}/_cache/{}/", flow.id, place.task) })
    }
}

/// A structure, also where an expression gave its JSON as text.
fn structured(value: Value) -> Value {
    match value.as_str().map(|text| (text.trim().is_empty(), Value::parse_json(text))) {
        Some((true, _)) => Value::Null,
        Some((false, Ok(parsed))) => parsed,
        _ => value,
    }
}

fn texts(value: &Value) -> Vec<String> {
    match structured(value.clone()) {
        Value::List(items) => items.iter().map(ToString::to_string).collect(),
        Value::Null => Vec::new(),
        one => vec![one.to_string()],
    }
}

fn globs(property: &str, value: &Value, read: fn(&str) -> Result<Glob, String>) -> Result<Vec<Glob>, Failure> {
    texts(value).iter().map(|pattern| read(pattern).map_err(|why| wrong(property, why))).collect()
}

impl Node {
    /// Puts the files in that a working directory begins with.
    pub(super) async fn fill(&self, root: &Path, wanted: &Wanted, place: &Place<'_>) -> Result<bool, Failure> {
        if let Some(asked) = &wanted.namespace_files {
            for namespace in &asked.namespaces {
                let folder = format!("{TENANT}/{}", namespace_folder(namespace));
                for file in self.files_below(&folder).await? {
                    let Some(path) = file.path.strip_prefix(&folder).filter(|path| asked.wants(path)) else { continue };
                    self.put_blob(root, path, &file.content).await?;
                }
            }
        }
        let cached = match &wanted.cache {
            Some(cache) => self.restore(root, cache).await?,
            None => false,
        };
        for (name, content) in wanted.input_files.as_map().into_iter().flatten() {
            if content.is_null() {
                continue;
            }
            if content.has_secret() {
                let why =
                    format!("`{name}` holds a secret: plugins never get one; hint: give it to the task that uses it");
                return Err(wrong("inputFiles", why));
            }
            let text = content.to_string();
            if text.starts_with(SCHEME) || text.starts_with(NAMESPACE_SCHEME) {
                let path = self.readable(&text, place.execution).await.map_err(|error| broken(name, error))?;
                let path = path.ok_or_else(|| {
                    wrong(
                        "inputFiles",
                        format!("`{name}` is `{text}`, which is not a file that this execution may read"),
                    )
                })?;
                let key = Key::File(format!("{TENANT}/{path}").into());
                let found = self.store.find::<rows::File>(View::Newest, key).await;
                let file = found.map_err(|error| broken(name, error))?;
                let file = file.ok_or_else(|| wrong("inputFiles", format!("there is no file `{text}`")))?;
                self.put_blob(root, name, &file.content).await?;
            } else {
                let mut open = create(root, name).await?;
                let written = async {
                    open.write_all(text.as_bytes()).await?;
                    open.flush().await
                };
                written.await.map_err(|error| broken(name, error))?;
            }
        }
        Ok(cached)
    }

    /// Takes the files out that are to stay: the outputs of the task.
    pub(super) async fn harvest(
        &self,
        root: &Path,
        wanted: &Wanted,
        place: &Place<'_>,
        cached: bool,
        keeping: &Keeping,
    ) -> Result<Value, Failure> {
        if let Some(cache) = wanted.cache.as_ref().filter(|_| !cached) {
            self.save(root, cache, keeping).await?;
        }
        if wanted.output_files.is_empty() {
            return Ok(Value::Null);
        }
        let own = folder_of(place.flow, place.execution);
        let folder = format!("{own}tasks/{}/{}", task_folder(place.task.as_str()), place.run);
        let mut uris = Map::new();
        let mut room = self.room();
        for (path, file) in chosen(root, &wanted.output_files)? {
            let content = self.take_blob(&file, &mut room).await?;
            let stored = format!("{folder}/{path}");
            let mut batch = store::Batch::new();
            batch.put(self.file_row(&format!("{TENANT}/{stored}"), content));
            self.store.commit(batch).await.map_err(|error| broken(&path, error))?;
            uris.insert(path.into(), Value::from(format!("{SCHEME}{stored}")));
        }
        Ok(Value::map([("outputFiles", Value::from(uris))]))
    }

    /// Puts a cache that is still good into a directory. Whether there was one.
    async fn restore(&self, root: &Path, cache: &Cache) -> Result<bool, Failure> {
        let folder = format!("{TENANT}/{}", cache.folder);
        let files = self.files_below(&folder).await?;
        let stamp = files.iter().find(|file| file.path.strip_prefix(&folder) == Some(STAMP));
        let Some(made) = stamp.map(|file| file.updated) else { return Ok(false) };
        let good_until = cache.ttl.map(|ttl| made.saturating_add(ttl).unwrap_or(Timestamp::MAX));
        if good_until.is_some_and(|until| until <= self.now()) {
            return Ok(false);
        }
        for file in &files {
            if let Some(path) = file.path.strip_prefix(&folder).filter(|path| *path != STAMP) {
                self.put_blob(root, path, &file.content).await?;
            }
        }
        Ok(true)
    }

    /// Makes a cache of what is in a directory, in place of what there was, with the good end of its task.
    async fn save(&self, root: &Path, cache: &Cache, keeping: &Keeping) -> Result<(), Failure> {
        let folder = format!("{TENANT}/{}", cache.folder);
        let limit = |error: runtime::HostError| wrong("cache.patterns", error);
        for old in self.files_below(&folder).await? {
            keeping.set_file(old.path.clone(), Write::Delete).map_err(limit)?;
        }
        let mut all = chosen(root, &cache.patterns)?;
        all.remove(STAMP);
        let mut room = self.room();
        for (path, file) in all {
            let row = self.file_row(&format!("{folder}{path}"), self.take_blob(&file, &mut room).await?);
            keeping.set_file(row.path.clone(), Write::Put(row)).map_err(limit)?;
        }
        let blob = self.store.write_blob(self.now()).await.map_err(|error| broken("cache", error))?;
        let empty = blob.finish().await.map_err(|error| broken("cache", error))?;
        let stamp = self.file_row(&format!("{folder}{STAMP}"), empty);
        keeping.set_file(stamp.path.clone(), Write::Put(stamp)).map_err(limit)
    }

    async fn files_below(&self, folder: &str) -> Result<Vec<Arc<rows::File>>, Failure> {
        let query = Query::Files { prefix: folder.into() };
        let found = self.store.all::<rows::File>(View::Newest, query, FILES_MAX).await;
        Ok(found.map_err(|error| broken(folder, error))?.into_iter().map(|file| file.row).collect())
    }

    fn file_row(&self, path: &str, content: BlobInfo) -> rows::File {
        let now = self.now();
        rows::File { path: path.into(), content, created: now, updated: now, metadata: BTreeMap::new() }
    }

    /// Writes a stored content into a directory.
    async fn put_blob(&self, root: &Path, path: &str, content: &BlobInfo) -> Result<(), Failure> {
        let mut open = create(root, path).await?;
        let reader = self.store.read_blob(content.id.clone(), 0).await.map_err(|error| broken(path, error))?;
        let Some(mut reader) = reader else { return Err(broken(path, "its content is gone")) };
        while let Some(piece) = reader.read().await.map_err(|error| broken(path, error))? {
            open.write_all(&piece).await.map_err(|error| broken(path, error))?;
        }
        open.flush().await.map_err(|error| broken(path, error))
    }

    /// Bytes that are taken from one directory. More than was written there: a file with holes is larger than what it took to make it.
    fn room(&self) -> u64 {
        self.config.limits.working_dir_bytes
    }

    /// Stores a file's content, if there is room.
    async fn take_blob(&self, file: &Path, room: &mut u64) -> Result<BlobInfo, Failure> {
        let shown = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut open = tokio::fs::File::open(file).await.map_err(|error| broken(&shown, error))?;
        let mut blob = self.store.write_blob(self.now()).await.map_err(|error| broken(&shown, error))?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = open.read(&mut piece).await.map_err(|error| broken(&shown, error))?;
            if read == 0 {
                return blob.finish().await.map_err(|error| broken(&shown, error));
            }
            *room = room.checked_sub(read as u64).ok_or_else(|| {
                let most = self.room();
                let why = format!("more than {most} bytes fit; hint: make the patterns narrower");
                Failure { retryable: Some(false), ..Failure::new("working-directory", why) }
            })?;
            let bytes = Bytes::copy_from_slice(piece.get(..read).unwrap_or_default());
            blob.write(bytes).await.map_err(|error| broken(&shown, error))?;
        }
    }
}

/// Opens a new file below a directory, with the folders it is in. What is in its way is refused, links above all.
async fn create(root: &Path, name: &str) -> Result<tokio::fs::File, Failure> {
    let refused = |why: &str| wrong("inputFiles", format!("`{}` {why}", name.escape_debug()));
    let relative = PathBuf::from(name.trim_start_matches("./").trim_start_matches('/'));
    let clean = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !clean || relative.as_os_str().is_empty() || name.ends_with('/') || name.contains('\0') {
        return Err(refused("is no path within the directory"));
    }
    let mut at = root.to_owned();
    let parent = relative.parent().unwrap_or(Path::new(""));
    for part in parent.components() {
        at.push(part);
        match std::fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(refused("goes through something that is no folder")),
            Err(_) => std::fs::create_dir(&at).map_err(|error| broken(name, error))?,
        }
    }
    let path = root.join(&relative);
    if std::fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
        return Err(refused("is there already, and no file"));
    }
    tokio::fs::File::create(&path).await.map_err(|error| broken(name, error))
}

/// The regular files below a directory that fit one of the patterns, by their path with `/`.
fn chosen(root: &Path, patterns: &[Glob]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut found = BTreeMap::new();
    look(root, "", 0, &mut |path, file| {
        if patterns.iter().any(|glob| glob.fits(&path)) {
            found.insert(path, file);
        }
        found.len() <= FILES_MAX
    })
    .map_err(|error| broken("the working directory", error))?;
    if found.len() > FILES_MAX {
        return Err(wrong("outputFiles", format!("more than {FILES_MAX} files fit; hint: make the patterns narrower")));
    }
    Ok(found)
}

fn look(
    folder: &Path,
    prefix: &str,
    depth: usize,
    take: &mut dyn FnMut(String, PathBuf) -> bool,
) -> std::io::Result<()> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Of the entry itself: a link is neither a folder nor a file.
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if kind.is_dir() {
            look(&entry.path(), &path, depth + 1, take)?;
        } else if kind.is_file() && !take(path, entry.path()) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        std::fs::create_dir_all(root.join("out/deep")).expect("a folder");
        for name in ["a.txt", "out/b.txt", "out/deep/c.txt"] {
            std::fs::write(root.join(name), name).expect("a file");
        }
        std::os::unix::fs::symlink("/etc", root.join("out/etc")).expect("a link");
        std::os::unix::fs::symlink("/etc/hostname", root.join("out/host.txt")).expect("a link");
        let check = |pattern: &str, expected: &[&str]| {
            let globs = [Glob::anchored(pattern).expect("a pattern")];
            let found = chosen(root, &globs).expect("it is read");
            assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{pattern}");
        };
        check("**", &["a.txt", "out/b.txt", "out/deep/c.txt"]);
        check("out/*", &["out/b.txt"]);
        check("*.csv", &[]);
    }

    #[tokio::test]
    async fn files_are_made_within_the_directory() {
        let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let root = folder.path();
        create(root, "a/b/c.txt").await.expect("it is made");
        create(root, "/a/d.txt").await.expect("a leading separator is the directory's");
        assert!(root.join("a/b/c.txt").is_file() && root.join("a/d.txt").is_file());
        std::os::unix::fs::symlink(outside.path(), root.join("link")).expect("a link");
        std::os::unix::fs::symlink(outside.path().join("x"), root.join("file")).expect("a link");
        for bad in ["../x", "a/../../x", "link/x", "file", "", "a", "a/", "x\0y"] {
            assert!(create(root, bad).await.is_err(), "{bad}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).expect("a folder").count(), 0);
    }
}

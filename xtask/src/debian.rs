//! Gets the two Debian packages that an overlay is made of: from a folder, or from a mirror's pool, and always with their
//! sha256 checked. It never installs a package and never runs a package's scripts.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use xtask::source_hash::sha256;

use crate::process;
use crate::progress::{say, size};

/// The public pool, asked last.
const PUBLIC_MIRROR: &str = "http://deb.debian.org/debian";
/// Names a mirror to ask instead of all others.
const MIRROR_VARIABLE: &str = "SLUICE_DEBIAN_MIRROR";
/// Most mirrors asked for one package; a sources list may name dozens.
const MAX_MIRRORS: usize = 4;
/// Seconds to reach a mirror.
const CONNECT_TIMEOUT_S: &str = "20";
/// Seconds for one download: 45 MB at 75 KB/s.
const DOWNLOAD_TIMEOUT_S: &str = "600";

/// A package file, known by its bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    pool: &'static str,
    pub sha256: &'static str,
    size_bytes: u64,
}

/// Packages of the standard library's sources, one per rustc that is supported (a standard library only fits its own
/// compiler). Debian trixie-backports; the sums are those of its signed package list.
const RUST_SRC: &[Package] = &[Package {
    name: "rust-src",
    version: "1.95.0+dfsg1-2~bpo13+1",
    pool: "pool/main/r/rustc",
    sha256: "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b",
    size_bytes: 45_097_356,
}];

/// The C library under it. Debian forky; the first version that carries `/usr/lib/wasm32-wasip2`.
const WASI_LIBC: Package = Package {
    name: "wasi-libc",
    version: "0.0~git20260423.161b319-2",
    pool: "pool/main/w/wasi-libc",
    sha256: "1051dbb0a5e6d3f709de83b6afb423e07a8ab19a9e9f12ef20ff902131e7b8bc",
    size_bytes: 1_168_616,
};

impl Package {
    pub fn file_name(&self) -> String {
        format!("{}_{}_all.deb", self.name, self.version)
    }

    fn check(&self, bytes: &[u8]) -> Result<()> {
        let found = sha256(bytes);
        if found != self.sha256 {
            bail!("`{}` has sha256 {found}, expected {}", self.file_name(), self.sha256);
        }
        Ok(())
    }
}

/// The sources of the standard library and the C library for rustc `version`.
pub fn packages_for(version: &str) -> Result<[&'static Package; 2]> {
    let upstream = |package: &&Package| package.version.split('+').next() == Some(version);
    match RUST_SRC.iter().find(upstream) {
        Some(sources) => Ok([sources, &WASI_LIBC]),
        None => {
            let known: Vec<_> = RUST_SRC.iter().filter_map(|package| package.version.split('+').next()).collect();
            bail!(
                "no Debian package with the standard library of rustc `{version}` is known\nhint: known are {}; use the toolchain of rust-toolchain.toml, or `rustup target add wasm32-wasip2`",
                known.join(", ")
            )
        }
    }
}

/// Puts `package` into `cache` (or takes it from `given`) and returns where it is, checked.
pub fn fetch(package: &Package, cache: &Path, given: Option<&Path>) -> Result<PathBuf> {
    let name = package.file_name();
    if let Some(folder) = given {
        let path = folder.join(&name);
        let bytes = fs::read(&path).with_context(|| {
            format!("cannot read `{}`\nhint: --packages names a folder with `{name}` in it", path.display())
        })?;
        package.check(&bytes).with_context(|| format!("`{}` is another file than expected", path.display()))?;
        return Ok(path);
    }
    let path = cache.join(&name);
    if fs::read(&path).is_ok_and(|bytes| package.check(&bytes).is_ok()) {
        say(format!("{} {}: already downloaded", package.name, package.version));
        return Ok(path);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot create `{}`", cache.display()))?;
    let mut refusals = Vec::new();
    for mirror in mirrors() {
        let url = format!("{}/{}/{name}", mirror.trim_end_matches('/'), package.pool);
        say(format!(
            "downloading {} {} ({}) from {}",
            package.name,
            package.version,
            size(package.size_bytes),
            without_login(&mirror)
        ));
        match download(&url, package, &path) {
            Ok(()) => return Ok(path),
            Err(error) => refusals.push(format!("  {}: {error:#}", without_login(&url))),
        }
    }
    Err(anyhow!(
        "cannot download `{name}`:\n{}\nhint: name a mirror that has it with {MIRROR_VARIABLE}=http://host/debian (https://snapshot.debian.org/archive/debian/<date> keeps superseded packages), or put the files into a folder and pass --packages FOLDER",
        refusals.join("\n")
    ))
}

/// Downloads beside `path` and moves the file there once its sum is right.
fn download(url: &str, package: &Package, path: &Path) -> Result<()> {
    let partial = path.with_extension("deb.partial");
    let mut command = if process::exists("curl") {
        let mut curl = Command::new("curl");
        curl.args([
            "--fail",
            "--location",
            "--silent",
            "--show-error",
            "--connect-timeout",
            CONNECT_TIMEOUT_S,
            "--max-time",
            DOWNLOAD_TIMEOUT_S,
        ]);
        curl.arg("--max-filesize").arg(package.size_bytes.to_string()).arg("--output").arg(&partial).arg(url);
        curl
    } else if process::exists("wget") {
        let mut wget = Command::new("wget");
        wget.args([
            "--no-verbose",
            "--tries=1",
            "--connect-timeout",
            CONNECT_TIMEOUT_S,
            "--read-timeout",
            CONNECT_TIMEOUT_S,
            "-O",
        ])
        .arg(&partial)
        .arg(url);
        wget
    } else {
        bail!("neither `curl` nor `wget` is installed\nhint: install one of them, or pass --packages FOLDER");
    };
    if let Some(proxy) = apt_proxy() {
        for name in ["http_proxy", "https_proxy"] {
            if env::var_os(name).is_none() {
                command.env(name, &proxy);
            }
        }
    }
    let output = command.stdin(Stdio::null()).output().context("cannot start the download")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{}", words.lines().last().unwrap_or("no answer").trim());
    }
    let bytes = fs::read(&partial).with_context(|| format!("cannot read `{}`", partial.display()))?;
    package.check(&bytes)?;
    fs::rename(&partial, path).with_context(|| format!("cannot create `{}`", path.display()))
}

/// The proxy that apt itself uses, if it names one.
fn apt_proxy() -> Option<String> {
    let output = Command::new("apt-config")
        .args(["shell", "PROXY", "Acquire::http::Proxy"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let proxy = text.trim().strip_prefix("PROXY='")?.strip_suffix('\'')?;
    (!proxy.is_empty() && proxy != "DIRECT" && proxy != "false").then(|| proxy.to_owned())
}

/// The mirrors to ask, in order.
fn mirrors() -> Vec<String> {
    if let Ok(mirror) = env::var(MIRROR_VARIABLE) {
        return vec![mirror];
    }
    let mut lists = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        lists.extend(folder.filter_map(Result::ok).map(|entry| entry.path()));
    }
    lists.sort();
    let texts: Vec<_> = lists.iter().filter_map(|list| fs::read_to_string(list).ok()).collect();
    choose_mirrors(texts.iter().map(String::as_str))
}

/// Debian mirrors named in apt's sources (both formats), then the public one.
fn choose_mirrors<'a>(lists: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut mirrors: Vec<String> = Vec::new();
    let lines =
        lists.flat_map(str::lines).map(str::trim).filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"));
    let is_debian = |word: &&str| {
        (word.starts_with("http://") || word.starts_with("https://")) && word.trim_end_matches('/').ends_with("/debian")
    };
    for word in lines.flat_map(str::split_whitespace).filter(is_debian) {
        let mirror = word.trim_end_matches('/').to_owned();
        if !mirrors.contains(&mirror) {
            mirrors.push(mirror);
        }
    }
    mirrors.truncate(MAX_MIRRORS - 1);
    if !mirrors.iter().any(|mirror| mirror == PUBLIC_MIRROR) {
        mirrors.push(PUBLIC_MIRROR.to_owned());
    }
    mirrors
}

/// A URL as it may be shown: a login in it is left out.
fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    format!("{scheme}://{}/{path}", host.rsplit('@').next().unwrap_or(host))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn sources_are_of_exactly_the_compilers_version() {
        let [sources, libc] = packages_for("1.95.0").unwrap();
        assert_eq!(sources.file_name(), "rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb");
        assert_eq!(libc.name, "wasi-libc");
        for near in ["1.95.1", "1.95", "1.94.1", "1.95.0-nightly"] {
            let error = packages_for(near).unwrap_err().to_string();
            assert!(error.contains(near) && error.contains("known are 1.95.0"), "{error}");
        }
    }

    #[test]
    fn package_with_other_bytes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(WASI_LIBC.file_name()), "not a package").unwrap();
        let error = format!("{:#}", fetch(&WASI_LIBC, dir.path(), Some(dir.path())).unwrap_err());
        assert!(error.contains(WASI_LIBC.sha256), "{error}");
    }

    #[test]
    fn missing_package_in_a_given_folder_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let error = format!("{:#}", fetch(&WASI_LIBC, dir.path(), Some(dir.path())).unwrap_err());
        assert!(
            error.contains("hint: --packages names a folder with `wasi-libc_0.0~git20260423.161b319-2_all.deb`"),
            "{error}"
        );
    }

    #[test]
    fn mirrors_come_from_both_formats_of_apt_and_end_with_the_public_one() {
        let old = "# deb http://commented.example/debian trixie main\ndeb [arch=amd64] http://near.example/debian trixie main\ndeb http://near.example/debian-security trixie-security main";
        let new = "Types: deb\nURIs: https://other.example/debian/ http://near.example/debian\nSuites: forky";
        assert_eq!(
            choose_mirrors([old, new].into_iter()),
            ["http://near.example/debian", "https://other.example/debian", PUBLIC_MIRROR]
        );
        assert_eq!(choose_mirrors([""].into_iter()), [PUBLIC_MIRROR]);
    }

    #[test]
    fn login_in_a_mirror_is_not_shown() {
        assert_eq!(without_login("http://me:secret@near.example/debian/x"), "http://near.example/debian/x");
        assert_eq!(without_login("http://near.example/debian"), "http://near.example/debian");
    }
}

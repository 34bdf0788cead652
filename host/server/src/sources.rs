//! Plugins from elsewhere: the index of a source, and what a requirement means in it, fetched and checked. A source is a folder that some web
//! server hosts, or one of this machine. Installs nothing; whoever does gets components whose length, digest, name and version are right.

use std::path::{Path, PathBuf};
use std::time::Duration;

use catalog::{
    COMPONENT_BYTES_MAX, Error, Fault, INDEX_BYTES_MAX, INDEX_FILE, Index, Indexed, PluginIndex, Published,
    Requirement, SIGNATURE_BYTES_MAX, digest_of, index_of, nearest,
};
use reqwest::{Client, Response, header, redirect};
use semver::Version;
use tokio::time::{Instant, timeout, timeout_at};
use url::{Host, Url};

/// Most redirects of one request: to another host, to https, and to where a file was moved, with some to spare.
const REDIRECTS_MAX: usize = 5;
/// Most bytes of components that are fetched together: all of them are in memory until they are installed.
const FETCHED_BYTES_MAX: usize = 256 << 20;
/// Bytes that are made room for before they have come: a length that a server names is not believed.
const ROOM_MAX: usize = 1 << 20;

/// How long something that is fetched may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Until a connection is there.
    pub connect: Duration,
    /// Without a single byte.
    pub stall: Duration,
    /// In all, for one file.
    pub whole: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            // The largest component over a line of 1 Mbit/s.
            whole: Duration::from_secs(600),
        }
    }
}

/// Where plugins come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginSource {
    Url(Url),
    Folder(PathBuf),
}

/// A plugin and which of its versions.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub plugin: String,
    pub requirement: Requirement,
}

/// A version that was fetched, and is what the source said.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub component: Vec<u8>,
    pub signature: Option<String>,
    /// Its address.
    pub origin: String,
    /// Whether it came from somebody else's machine.
    pub is_remote: bool,
}

/// Told how many bytes of how many have come, of what.
pub type Progress<'a> = &'a (dyn Fn(&str, u64, u64) + Sync);

/// Fetches.
pub struct Fetcher {
    /// Through the proxies of the environment.
    outside: Client,
    /// To this machine itself.
    here: Client,
    times: Times,
}

/// One file that is asked for.
struct Asked<'a> {
    /// As it is named in messages.
    what: &'a str,
    url: Url,
    limit: u64,
    /// Where it is known before.
    size: Option<u64>,
}

impl<'a> Asked<'a> {
    fn new(what: &'a str, url: Url, limit: u64) -> Self {
        Self { what, url, limit, size: None }
    }
}

impl PluginSource {
    /// `http://…` and `https://…` are addresses, everything else is a folder.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if !text.contains("://") {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let unreadable = |error: url::ParseError| fetch_error("the index", text, Fault::Unreachable(error.to_string()));
        let mut url = Url::parse(text).map_err(unreadable)?;
        // Everything is looked for below it.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url.set_query(None);
        url.set_fragment(None);
        allowed("the index", &url, true)?;
        Ok(Self::Url(url))
    }
}

impl Wanted {
    /// `mail@^1`, or `mail` for the newest; `separator` stands between the two.
    pub fn parse(text: &str, separator: char) -> Result<Self, Error> {
        let (plugin, requirement) = text.split_once(separator).unwrap_or((text, "LATEST"));
        Ok(Self { plugin: plugin.to_owned(), requirement: Requirement::parse(requirement)? })
    }
}

impl std::fmt::Display for PluginSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&shown(url)),
            Self::Folder(folder) => folder.display().fmt(f),
        }
    }
}

impl Fetcher {
    /// The process has to have chosen a provider of TLS before.
    pub fn new(times: Times) -> Result<Self, Error> {
        let client = || {
            Client::builder()
                .redirect(redirect::Policy::none())
                .connect_timeout(times.connect)
                .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        };
        let unmade = |error: reqwest::Error| fetch_error("anything", "", Fault::Unreachable(words(&error)));
        Ok(Self {
            outside: client().build().map_err(unmade)?,
            here: client().no_proxy().build().map_err(unmade)?,
            times,
        })
    }

    /// Everything that a source offers.
    pub async fn list(&self, source: &PluginSource) -> Result<Index, Error> {
        let what = "the index";
        match source {
            PluginSource::Folder(folder) => Ok(of_folder(folder).await?.0),
            PluginSource::Url(base) => {
                let url = join(what, base, INDEX_FILE)?;
                let text = self.get(base, &Asked::new(what, url.clone(), INDEX_BYTES_MAX), None).await?;
                Index::parse(&text).map_err(|fault| fetch_error(what, &shown(&url), fault))
            }
        }
    }

    /// The version that is wanted, for a host of this version.
    pub async fn fetch(
        &self,
        source: &PluginSource,
        wanted: &Wanted,
        host: &Version,
        progress: Option<Progress<'_>>,
    ) -> Result<Fetched, Error> {
        match source {
            PluginSource::Folder(folder) => from_folder(folder, wanted, host).await,
            PluginSource::Url(base) => self.fetch_url(base, wanted, host, progress).await,
        }
    }

    /// All that is wanted, each from the first source that offers the plugin.
    pub async fn fetch_all(
        &self,
        sources: &[PluginSource],
        wanted: &[Wanted],
        host: &Version,
        progress: Option<Progress<'_>>,
    ) -> Result<Vec<Fetched>, Error> {
        let mut fetched: Vec<Fetched> = Vec::new();
        for wanted in wanted {
            let one = self.fetch_from_any(sources, wanted, host, progress).await?;
            let bytes: usize = fetched.iter().chain([&one]).map(|fetched| fetched.component.len()).sum();
            if bytes > FETCHED_BYTES_MAX {
                let what = "all of these at once";
                return Err(fetch_error(what, &one.origin, Fault::TooLong { limit: FETCHED_BYTES_MAX as u64 }));
            }
            fetched.push(one);
        }
        Ok(fetched)
    }

    async fn fetch_from_any(
        &self,
        sources: &[PluginSource],
        wanted: &Wanted,
        host: &Version,
        progress: Option<Progress<'_>>,
    ) -> Result<Fetched, Error> {
        let plugin = wanted.plugin.clone();
        let mut refused = Error::NotOffered { plugin, at: "no source at all".to_owned(), nearest: Vec::new() };
        for source in sources {
            match self.fetch(source, wanted, host, progress).await {
                Err(error @ Error::NotOffered { .. }) => refused = error,
                answer => return answer,
            }
        }
        Err(refused)
    }

    async fn fetch_url(
        &self,
        base: &Url,
        wanted: &Wanted,
        host: &Version,
        progress: Option<Progress<'_>>,
    ) -> Result<Fetched, Error> {
        let index = self.index_of_one(base, &wanted.plugin).await?;
        let indexed = index.pick(&wanted.requirement, host)?;
        let what = format!("plugin `{}` {}", wanted.plugin, indexed.version);
        let beside = index.base_url.as_ref().map_or(Ok(base.clone()), |other| join(&what, base, other))?;
        let url = join(&what, &beside, &indexed.path)?;
        let origin = shown(&url);
        let fault = |fault| fetch_error(&what, &origin, fault);
        if indexed.size_bytes > COMPONENT_BYTES_MAX {
            return Err(fault(Fault::TooLong { limit: COMPONENT_BYTES_MAX }));
        }
        let size = Some(indexed.size_bytes);
        let asked = Asked { size, ..Asked::new(&what, url, indexed.size_bytes) };
        let component = self.get(base, &asked, progress).await?;
        let got = component.len() as u64;
        if got != indexed.size_bytes {
            return Err(fault(Fault::CutOff { got, size: indexed.size_bytes }));
        }
        checked(&component, indexed, &wanted.plugin, &origin).map_err(fault)?;
        let signature = match &indexed.signature {
            None => None,
            Some(path) => Some(self.signature(&what, base, join(&what, &beside, path)?).await?),
        };
        Ok(Fetched { component, signature, origin, is_remote: true })
    }

    async fn index_of_one(&self, base: &Url, plugin: &str) -> Result<PluginIndex, Error> {
        let what = format!("the index of plugin `{plugin}`");
        let not_offered = |nearest| Error::NotOffered { plugin: plugin.to_owned(), at: shown(base), nearest };
        // Never a path of somebody's choice.
        if catalog::PluginName::parse(plugin).is_none() {
            return Err(not_offered(Vec::new()));
        }
        let url = join(&what, base, &format!("{plugin}/{INDEX_FILE}"))?;
        match self.get(base, &Asked::new(&what, url.clone(), INDEX_BYTES_MAX), None).await {
            Ok(text) => PluginIndex::parse(&text, plugin).map_err(|fault| fetch_error(&what, &shown(&url), fault)),
            // Whether it is the plugin that is not there or the source, the index of all says.
            Err(Error::Fetch { fault: Fault::Status(404), .. }) => {
                let all = self.list(&PluginSource::Url(base.clone())).await?;
                Err(not_offered(nearest(plugin, all.plugins.iter().map(|listed| listed.name.as_str()))))
            }
            Err(error) => Err(error),
        }
    }

    async fn signature(&self, what: &str, base: &Url, url: Url) -> Result<String, Error> {
        let what = format!("the signature of {what}");
        let text = self.get(base, &Asked::new(&what, url, SIGNATURE_BYTES_MAX), None).await?;
        // Bytes that are no text are no signature either, and are told of as that.
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The whole of a file of the source at `base`, after redirects, each of which is looked at.
    async fn get(&self, base: &Url, asked: &Asked<'_>, progress: Option<Progress<'_>>) -> Result<Vec<u8>, Error> {
        let end = Instant::now() + self.times.whole;
        let late = |url: &Url| {
            let fault = Fault::TooSlow { seconds: self.times.whole.as_secs() };
            fetch_error(asked.what, &shown(url), fault)
        };
        let mut url = asked.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            allowed(asked.what, &url, is_here(base))?;
            let response = timeout_at(end, self.once(asked.what, &url)).await.map_err(|_| late(&url))??;
            if !response.status().is_redirection() {
                return timeout_at(end, self.body(asked, &url, response, progress)).await.map_err(|_| late(&url))?;
            }
            let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            url = join(asked.what, &url, to)?;
        }
        Err(fetch_error(asked.what, &shown(&asked.url), Fault::Redirects { limit: REDIRECTS_MAX }))
    }

    async fn once(&self, what: &str, url: &Url) -> Result<Response, Error> {
        let client = if is_here(url) { &self.here } else { &self.outside };
        let failed = |fault| fetch_error(what, &shown(url), fault);
        let asked = timeout(self.times.stall, client.get(url.clone()).send()).await;
        let response = asked.map_err(|_| failed(self.stalled()))?;
        let response = response.map_err(|error| failed(Fault::Unreachable(words(&error))))?;
        match response.status() {
            status if status.is_success() || status.is_redirection() => Ok(response),
            status => Err(failed(Fault::Status(status.as_u16()))),
        }
    }

    async fn body(
        &self,
        asked: &Asked<'_>,
        url: &Url,
        mut response: Response,
        progress: Option<Progress<'_>>,
    ) -> Result<Vec<u8>, Error> {
        let failed = |fault| fetch_error(asked.what, &shown(url), fault);
        let too_long = || failed(Fault::TooLong { limit: asked.limit });
        let named = response.content_length();
        if named.is_some_and(|named| named > asked.limit) {
            return Err(too_long());
        }
        let size = asked.size.or(named).unwrap_or_default();
        let room = usize::try_from(size).unwrap_or(ROOM_MAX).min(ROOM_MAX);
        let mut bytes = Vec::with_capacity(room);
        loop {
            let chunk = timeout(self.times.stall, response.chunk()).await.map_err(|_| failed(self.stalled()))?;
            // A connection that ends before the file does.
            let chunk = chunk.map_err(|_| failed(Fault::CutOff { got: bytes.len() as u64, size }))?;
            let Some(chunk) = chunk else { return Ok(bytes) };
            if (bytes.len() + chunk.len()) as u64 > asked.limit {
                return Err(too_long());
            }
            bytes.extend_from_slice(&chunk);
            if let Some(progress) = progress {
                progress(asked.what, bytes.len() as u64, size);
            }
        }
    }

    fn stalled(&self) -> Fault {
        Fault::Stalled { seconds: self.times.stall.as_secs() }
    }
}

/// Whether these are the bytes that the index speaks of, and the plugin that was asked for.
fn checked(component: &[u8], indexed: &Indexed, plugin: &str, origin: &str) -> Result<(), Fault> {
    let found = digest_of(component);
    if found != indexed.sha256 {
        return Err(Fault::OtherBytes { found, published: indexed.sha256.clone() });
    }
    // What is no plugin at all is told of by who installs it, in the words that a file gets.
    let Ok(published) = Published::of(component, None, origin) else { return Ok(()) };
    let manifest = published.manifest;
    match manifest.name.as_str() == plugin && manifest.version == indexed.version {
        true => Ok(()),
        false => Err(Fault::OtherPlugin { plugin: manifest.name.to_string(), version: manifest.version }),
    }
}

async fn of_folder(folder: &Path) -> Result<(Index, Vec<PluginIndex>), Error> {
    let (folder, named) = (folder.to_owned(), folder.display().to_string());
    let reading = tokio::task::spawn_blocking(move || index_of(&folder, None)).await;
    reading.unwrap_or_else(|error| Err(fetch_error("the index", &named, Fault::Unreachable(error.to_string()))))
}

async fn from_folder(folder: &Path, wanted: &Wanted, host: &Version) -> Result<Fetched, Error> {
    let (index, plugins) = of_folder(folder).await?;
    let at = folder.display().to_string();
    let Some(of_one) = plugins.iter().find(|of_one| of_one.name == wanted.plugin) else {
        let nearest = nearest(&wanted.plugin, index.plugins.iter().map(|listed| listed.name.as_str()));
        return Err(Error::NotOffered { plugin: wanted.plugin.clone(), at, nearest });
    };
    let indexed = of_one.pick(&wanted.requirement, host)?;
    let what = format!("plugin `{}` {}", wanted.plugin, indexed.version);
    let path = folder.join(&indexed.path);
    let origin = path.display().to_string();
    let read = |path: PathBuf| async move { tokio::fs::read(&path).await };
    let unread = |error: std::io::Error| fetch_error(&what, &origin, Fault::Unreachable(error.to_string()));
    let component = read(path).await.map_err(unread)?;
    checked(&component, indexed, &wanted.plugin, &origin).map_err(|fault| fetch_error(&what, &origin, fault))?;
    let signature = match &indexed.signature {
        None => None,
        Some(path) => {
            let text = read(folder.join(path)).await.map_err(unread)?;
            Some(String::from_utf8_lossy(&text).into_owned())
        }
    };
    Ok(Fetched { component, signature, origin, is_remote: false })
}

/// Only https is asked, and plain http on this machine. Whoever is elsewhere sends nobody to this machine's own services.
fn allowed(what: &str, url: &Url, from_here: bool) -> Result<(), Error> {
    match url.scheme() {
        "https" if from_here || !is_here(url) => Ok(()),
        "http" if from_here && is_here(url) => Ok(()),
        _ => Err(fetch_error(what, &shown(url), Fault::NotAllowed { of: shown(url) })),
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn join(what: &str, base: &Url, path: &str) -> Result<Url, Error> {
    base.join(path).map_err(|error| fetch_error(what, &shown(base), Fault::Unreachable(format!("`{path}`: {error}"))))
}

/// An address without the password in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Only an address that cannot have them refuses.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}

/// What went wrong, down to the reason.
fn words(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn fetch_error(what: &str, at: &str, fault: Fault) -> Error {
    Error::Fetch { what: what.to_owned(), at: at.to_owned(), fault }
}

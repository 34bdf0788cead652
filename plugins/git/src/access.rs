//! Where a repository is and how it is reached: the address, credentials, TLS, time.

use std::time::Duration;

use serde_json::{Map, Value};
use sluice_sdk::http::{Egress, EgressOptions, Timeouts, Url, basic};
use sluice_sdk::{Context, Failure, files};

use crate::failures::{self, fault};

/// Longest certificate file that is read.
const CA_BYTES_MAX: u64 = 1 << 20;

/// The properties that every task has. A macro, because flattening one struct into another would let unknown properties through.
macro_rules! properties_of_access {
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[sluice_sdk::properties]
        pub struct $name {
            /// The repository, as an `https` or `http` URL.
            url: String,
            /// Who asks. With a token as the password, most servers take any name.
            username: Option<String>,
            /// The password, or a token.
            #[secret]
            password: Option<String>,
            /// Certificates to trust beside the usual ones: a file of the working directory or of the storage (`kestra:///…`, `nsfile:///…`) with PEM, or
            /// the PEM itself.
            trusted_ca_pem_path: Option<String>,
            /// Longest wait for a connection, in milliseconds.
            #[default(10_000_u64)]
            connect_timeout: u64,
            /// Longest silence of the server, in milliseconds.
            #[default(60_000_u64)]
            read_timeout: u64,
            /// Taken, and nothing follows from it: requests go through no proxy here.
            #[unused]
            no_proxy: Option<bool>,
            /// Configuration of Git by section, as in `http: {postBuffer: 1}`. It is written to a clone and means nothing to this plugin.
            git_config: Option<serde_json::Map<String, serde_json::Value>>,
            /// Not spoken: SSH. Use an `https` URL with a token.
            #[secret]
            private_key: Option<String>,
            /// Not spoken: SSH.
            #[secret]
            passphrase: Option<String>,
            $($own)*
        }

        impl $name {
            /// How the repository is reached.
            fn access(&self, cx: &sluice_sdk::Context) -> Result<$crate::access::Access, sluice_sdk::Failure> {
                $crate::access::Access::new(
                    &$crate::access::Written {
                        url: &self.url,
                        username: self.username.as_deref(),
                        password: self.password.as_deref(),
                        ca: self.trusted_ca_pem_path.as_deref(),
                        connect_ms: self.connect_timeout,
                        silence_ms: self.read_timeout,
                        config: self.git_config.as_ref(),
                        has_key: self.private_key.is_some() || self.passphrase.is_some(),
                    },
                    cx,
                )
            }
        }
    };
}
pub(crate) use properties_of_access;

/// The properties as they are written.
pub struct Written<'a> {
    pub url: &'a str,
    pub username: Option<&'a str>,
    pub password: Option<&'a str>,
    pub ca: Option<&'a str>,
    pub connect_ms: u64,
    pub silence_ms: u64,
    pub config: Option<&'a Map<String, Value>>,
    pub has_key: bool,
}

/// A repository that can be reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// Without credentials.
    pub url: Url,
    /// The header of the credentials.
    pub authorization: Option<String>,
    pub egress: Option<Egress>,
    pub timeouts: Timeouts,
    /// What a clone's configuration says beside its own.
    pub config: Option<Map<String, Value>>,
}

impl Access {
    /// Reads the properties of a task.
    pub fn new(written: &Written<'_>, cx: &Context) -> Result<Self, Failure> {
        let text = written.url.trim();
        if let Some(https) = https_form(text) {
            let message = format!(
                "`{text}` is reached over SSH, which is not spoken; hint: write `{https}`, with a token as `password`"
            );
            return Err(fault(failures::SSH, message));
        }
        let url = Url::parse(text).map_err(|failure| fault(failures::URL, failure.message().to_owned()))?;
        let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let authorization = match (given(written.username), given(written.password)) {
            // A server that takes a token takes any name with it, but not every one takes none.
            (name, Some(password)) => Some(basic(&name.unwrap_or_else(|| "git".to_owned()), &password)),
            (Some(name), None) => Some(basic(&name, "")),
            (None, None) => {
                url.user_info().map(|(name, password)| basic(&percent_decoded(name), &percent_decoded(password)))
            }
        };
        if written.has_key && authorization.is_none() {
            cx.warn("`privateKey` is for SSH, which is not spoken: the repository is asked without credentials");
        }
        let egress = match written.ca.map(str::trim).filter(|text| !text.is_empty()) {
            Some(place) => {
                Some(Egress::new(&EgressOptions { ca_pem: Some(pem(place, cx)?), ..EgressOptions::default() })?)
            }
            None => None,
        };
        let silence = Some(Duration::from_millis(written.silence_ms.max(1)));
        let timeouts = Timeouts {
            connect: Some(Duration::from_millis(written.connect_ms.max(1))),
            first_byte: silence,
            idle: silence,
            total: None,
        };
        let url = Url::parse(url.to_string().trim_end_matches('/'))?;
        Ok(Self { url, authorization, egress, timeouts, config: written.config.cloned() })
    }

    /// The address of a commit for people, where it is known how the server writes it.
    pub fn commit_url(&self, commit: &str) -> String {
        let address = self.url.to_string();
        let address = address.strip_suffix(".git").unwrap_or(&address);
        let commits = if self.url.authority().contains("gitlab") {
            "-/commit"
        } else if self.url.authority().contains("bitbucket") {
            "commits"
        } else {
            // GitHub and Gitea, and who follows them.
            "commit"
        };
        format!("{address}/{commits}/{commit}")
    }
}

/// Certificates, from where they are.
fn pem(place: &str, cx: &Context) -> Result<String, Failure> {
    if place.contains("-----BEGIN") {
        return Ok(place.to_owned());
    }
    let unreadable =
        |why: String| Failure::bad_property(format!("`trustedCaPemPath`: `{place}` cannot be read: {why}"));
    if place.contains("://") {
        let mut text = String::new();
        let file = files::open(place)?;
        if file.size() > CA_BYTES_MAX {
            return Err(unreadable(format!("it is longer than {CA_BYTES_MAX} bytes")));
        }
        std::io::Read::read_to_string(&mut std::io::BufReader::new(file), &mut text)
            .map_err(|error| unreadable(error.to_string()))?;
        return Ok(text);
    }
    let root = cx.working_dir().ok_or_else(|| {
        unreadable(
            "this task has no working directory; hint: store the file and write its URI, or write the PEM itself"
                .to_owned(),
        )
    })?;
    std::fs::read_to_string(root.join(place)).map_err(|error| unreadable(error.to_string()))
}

/// What to write instead of an address of SSH, if it is one.
fn https_form(text: &str) -> Option<String> {
    if let Some(rest) = ["ssh://", "git+ssh://", "ssh+git://"].iter().find_map(|scheme| text.strip_prefix(scheme)) {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        return Some(format!("https://{host}/{path}"));
    }
    if text.contains("://") {
        return None;
    }
    // `git@host:path`, Git's own short form.
    let (host, path) = text.split_once(':')?;
    let host = host.rsplit('@').next().unwrap_or_default();
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    (is_host && (text.contains('@') || host.contains('.')))
        .then(|| format!("https://{host}/{}", path.trim_start_matches('/')))
}

/// Credentials in a URL are percent-encoded, in a header they are not.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_where_each_server_has_them() {
        let of = |url: &str| {
            let url = Url::parse(url).expect("a URL");
            let access = Access { url, authorization: None, egress: None, timeouts: Timeouts::default(), config: None };
            access.commit_url("c0ffee")
        };
        assert_eq!(of("https://github.com/a/b.git"), "https://github.com/a/b/commit/c0ffee");
        assert_eq!(of("https://gitlab.com/a/b.git"), "https://gitlab.com/a/b/-/commit/c0ffee");
        assert_eq!(of("https://gitlab.example/g/a/b"), "https://gitlab.example/g/a/b/-/commit/c0ffee");
        assert_eq!(of("https://bitbucket.org/a/b.git"), "https://bitbucket.org/a/b/commits/c0ffee");
        assert_eq!(of("https://gitea.example:3000/a/b.git"), "https://gitea.example:3000/a/b/commit/c0ffee");
    }

    #[test]
    fn addresses_of_ssh_have_an_https_form() {
        for (text, expected) in [
            ("git@github.com:a/b.git", Some("https://github.com/a/b.git")),
            ("ssh://git@host.example:2222/a/b.git", Some("https://host.example/a/b.git")),
            ("host.example:a/b", Some("https://host.example/a/b")),
            ("https://host.example/a:b", None),
            ("C:\\repos\\a", None),
            ("not an address", None),
        ] {
            assert_eq!(https_form(text).as_deref(), expected, "{text}");
        }
    }
}

//! As much of URLs as a request needs: scheme, authority, path and query, and what a redirect points to. A placeholder of a secret may
//! stand anywhere in one, so nothing is decoded or reordered.

use std::fmt;

use super::code;
use crate::Failure;

/// An `http` or `https` URL without its fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: &'static str,
    user_info: Option<String>,
    authority: String,
    path_and_query: String,
}

fn bad(text: &str, why: &str) -> Failure {
    Failure::new(code::URL, format!("`{text}` cannot be requested: {why}")).retryable(false)
}

impl Url {
    /// Reads a URL. Spaces and letters outside ASCII in path and query are percent-encoded.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad(text, "write it whole, `https://…`"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "http",
            "https" => "https",
            _ => return Err(bad(text, "only `http` and `https` are requested")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(end);
        let (user_info, authority) = match authority.rsplit_once('@') {
            Some((user_info, authority)) => (Some(user_info.to_owned()), authority),
            None => (None, authority),
        };
        let host = authority.strip_suffix(port(authority)).unwrap_or(authority);
        if host.is_empty() {
            return Err(bad(text, "it names no host"));
        }
        if !authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte)) {
            return Err(bad(
                text,
                "its host has letters that are not allowed there, write international names as `xn--…`",
            ));
        }
        if !port(authority).is_empty() && port(authority).get(1..).is_none_or(|port| port.parse::<u16>().is_err()) {
            return Err(bad(text, "its port is no number below 65536"));
        }
        let path_and_query = match path_and_query {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        Ok(Self {
            scheme,
            user_info,
            authority: authority.to_ascii_lowercase(),
            path_and_query: encode_path(&path_and_query),
        })
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query, from the first slash.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// Name and password, still encoded. They never show in [`fmt::Display`].
    pub fn user_info(&self) -> Option<(&str, &str)> {
        self.user_info.as_deref().map(|text| text.split_once(':').unwrap_or((text, "")))
    }

    /// The last segment of the path, where there is one.
    pub fn file_name(&self) -> Option<&str> {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        path.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// Adds a query parameter.
    pub fn append_query(&mut self, name: &str, value: &str) {
        self.path_and_query.push(if self.path_and_query.contains('?') { '&' } else { '?' });
        self.path_and_query.push_str(&encode_form(name));
        self.path_and_query.push('=');
        self.path_and_query.push_str(&encode_form(value));
    }

    /// Whether both are of the same scheme, host and port, so that credentials for one are for the other.
    pub fn same_origin(&self, other: &Self) -> bool {
        let default_port = if self.scheme == "https" { ":443" } else { ":80" };
        let bare = |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_owned();
        self.scheme == other.scheme && bare(&self.authority) == bare(&other.authority)
    }

    /// What a `Location` seen at this URL points to.
    pub fn join(&self, location: &str) -> Result<Self, Failure> {
        let location = location.trim();
        let has_scheme = location.split(['/', '?', '#']).next().is_some_and(|start| start.contains(':'));
        if has_scheme {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme));
        }
        let location = location.split('#').next().unwrap_or_default();
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        let path_and_query = if location.is_empty() {
            self.path_and_query.clone()
        } else if location.starts_with('?') {
            format!("{path}{location}")
        } else if location.starts_with('/') {
            without_dots(location)
        } else {
            let folder = path.rfind('/').and_then(|at| path.get(..=at)).unwrap_or("/");
            without_dots(&format!("{folder}{location}"))
        };
        Ok(Self { path_and_query: encode_path(&path_and_query), user_info: None, ..self.clone() })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path_and_query)
    }
}

/// `:8080` of `host:8080`, `:8080` of `[::1]:8080`, nothing of `[::1]`.
fn port(authority: &str) -> &str {
    let behind_host = authority.rfind(']').map_or(0, |at| at + 1);
    let rest = authority.get(behind_host..).unwrap_or_default();
    rest.rfind(':').and_then(|at| rest.get(at..)).unwrap_or_default()
}

/// Takes `.` and `..` out of the path; the query stays.
fn without_dots(path_and_query: &str) -> String {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    let mut result = format!("/{}", kept.join("/"));
    if let Some(query) = query {
        result.push('?');
        result.push_str(query);
    }
    result
}

/// Encodes what may not stand in a path or a query; what is encoded already stays.
fn encode_path(text: &str) -> String {
    encode(text, |byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

/// Encodes a name or a value of a form or a query.
pub fn encode_form(text: &str) -> String {
    encode(text, |byte| byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte))
}

fn encode(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn urls_are_read() {
        for (text, expected) in [
            ("https://Example.com", "https://example.com/"),
            ("HTTP://host:8080?q=1#frag", "http://host:8080/?q=1"),
            ("http://[::1]:80/a b/ü?x=\"y\"", "http://[::1]:80/a%20b/%C3%BC?x=%22y%22"),
            ("https://user:p%40ss@host/p", "https://host/p"),
            ("https://host/a%20b/../c", "https://host/a%20b/../c"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), expected, "{text}");
        }
        assert_eq!(Url::parse("https://user:p%40ss@host/p").unwrap().user_info(), Some(("user", "p%40ss")));
    }

    #[test]
    fn urls_that_cannot_be_requested_are_refused() {
        for text in [
            "",
            "example.com",
            "ftp://host/",
            "http://",
            "http://:80/",
            "http://hö.de/",
            "http://host:99999/",
            "http://host:x/",
            "http://a b/",
        ] {
            assert_eq!(Url::parse(text).map_err(|failure| failure.code().to_owned()).unwrap_err(), code::URL, "{text}");
        }
    }

    #[test]
    fn locations_are_joined() {
        let base = Url::parse("https://host:1/a/b?x=1").unwrap();
        for (location, expected) in [
            ("http://other/c", "http://other/c"),
            ("//other/c", "https://other/c"),
            ("/c?y=2#f", "https://host:1/c?y=2"),
            ("c", "https://host:1/a/c"),
            ("../c/./d?u=http://x/../y", "https://host:1/c/d?u=http://x/../y"),
            ("?y=2", "https://host:1/a/b?y=2"),
            ("../../../c", "https://host:1/c"),
            ("", "https://host:1/a/b?x=1"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), expected, "{location}");
        }
        assert!(base.join("javascript:alert(1)").is_err());
    }

    #[test]
    fn origins_are_compared_with_their_default_ports() {
        let same = |a: &str, b: &str| Url::parse(a).unwrap().same_origin(&Url::parse(b).unwrap());
        assert!(same("https://h/a", "https://h:443/b"));
        assert!(!same("https://h/", "http://h/"));
        assert!(!same("https://h/", "https://h:444/"));
        assert!(!same("https://h/", "https://h.evil/"));
    }

    #[test]
    fn query_parameters_are_appended_encoded() {
        let mut url = Url::parse("http://h/p").unwrap();
        url.append_query("a b", "c&d");
        url.append_query("e", "ü");
        assert_eq!(url.path_and_query(), "/p?a%20b=c%26d&e=%C3%BC");
        assert_eq!(url.file_name(), Some("p"));
    }
}

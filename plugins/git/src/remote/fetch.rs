//! Objects of a repository, as one pack. Asks for all that is behind what is wanted: a guest has nothing yet.

use std::cell::RefCell;
use std::io::Read;
use std::ops::ControlFlow;
use std::rc::Rc;

use gix_hash::ObjectId;
use gix_protocol::Command;
use gix_protocol::fetch::response::ShallowUpdate;
use gix_protocol::fetch::{Arguments, Response};
use sluice_sdk::{Context, Failure};

use super::{Remote, agent};
use crate::failures::{self, chain, fault};

/// Largest pack: it is in memory, with its index and the largest objects beside it, and a run has 256 MiB.
pub const PACK_BYTES_MAX: usize = 96 << 20;
/// Bytes of a pack that are read in one piece, and between two reports of progress.
const PIECE_BYTES: usize = 1 << 20;
/// Words of a server that are kept.
const SAID_BYTES_MAX: usize = 4_096;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub objects: Vec<ObjectId>,
    /// Commits of each branch; all of them without it.
    pub depth: Option<u32>,
    /// Whether tags of what comes come as well.
    pub tags: bool,
}

/// What came.
#[derive(Debug)]
pub struct Fetched {
    pub pack: Vec<u8>,
    /// Commits whose parents did not come.
    pub shallow: Vec<ObjectId>,
}

impl Remote {
    /// Fetches what is wanted, and all that it needs.
    pub fn fetch(&mut self, wanted: &Wanted, cx: &Context) -> Result<Fetched, Failure> {
        let version = self.handshake.server_protocol_version;
        let mut features = Command::Fetch.default_features(version, &self.handshake.capabilities);
        features.push(agent());
        let cannot = |error: &gix_error::Error| {
            let message = format!("`{}` does not give its objects: {}", self.url, chain(error));
            self.trouble.or(|| fault(failures::PROTOCOL, message))
        };
        Response::check_required_features(version, &features).map_err(|error| cannot(&error))?;
        let mut arguments = Arguments::new(version, features, false);
        if let Some(depth) = wanted.depth {
            if !arguments.can_use_shallow() {
                let message =
                    format!("`{}` cannot give a part of its history; hint: `depth: 0` fetches all of it", self.url);
                return Err(fault(failures::PROTOCOL, message));
            }
            arguments.deepen(depth as usize);
        }
        if wanted.tags && arguments.can_use_include_tag() {
            arguments.use_include_tag();
        }
        wanted.objects.iter().for_each(|object| arguments.want(object));
        let (url, trouble) = (&self.url, &self.trouble);
        let broken = |error: &dyn std::error::Error, said: &str| {
            trouble.or(|| match said.trim() {
                "" => Failure::new(
                    failures::PROTOCOL,
                    format!("`{url}` broke off while giving its objects: {}", chain(error)),
                ),
                said => fault(failures::REFUSED, format!("`{url}` does not give its objects: {}", said.escape_debug())),
            })
        };
        let said = Said::default();
        let mut reader = arguments.send(&mut self.transport, true).map_err(|error| broken(&error, ""))?;
        let response =
            Response::from_line_reader(version, &mut reader, true, false).map_err(|error| broken(&error, ""))?;
        let words = said.clone();
        reader.set_progress_handler(Some(Box::new(move |is_error, text| {
            words.hear(is_error, text);
            ControlFlow::Continue(())
        })));
        let mut pack = Vec::new();
        let mut told = 0;
        loop {
            if pack.capacity() - pack.len() < PIECE_BYTES {
                // Twice as much, but never more than a pack may have: the old room and the new one are there at once.
                let room = (pack.capacity() * 2).clamp(2 * PIECE_BYTES, PACK_BYTES_MAX + PIECE_BYTES);
                pack.reserve_exact(room.saturating_sub(pack.len()));
            }
            let room = (PACK_BYTES_MAX + 1).saturating_sub(pack.len()).min(PIECE_BYTES / 2) as u64;
            let read =
                reader.by_ref().take(room).read_to_end(&mut pack).map_err(|error| broken(&error, &said.errors()))?;
            if read == 0 {
                break;
            }
            if pack.len() > PACK_BYTES_MAX {
                let message = format!(
                    "the objects of `{url}` are more than {} MiB; hint: take less history with `depth`, or one branch with `cloneAllBranches: false`",
                    PACK_BYTES_MAX >> 20
                );
                return Err(fault(failures::TOO_LARGE, message));
            }
            if pack.len() - told >= 8 * PIECE_BYTES {
                told = pack.len();
                cx.progress(None, format!("received {} MiB", told >> 20));
            }
        }
        if pack.is_empty() {
            return Err(broken(&std::io::Error::other("no objects came"), &said.errors()));
        }
        let shallow = response.shallow_updates().iter().filter_map(|update| match update {
            ShallowUpdate::Shallow(id) => Some(*id),
            ShallowUpdate::Unshallow(_) => None,
        });
        Ok(Fetched { pack, shallow: shallow.collect() })
    }
}

/// What a server says beside its answer.
#[derive(Clone, Default)]
pub struct Said(Rc<RefCell<String>>);

impl Said {
    /// Hears words; progress is not kept.
    pub fn hear(&self, is_error: bool, text: &[u8]) {
        let mut said = self.0.borrow_mut();
        if is_error && said.len() < SAID_BYTES_MAX {
            said.push_str(&String::from_utf8_lossy(text.get(..SAID_BYTES_MAX.min(text.len())).unwrap_or_default()));
        }
    }

    /// What was said of errors.
    pub fn errors(&self) -> String {
        self.0.borrow().trim().to_owned()
    }
}

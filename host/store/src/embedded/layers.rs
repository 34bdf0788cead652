//! One ordered view of the overlay, of what is being checkpointed, and of the base below: the upper layer wins.

use super::base::{Base, to_entry};
use crate::Lsn;
use crate::error::Error;
use crate::index::encode::key_of;
use crate::index::table::{At, Entry, Ordered, Stretch, Table};

/// The layers as of a commit.
pub struct Layers<'a> {
    /// Newest first.
    pub tables: [Option<&'a Table>; 2],
    pub base: &'a dyn Base,
    pub lsn: Lsn,
}

impl Ordered for Layers<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, Error> {
        for table in self.tables.into_iter().flatten() {
            if let Some(known) = table.known(key, self.lsn) {
                return Ok(known.cloned());
            }
        }
        self.base.get(key)?.map(|value| to_entry(&value)).transpose()
    }

    fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<At>, Error> {
        let mut from = from.to_vec();
        loop {
            let mut best: Option<(&[u8], Option<&Entry>)> = None;
            for table in self.tables.into_iter().flatten() {
                let known = table.known_range(&from, upto, self.lsn).next();
                best = match (best, known) {
                    (Some(best), Some(known)) if known.0 >= best.0 => Some(best),
                    (best, None) => best,
                    (_, known) => known,
                };
            }
            let below = self.base.first(&from, upto)?;
            match (best, below) {
                (None, None) => return Ok(None),
                (None, Some((key, value))) => return Ok(Some((key, to_entry(&value)?))),
                (Some((over, _)), Some((key, value))) if *key < *over => return Ok(Some((key, to_entry(&value)?))),
                (Some((key, Some(entry))), _) => return Ok(Some((key_of(key), entry.clone()))),
                (Some((key, None)), _) => from = [key, &[0]].concat(),
            }
        }
    }

    fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<At>, Error> {
        let mut upto = upto.to_vec();
        loop {
            if *from >= *upto {
                return Ok(None);
            }
            let mut best: Option<(&[u8], Option<&Entry>)> = None;
            for table in self.tables.into_iter().flatten() {
                let known = table.known_range(from, &upto, self.lsn).next_back();
                best = match (best, known) {
                    (Some(best), Some(known)) if known.0 <= best.0 => Some(best),
                    (best, None) => best,
                    (_, known) => known,
                };
            }
            let below = self.base.last(from, &upto)?;
            match (best, below) {
                (None, None) => return Ok(None),
                (None, Some((key, value))) => return Ok(Some((key, to_entry(&value)?))),
                (Some((over, _)), Some((key, value))) if *key > *over => return Ok(Some((key, to_entry(&value)?))),
                (Some((key, Some(entry))), _) => return Ok(Some((key_of(key), entry.clone()))),
                (Some((key, None)), _) => upto = key.to_vec(),
            }
        }
    }

    fn stretch(&self, from: &[u8], upto: &[u8], most: usize) -> Result<Stretch<Entry>, Error> {
        let mut layers = Vec::with_capacity(self.tables.len() + 1);
        for table in self.tables.into_iter().flatten() {
            let known = table.known_range(from, upto, self.lsn);
            layers.push(Stretch::of(known.map(|(key, entry)| (key_of(key), entry.cloned())), most));
        }
        let end = layers.iter().filter_map(|layer| layer.next.as_deref()).min().unwrap_or(upto);
        let below = self.base.stretch(from, end, most)?;
        layers.push(below.filtered(|value| to_entry(&value).map(|entry| Some(Some(entry))))?);
        Stretch::merged(layers).filtered(Ok)
    }

    fn ends(&self, key: &[u8], next: &[u8]) -> Result<bool, Error> {
        for table in self.tables.into_iter().flatten() {
            // Where the key is, the next one cannot be further down.
            if let Some(ends) = table.known_end(key, next, self.lsn) {
                return Ok(ends);
            }
        }
        Ok(self.base.get(key)?.is_some() && self.base.get(next)?.is_none())
    }
}

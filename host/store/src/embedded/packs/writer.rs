//! Writes packs: values one after the other, into as many files as it takes.

use super::{BLOCK_BYTES, FOLDER, FOOTER, HEADER, PACK_BYTES, PackInfo, Place, header, pack_name};
use crate::embedded::block::{Packer, THOROUGH};
use crate::embedded::disk::{Disk, DiskFile, failed};
use crate::embedded::journal::StoreId;
use crate::embedded::manifest::Numbers;
use crate::error::Error;

/// Fills packs. Dropped before [`Writer::end`], it leaves files that nothing names: the next start removes them.
pub struct Writer<'a> {
    disk: &'a dyn Disk,
    store: StoreId,
    numbers: &'a Numbers,
    packer: Option<Packer>,
    open: Option<Open>,
    done: Vec<PackInfo>,
}

/// A pack being written. It has its name only once it is whole and safe.
struct Open {
    file: Box<dyn DiskFile>,
    info: PackInfo,
    /// Where the next block goes.
    offset: u64,
    block: Vec<u8>,
    temporary: String,
}

impl<'a> Writer<'a> {
    /// New packs of a store.
    pub fn new(disk: &'a dyn Disk, store: StoreId, numbers: &'a Numbers) -> Self {
        Self { disk, store, numbers, packer: None, open: None, done: Vec::new() }
    }

    /// Puts a value into a pack.
    pub fn put(&mut self, value: &[u8]) -> Result<Place, Error> {
        if self.open.as_ref().is_some_and(|open| open.info.value_bytes >= PACK_BYTES) {
            self.end_pack()?;
        }
        let packer = match &mut self.packer {
            Some(packer) => packer,
            packer => packer.insert(Packer::new(THOROUGH).map_err(failed(FOLDER))?),
        };
        let open = match &mut self.open {
            Some(open) => open,
            open => open.insert(Open::begin(self.disk, self.store, self.numbers.take())?),
        };
        // A large one has a block of its own: reading it unpacks nothing else.
        if open.block.len() + value.len() > BLOCK_BYTES {
            open.end_block(packer)?;
        }
        let len = u32::try_from(value.len()).map_err(|_| Error::Limit {
            what: "a value",
            found: value.len(),
            limit: u32::MAX as usize,
        })?;
        let place = Place {
            pack: open.info.number,
            block: open.offset,
            start: open.block.len() as u32,
            len,
            checksum: crc32c::crc32c(value),
        };
        open.block.extend_from_slice(value);
        open.info.values += 1;
        open.info.value_bytes += u64::from(len);
        open.info.live_bytes += u64::from(len);
        if open.block.len() >= BLOCK_BYTES {
            open.end_block(packer)?;
        }
        Ok(place)
    }

    /// Makes everything safe and named.
    pub fn end(mut self) -> Result<Vec<PackInfo>, Error> {
        self.end_pack()?;
        if !self.done.is_empty() {
            self.disk.sync_folder(FOLDER).map_err(failed(FOLDER))?;
        }
        Ok(self.done)
    }

    /// Removes what was written: it takes room that a full disk needs.
    pub fn abandon(self) {
        // What cannot be removed now is removed at the next start.
        for pack in &self.done {
            drop(self.disk.remove(&pack.name()));
        }
        if let Some(open) = &self.open {
            drop(self.disk.remove(&open.temporary));
        }
    }

    fn end_pack(&mut self) -> Result<(), Error> {
        let (Some(open), Some(packer)) = (&mut self.open, &mut self.packer) else { return Ok(()) };
        let name = open.info.name();
        open.end_block(packer)?;
        open.end_file().map_err(failed(&open.temporary))?;
        self.disk.rename(&open.temporary, &name).map_err(failed(&name))?;
        self.done.extend(self.open.take().map(|open| open.info));
        Ok(())
    }
}

impl Open {
    fn begin(disk: &dyn Disk, store: StoreId, number: u64) -> Result<Self, Error> {
        let name = pack_name(number);
        let temporary = format!("{name}.new");
        let file = disk.create(&temporary).map_err(failed(&temporary))?;
        file.write_at(0, &header(store, number)).map_err(failed(&temporary))?;
        let info = PackInfo { number, bytes: 0, values: 0, value_bytes: 0, live_bytes: 0 };
        Ok(Self { file, info, offset: HEADER as u64, block: Vec::new(), temporary })
    }

    fn end_block(&mut self, packer: &mut Packer) -> Result<(), Error> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = packer.block(&self.block).map_err(failed(&self.temporary))?;
        self.block.clear();
        self.file.write_at(self.offset, &block).map_err(failed(&self.temporary))?;
        self.offset += block.len() as u64;
        Ok(())
    }

    fn end_file(&mut self) -> std::io::Result<()> {
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend_from_slice(&self.info.values.to_le_bytes());
        footer.extend_from_slice(&self.info.value_bytes.to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
        self.file.write_at(self.offset, &footer)?;
        self.info.bytes = self.offset + FOOTER as u64;
        self.file.sync()
    }
}

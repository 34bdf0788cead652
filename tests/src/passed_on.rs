//! What stores of tests that stand in front of another one pass on to it as it is.

/// The methods of a `Store` whose field `inner` is asked the same: what has to do with durability, watching and blobs.
macro_rules! passed_on {
    () => {
        fn durable(&self, lsn: store::Lsn) -> store::Answer<'_, ()> {
            self.inner.durable(lsn)
        }

        fn head(&self) -> store::Lsn {
            self.inner.head()
        }

        fn watch(&self, topic: store::Topic) -> store::Watch {
            self.inner.watch(topic)
        }

        fn write_blob(&self, now: jiff::Timestamp) -> store::Answer<'_, Box<dyn store::BlobWriter>> {
            self.inner.write_blob(now)
        }

        fn read_blob(
            &self,
            id: store::rows::BlobId,
            offset: u64,
        ) -> store::Answer<'_, Option<Box<dyn store::BlobReader>>> {
            self.inner.read_blob(id, offset)
        }

        fn collect_blobs(&self, before: jiff::Timestamp) -> store::Answer<'_, usize> {
            self.inner.collect_blobs(before)
        }

        fn health(&self) -> store::Health {
            self.inner.health()
        }
    };
}

pub(crate) use passed_on;

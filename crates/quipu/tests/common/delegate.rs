//! The calls that a storage or blob of a test hands on as they are: `delegate!(inner: remove, rename)` in its `impl`, with the
//! name of the field behind it.
#![allow(unused_imports, unused_macros)]

macro_rules! delegate {
    ($inner:tt: $($call:ident),+) => { $(delegate!(@ $inner $call);)+ };

    // Of a storage.
    (@ $inner:tt open) => {
        fn open(
            &self,
            partition: &str,
            name: &str,
            mode: quipu::storage::OpenMode,
        ) -> quipu::Result<std::sync::Arc<dyn quipu::storage::Blob>> {
            self.$inner.open(partition, name, mode)
        }
    };
    (@ $inner:tt remove) => {
        fn remove(&self, partition: &str, name: &str) -> quipu::Result<()> {
            self.$inner.remove(partition, name)
        }
    };
    (@ $inner:tt rename) => {
        fn rename(&self, partition: &str, from: &str, to: &str) -> quipu::Result<()> {
            self.$inner.rename(partition, from, to)
        }
    };
    (@ $inner:tt list) => {
        fn list(&self, partition: &str) -> quipu::Result<Vec<String>> {
            self.$inner.list(partition)
        }
    };
    (@ $inner:tt sync_partition) => {
        fn sync_partition(&self, partition: &str) -> quipu::Result<()> {
            self.$inner.sync_partition(partition)
        }
    };
    (@ $inner:tt remove_partition) => {
        fn remove_partition(&self, partition: &str) -> quipu::Result<()> {
            self.$inner.remove_partition(partition)
        }
    };
    (@ $inner:tt lock) => {
        fn lock(
            &self,
            partition: &str,
            name: &str,
            holder: &str,
        ) -> quipu::Result<Box<dyn quipu::storage::Lock>> {
            self.$inner.lock(partition, name, holder)
        }
    };
    (@ $inner:tt path_of) => {
        fn path(&self, partition: &str, name: &str) -> std::path::PathBuf {
            self.$inner.path(partition, name)
        }
    };

    // Of a blob.
    (@ $inner:tt write_at) => {
        fn write_at(&self, bufs: &[std::io::IoSlice<'_>], offset: u64) -> quipu::Result<()> {
            self.$inner.write_at(bufs, offset)
        }
    };
    (@ $inner:tt resize) => {
        fn resize(&self, len: u64) -> quipu::Result<()> {
            self.$inner.resize(len)
        }
    };
    (@ $inner:tt sync) => {
        fn sync(&self) -> quipu::Result<()> {
            self.$inner.sync()
        }
    };
    (@ $inner:tt len) => {
        fn len(&self) -> quipu::Result<u64> {
            self.$inner.len()
        }
    };
    (@ $inner:tt path) => {
        fn path(&self) -> &std::path::Path {
            self.$inner.path()
        }
    };
}

pub(crate) use delegate;

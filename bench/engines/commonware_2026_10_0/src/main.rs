//! commonware-storage 2026.10.0.

#[path = "../../../../compat/v2026_10_0/src/api.rs"]
#[allow(dead_code, reason = "not every call is measured")]
mod api;
#[path = "../../commonware.rs"]
mod reference;

mod flush {
    use anyhow::Result;

    use crate::reference::Store;
    use commonware_storage::archive::Archive as _;

    /// The sync goes on while others use the archive.
    pub async fn start(store: Store) -> Result<(Store, impl Future<Output = Result<()>>)> {
        let (store, ended) = store.start_sync().await?;
        Ok((store, async { Ok(ended.await?) }))
    }
}

fn main() -> anyhow::Result<()> {
    quipu_bench::worker::main::<reference::Commonware>()
}

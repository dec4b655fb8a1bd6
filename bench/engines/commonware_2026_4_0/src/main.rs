//! commonware-storage 2026.4.0.

#[path = "../../../../compat/v2026_4_0/src/api.rs"]
#[allow(dead_code, reason = "not every call is measured")]
mod api;
#[path = "../../commonware.rs"]
mod reference;

mod flush {
    use anyhow::Result;

    use crate::reference::Store;

    /// This version's sync keeps the archive until all is durable.
    pub async fn start(store: Store) -> Result<(Store, impl Future<Output = Result<()>>)> {
        Ok((crate::api::sync(store).await?, std::future::ready(Ok(()))))
    }
}

fn main() -> anyhow::Result<()> {
    quipu_bench::worker::main::<reference::Commonware>()
}

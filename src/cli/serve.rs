//! `petstream serve`: the server.

use petstream::config::{Config, Sources, load};
use petstream::telemetry;

use super::Failure;

pub(super) fn serve(sources: &Sources) -> Result<(), Failure> {
    let loaded = load(sources).map_err(Failure::Configuration)?;
    telemetry::init(loaded.config.log_format);
    if let Some(file) = &loaded.file {
        tracing::info!(file = %file.display(), "configuration read");
    }
    for warning in &loaded.warnings {
        tracing::warn!("configuration: {warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Fault(format!("no threads for the server: {error}")))?;
    runtime.block_on(run(loaded.config)).map_err(|error| Failure::Fault(error.to_string()))
}

/// To be replaced by `petstream::app::run(config).await`.
async fn run(config: Config) -> Result<(), petstream::store::StoreError> {
    petstream::store::Store::open(&config.database).await.map(drop)
}

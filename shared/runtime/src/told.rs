//! What more than one function tells of.

use tatami_domain::{Event, EventData, Import, ImportFailed, Product};
use tatami_store::{Store, StoreError};

/// Tells that an import was given up, once however often it's called. To be called before that is written
/// down, so that whoever is stopped in between does both again.
///
/// Of replays, and of imports whose place somebody has deleted, nothing is told.
pub async fn tell_failed(store: &Store, import: &Import) -> Result<(), StoreError> {
    let Some(error) = &import.error else {
        return Ok(());
    };
    if import.replay.is_some() || import.deleted {
        return Ok(());
    }
    let product_name = match import.product {
        None => import.options.product_name.clone(),
        Some(product) => match store.get::<Product>(product).await {
            Err(error) if error.is_not_found() => return Ok(()),
            product => Some(product?.name),
        },
    };
    let file_name = import.key.rsplit('/').next().map(str::to_owned);
    let scan_type = import
        .scan_type
        .as_ref()
        .or(import.options.scan_type.as_ref());
    let data = EventData::ImportFailed(ImportFailed {
        import: import.id,
        error: error.message.clone(),
        hint: error.hint.clone(),
        file_name: file_name.filter(|name| !name.is_empty()),
        scan_type: scan_type.cloned(),
        product_name,
    });
    // the time is that of the upload, so that a second try, on another day too, finds the event there
    let event = Event::new(&data, import.id, "failed", import.product, import.created);
    store.tell(&event).await?;
    Ok(())
}

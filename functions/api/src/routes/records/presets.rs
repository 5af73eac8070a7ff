//! What engagements of a product begin with.

use tatami_store::Store;

use super::{Kept, Record, add_kind};
use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<EngagementPreset>(routes);
    add_kind::<NetworkLocation>(routes);
}

/// What an engagement of a product begins with.
#[derive(Debug, Clone)]
pub struct EngagementPreset;

impl Kept for EngagementPreset {
    const KIND: &'static str = "PRESET";
    const WORD: &'static str = "engagement preset";
    const PATH: &'static str = "/api/v2/engagement_presets";
    const SCHEMA: &'static str = "EngagementPresets";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("product", Kind::Ref(Target::Product))
            .required()
            .fixed(),
        Field::new("title", Kind::Text(500)),
        Field::new("notes", Kind::Text(2000)).nullable(),
        Field::new("scope", Kind::Text(800)),
        Field::new("test_type", Kind::Refs(Target::TestType)),
        Field::new(
            "network_locations",
            Kind::Refs(Target::Record(NetworkLocation::KIND)),
        ),
        Field::answer("created", Kind::DateTime),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("title", How::Exact),
        Filter::of("product", How::Ids),
    ];
    const NAME: &'static str = "title";
    const OF_PRODUCT: bool = true;
}

/// From where tests are run.
#[derive(Debug, Clone)]
pub struct NetworkLocation;

impl Kept for NetworkLocation {
    const KIND: &'static str = "NETLOC";
    const WORD: &'static str = "network location";
    const PATH: &'static str = "/api/v2/network_locations";
    const SCHEMA: &'static str = "NetworkLocations";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("location", Kind::Text(500)).required(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("location", How::Exact),
    ];
    const NAME: &'static str = "location";

    async fn users(store: &Store, id: u64) -> Result<Option<String>> {
        let presets: Vec<Record<EngagementPreset>> = store.list().await?;
        let has = |preset: &&Record<EngagementPreset>| {
            let ids = preset.field("network_locations").as_array();
            ids.is_some_and(|ids| ids.iter().any(|known| known.as_u64() == Some(id)))
        };
        let users = presets.iter().filter(has).count();
        Ok((users > 0).then(|| format!("{users} engagement presets")))
    }
}

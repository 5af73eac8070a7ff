//! The place in the product tree that an import names, made where it is missing and may be made.

use jiff::{Timestamp, ToSpan as _, civil::Date};
use tatami_domain::{
    Engagement, EngagementStatus, EngagementType, ImportKind, ImportOptions, Product, ProductId,
    ProductType, ProductTypeId, Test, TestTypeId,
};

use crate::{Result, Store, StoreError};

/// The product type of products that are made without one being named.
const DEFAULT_PRODUCT_TYPE: &str = "Research and Development";
/// How long an engagement lasts where nobody says.
const ENGAGEMENT_DAYS: i64 = 365;

/// Where an import goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The product.
    pub product: Product,
    /// The engagement.
    pub engagement: Engagement,
    /// The test, where the sender named it by id or it could be told already.
    pub test: Option<Test>,
}

/// What [`Store::resolve_target`] would have to make, the topmost of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing but perhaps a test.
    Nothing,
    /// A product type, and all below it.
    ProductType,
    /// A product of this type, and an engagement.
    Product(ProductTypeId),
    /// An engagement of this product.
    Engagement(ProductId),
}

/// Why an import's place cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The sender said too little, or names what doesn't exist; 400.
    #[error("{0}")]
    Invalid(String),
    /// What the sender names by its id doesn't exist; 404.
    #[error("{0}")]
    NotFound(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Finds product, engagement and test of an import; makes product type, product and engagement
    /// where they are missing and `auto_create_context` allows it. Concurrent imports make each once.
    pub async fn resolve_target(&self, options: &ImportOptions) -> Result<Target, TargetError> {
        if let Some(id) = options.test {
            let test: Test = self.get(id).await.map_err(by_id)?;
            let engagement = self.get(test.engagement).await.map_err(by_id)?;
            let product = self.get(test.product).await.map_err(by_id)?;
            return Ok(Target {
                product,
                engagement,
                test: Some(test),
            });
        }
        if let Some(id) = options.engagement {
            let engagement: Engagement = self.get(id).await.map_err(by_id)?;
            let product = self.get(engagement.product).await.map_err(by_id)?;
            return Ok(Target {
                product,
                engagement,
                test: None,
            });
        }
        let Some(name) = options.engagement_name.as_deref() else {
            return Err(TargetError::Invalid(
                "engagement_name parameter missing".into(),
            ));
        };
        let product = match options.product {
            Some(id) => self.get(id).await.map_err(by_id)?,
            None => self.product_of(options).await?,
        };
        let engagement = self.engagement_of(&product, name, options).await?;
        Ok(Target {
            product,
            engagement,
            test: None,
        })
    }

    /// What of the place that an import names isn't there yet.
    pub async fn missing_of_target(&self, options: &ImportOptions) -> Result<Missing, TargetError> {
        if options.test.is_some() || options.engagement.is_some() {
            return Ok(Missing::Nothing);
        }
        let product: Option<Product> = match (options.product, &options.product_name) {
            (Some(id), _) => Some(self.get(id).await.map_err(by_id)?),
            (None, Some(name)) => self.find(name).await?,
            (None, None) => return Ok(Missing::Nothing),
        };
        let Some(product) = product else {
            let name = options.product_type_name.as_deref();
            let found: Option<ProductType> =
                self.find(name.unwrap_or(DEFAULT_PRODUCT_TYPE)).await?;
            return Ok(found.map_or(Missing::ProductType, |found| Missing::Product(found.id)));
        };
        let name = options.engagement_name.as_deref().unwrap_or_default();
        let engagements = self.engagements_of(product.id).await?;
        if engagements.iter().any(|known| has_name(known, name)) {
            return Ok(Missing::Nothing);
        }
        Ok(Missing::Engagement(product.id))
    }

    async fn product_of(&self, options: &ImportOptions) -> Result<Product, TargetError> {
        let Some(name) = options.product_name.as_deref() else {
            return Err(TargetError::Invalid(
                "product_name parameter missing".into(),
            ));
        };
        if let Some(found) = self.find::<Product>(name).await? {
            return Ok(found);
        }
        if !options.auto_create_context {
            return Err(missing(
                options,
                format!(
                    "Product '{name}' doesn't exist; create it, or set auto_create_context to true"
                ),
            ));
        }
        let now = Timestamp::now();
        let product_type = ProductType {
            name: options
                .product_type_name
                .clone()
                .unwrap_or_else(|| DEFAULT_PRODUCT_TYPE.into()),
            created: now,
            updated: now,
            ..ProductType::default()
        };
        let (product_type, _) = self.find_or_create(product_type).await?;
        let product = Product {
            name: name.trim().to_owned(),
            description: name.trim().to_owned(),
            prod_type: product_type.id,
            created: now,
            updated: now,
            enable_full_risk_acceptance: true,
            ..Product::default()
        };
        Ok(self.find_or_create(product).await?.0)
    }

    async fn engagement_of(
        &self,
        product: &Product,
        name: &str,
        options: &ImportOptions,
    ) -> Result<Engagement, TargetError> {
        let same_name = |engagement: &Engagement| has_name(engagement, name);
        if !options.auto_create_context {
            let engagements = self.engagements_of(product.id).await?;
            return engagements
                .into_iter()
                .rev()
                .find(same_name)
                .ok_or_else(|| {
                    missing(
                        options,
                        format!(
                            "Engagement '{name}' doesn't exist in Product '{}'; create it, or set \
                     auto_create_context to true",
                            product.name
                        ),
                    )
                });
        }
        let now = Timestamp::now();
        let make = || {
            let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
            Engagement {
                name: name.trim().to_owned(),
                product: product.id,
                engagement_type: EngagementType::CiCd,
                status: EngagementStatus::InProgress,
                active: true,
                target_start: today,
                target_end: options
                    .engagement_end_date
                    .unwrap_or_else(|| default_end(today)),
                lead: options.lead,
                created: now,
                updated: now,
                version: options.version.clone(),
                build_id: options.build_id.clone(),
                commit_hash: options.commit_hash.clone(),
                branch_tag: options.branch_tag.clone(),
                source_code_management_uri: options.source_code_management_uri.clone(),
                deduplication_on_engagement: options.deduplication_on_engagement,
                ..Engagement::default()
            }
        };
        let within = product.id.0;
        let (engagement, _) = self
            .find_or_create_within(within, name, same_name, make)
            .await?;
        Ok(engagement)
    }

    /// The test of an engagement that re-imports of this kind and title go into, made where there is
    /// none and `make` is given.
    pub async fn reimport_test(
        &self,
        engagement: &Engagement,
        test_type: TestTypeId,
        title: Option<&str>,
        make: Option<impl FnOnce() -> Test>,
    ) -> Result<Option<Test>> {
        let same = |t: &Test| {
            t.test_type == test_type
                && title.is_none_or(|title| t.title.as_deref().unwrap_or_default() == title)
        };
        let Some(make) = make else {
            let tests = self.tests_of(engagement.id).await?;
            return Ok(tests.into_iter().rev().find(same));
        };
        let name = format!("{test_type}#{}", title.unwrap_or_default());
        let within = engagement.id.0;
        let (test, _) = self
            .find_or_create_within(within, &name, same, make)
            .await?;
        Ok(Some(test))
    }
}

fn has_name(engagement: &Engagement, name: &str) -> bool {
    (engagement.name.trim()).eq_ignore_ascii_case(name.trim())
}

/// The day on which an engagement ends where nobody says.
pub(crate) fn default_end(start: Date) -> Date {
    start
        .checked_add(ENGAGEMENT_DAYS.days())
        .unwrap_or(Date::MAX)
}

/// An import that names something absent is wrong; a re-import looks for something that isn't there.
fn missing(options: &ImportOptions, message: String) -> TargetError {
    match options.kind {
        ImportKind::Import => TargetError::Invalid(message),
        ImportKind::Reimport | ImportKind::Replay => TargetError::NotFound(message),
    }
}

fn by_id(error: StoreError) -> TargetError {
    match error {
        StoreError::NotFound { kind, id } => {
            TargetError::NotFound(format!("there is no {kind} {id}"))
        }
        other => TargetError::Store(other),
    }
}

//! Risk acceptances. Findings say which one they are under; bringing one under an acceptance is a condition
//! on this in the same transaction (`commit.rs`), so that nothing comes under one whose end has begun.

use std::collections::BTreeSet;
use std::sync::Arc;

use tatami_domain::{
    AcceptanceState, Finding, Product, ProductId, RiskAcceptance, RiskAcceptanceId,
};

use crate::{Change, Entity, Result, Sight, Store};

impl Entity for RiskAcceptance {
    type Id = RiskAcceptanceId;
    const KIND: &'static str = "ACCEPTANCE";
    const WORD: &'static str = "risk acceptance";

    fn id(&self) -> RiskAcceptanceId {
        self.id
    }

    fn set_id(&mut self, id: RiskAcceptanceId) {
        self.id = id;
    }

    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((Product::KIND, self.product.0))
    }

    fn is_closed(&self) -> bool {
        self.state() != AcceptanceState::Active
    }
}

/// The acceptances that changes bring findings under, as far as nothing else of the same changes was under
/// them: where one finding takes the place of another, it takes over how that was judged.
pub(crate) fn accepting(changes: &[Change]) -> BTreeSet<RiskAcceptanceId> {
    let under = |finding: Option<&Finding>| {
        let finding = finding.filter(|finding| finding.flags.risk_accepted)?;
        finding.acceptance
    };
    let mut after: BTreeSet<RiskAcceptanceId> = (changes.iter())
        .filter_map(|change| under(change.sides().1))
        .collect();
    for change in changes {
        if let Some(before) = under(change.sides().0) {
            after.remove(&before);
        }
    }
    after
}

impl Store {
    /// The risk acceptances of a product, also those that have ended.
    pub async fn acceptances_of(&self, product: ProductId) -> Result<Vec<RiskAcceptance>> {
        self.children(Product::KIND, product.0).await
    }

    /// The findings that are under an acceptance, by ascending id.
    pub async fn findings_under(&self, acceptance: &RiskAcceptance) -> Result<Vec<Arc<Finding>>> {
        let mut under = Vec::new();
        let see = |finding: &Arc<Finding>| {
            if finding.acceptance == Some(acceptance.id) {
                under.push(Arc::clone(finding));
            }
        };
        self.visit(Sight::Products(&[acceptance.product]), see)
            .await?;
        under.sort_unstable_by_key(|finding| finding.id);
        Ok(under)
    }
}

#[cfg(test)]
mod tests {
    use tatami_domain::{FindingId, Flags};

    use super::*;

    fn update(id: u64, before: Option<u64>, after: Option<u64>) -> Change {
        let side = |under: Option<u64>| {
            Box::new(Finding {
                id: FindingId(id),
                flags: Flags {
                    risk_accepted: under.is_some(),
                    ..Flags::default()
                },
                acceptance: under.map(RiskAcceptanceId),
                ..Finding::default()
            })
        };
        Change::Update {
            old: side(before),
            new: side(after),
        }
    }

    #[test]
    fn who_comes_under_an_acceptance_asks_it() {
        let asked = |changes: &[Change]| -> Vec<u64> {
            accepting(changes).into_iter().map(|id| id.0).collect()
        };
        assert_eq!(
            asked(&[update(1, None, Some(7)), update(2, None, Some(7))]),
            [7]
        );
        assert!(asked(&[update(1, Some(7), None), update(2, Some(7), Some(7))]).is_empty());
        // the second takes the place of the first
        assert!(asked(&[update(1, Some(7), None), update(2, None, Some(7))]).is_empty());
    }
}

//! Risk acceptances as clients see them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tatami_domain::{
    AcceptanceEvent, AcceptanceState, Finding, Owner, ProductId, RiskAcceptance, RiskAcceptanceId,
    Treatment,
};
use tatami_store::{Sight, Store};

use crate::error::Result;
use crate::fields::{Field, Kind, Object, Target};

/// Path of the list.
pub const PATH: &str = "/api/v2/risk_acceptance";
/// What `path` says where there is no proof, in the words that clients know.
const NO_PROOF: &str = "No proof has been supplied";
/// The notes of how many acceptances are read side by side.
const PARALLEL: usize = 8;

const TREATMENT: Kind = Kind::Choice(Treatment::LETTERS);
const DETAILS: Kind = Kind::Text(RiskAcceptance::MAX_DETAILS);

/// The fields of a risk acceptance. What the daily run sets may be sent, and stays as it is.
pub const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("path", Kind::Text(0)),
    Field::new("name", Kind::Text(RiskAcceptance::MAX_NAME)).required(),
    Field::new("recommendation", TREATMENT),
    Field::new("recommendation_details", DETAILS).nullable(),
    Field::new("decision", TREATMENT),
    Field::new("decision_details", DETAILS).nullable(),
    Field::new("justification", DETAILS).nullable(),
    Field::new("accepted_by", Kind::Text(RiskAcceptance::MAX_ACCEPTED_BY)).nullable(),
    Field::new("decision_date", Kind::Date),
    Field::new("expiration_date", Kind::DateTime).nullable(),
    Field::new("expiration_date_warned", Kind::DateTime).nullable(),
    Field::new("expiration_date_handled", Kind::DateTime).nullable(),
    Field::answer("expired_at", Kind::DateTime).nullable(),
    Field::new("reactivate_expired", Kind::Bool),
    Field::new("restart_sla_expired", Kind::Bool),
    Field::new("owner", Kind::Ref(Target::User)),
    Field::new("accepted_findings", Kind::Refs(Target::Finding)).required(),
    Field::answer("notes", Kind::Refs(Target::Unknown)),
    Field::answer("product", Kind::Ref(Target::Product)),
    Field::answer("engagement", Kind::Ref(Target::Engagement)).nullable(),
    Field::answer("state", Kind::Choice(AcceptanceState::NAMES)),
    Field::answer("removed", Kind::DateTime).nullable(),
    Field::answer("job", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("created", Kind::DateTime),
    Field::answer("updated", Kind::DateTime),
];

/// What happened to an acceptance.
pub const ENTRY: &[Field] = &[
    Field::answer("time", Kind::DateTime),
    Field::answer("event", Kind::Choice(AcceptanceEvent::NAMES)),
    Field::answer("by", Kind::Ref(Target::User)).nullable(),
    Field::answer("details", Kind::Text(0)),
];

/// What acceptances don't say themselves: their findings and notes.
#[derive(Debug, Default)]
pub struct Around {
    findings: HashMap<RiskAcceptanceId, Vec<Arc<Finding>>>,
    notes: HashMap<RiskAcceptanceId, Vec<u64>>,
}

impl Around {
    /// The findings and notes of these.
    pub async fn load(store: &Store, of: &[&RiskAcceptance]) -> Result<Self> {
        let mut around = Self {
            findings: HashMap::new(),
            notes: notes(store, of.iter().copied()).await?,
        };
        let wanted: BTreeSet<RiskAcceptanceId> = of.iter().map(|one| one.id).collect();
        let products: BTreeSet<ProductId> = of.iter().map(|one| one.product).collect();
        let products: Vec<ProductId> = products.into_iter().collect();
        if products.is_empty() {
            return Ok(around);
        }
        let see = |finding: &Arc<Finding>| {
            if let Some(id) = finding.acceptance.filter(|id| wanted.contains(id)) {
                let own = around.findings.entry(id).or_default();
                own.push(Arc::clone(finding));
            }
        };
        store.visit(Sight::Products(&products), see).await?;
        for own in around.findings.values_mut() {
            own.sort_unstable_by_key(|finding| finding.id);
        }
        Ok(around)
    }

    /// The findings of an acceptance, by ascending id.
    pub fn findings(&self, of: &RiskAcceptance) -> &[Arc<Finding>] {
        self.findings.get(&of.id).map_or(&[], Vec::as_slice)
    }

    /// An acceptance as clients see it.
    pub fn view(&self, of: &RiskAcceptance, base: &str) -> Object {
        let findings = self.findings(of).iter().map(|finding| finding.id.0);
        let notes = self.notes.get(&of.id).cloned().unwrap_or_default();
        view(of, base, &findings.collect::<Vec<_>>(), &notes)
    }
}

/// The ids of the notes of acceptances that have any.
async fn notes(
    store: &Store,
    of: impl Iterator<Item = &RiskAcceptance>,
) -> Result<HashMap<RiskAcceptanceId, Vec<u64>>> {
    let reads: Vec<_> = of
        .filter(|acceptance| acceptance.annotated)
        .map(|acceptance| acceptance.id)
        .map(|id| async move {
            let notes = store.notes(Owner::RiskAcceptance(id)).await?;
            Ok::<_, crate::error::ApiError>((id, notes.iter().map(|note| note.id.0).collect()))
        })
        .collect();
    let reads = futures::stream::iter(reads).buffered(PARALLEL);
    reads.try_collect().await
}

/// Acceptances where they are shown on one of their findings: of their findings only that one.
pub async fn on_findings<'a>(
    store: &Store,
    findings: impl IntoIterator<Item = &'a Finding>,
) -> Result<HashMap<RiskAcceptanceId, Object>> {
    let ids: BTreeSet<RiskAcceptanceId> =
        findings.into_iter().filter_map(|f| f.acceptance).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let acceptances: Vec<RiskAcceptance> = store.get_all(ids).await?;
    let notes = notes(store, acceptances.iter()).await?;
    let view = |acceptance: &RiskAcceptance| {
        let notes = notes.get(&acceptance.id).cloned().unwrap_or_default();
        (acceptance.id, view(acceptance, "", &[], &notes))
    };
    Ok(acceptances.iter().map(view).collect())
}

fn view(of: &RiskAcceptance, base: &str, findings: &[u64], notes: &[u64]) -> Object {
    let path = match of.proof {
        Some(_) => format!("{base}{PATH}/{}/download_proof/", of.id),
        None => NO_PROOF.to_owned(),
    };
    let view = json!({
        "id": of.id,
        "path": path,
        "name": of.name,
        "recommendation": of.recommendation,
        "recommendation_details": of.recommendation_details,
        "decision": of.decision,
        "decision_details": of.decision_details,
        "justification": of.decision_details,
        "accepted_by": of.accepted_by,
        "decision_date": of.decision_date,
        "expiration_date": of.expiration_date,
        "expiration_date_warned": of.expiration_date_warned,
        "expiration_date_handled": of.expiration_date_handled,
        "expired_at": of.expired_at,
        "reactivate_expired": of.reactivate_expired,
        "restart_sla_expired": of.restart_sla_expired,
        "owner": of.owner,
        "accepted_findings": findings,
        "notes": notes,
        "product": of.product,
        "engagement": of.engagement,
        "state": of.state(),
        "removed": of.removed,
        "job": of.ending.map(|ending| ending.job),
        "created": of.created,
        "updated": of.updated,
    });
    match view {
        Value::Object(view) => view,
        _ => Object::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_have_the_fields_of_their_schema() {
        let view = view(&RiskAcceptance::default(), "", &[1], &[2]);
        let names: Vec<&str> = view.keys().map(String::as_str).collect();
        let mut schema: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        schema.sort_unstable();
        assert_eq!(names, schema);
        assert_eq!(view["path"], NO_PROOF);
    }
}

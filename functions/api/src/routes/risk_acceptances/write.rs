//! Making, changing and ending risk acceptances.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tatami_auth::{Permission, Place};
use tatami_domain::{
    AcceptanceChange, AcceptanceEvent, AcceptanceState, Finding, FindingId, RiskAcceptance, UserId,
};

use super::places::{
    Moved, acceptable, all_of, change, check_product, end, engagement_of, find, permit,
};
use super::{SCHEMA, answer, permitted};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Base;
use crate::routes::catalog::check_references;
use crate::routes::jobs;
use crate::view::acceptance::{FIELDS, PATH};

/// So many ids at most are spelled out in the history.
const SPELLED_OUT: usize = 20;
/// The field with the ids of findings.
const FINDINGS: &str = "accepted_findings";

const REINSTATE: &[Field] = &[Field::new("expiration_date", Kind::DateTime).nullable()];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let one = format!("{PATH}/{{id}}");
    let request = format!("{SCHEMA}Request");
    let create = Operation::post(
        PATH,
        "Accept the risk of findings of one product; duplicates are left out. More than 100 come under it by \
         a job (Location)",
    )
    .body(request.clone())
    .answers(201, Answer::One(SCHEMA));
    routes.add(&create, self::create);
    let replace = Operation::put(&*one, "Replace one")
        .body(request)
        .answers(200, Answer::One(SCHEMA));
    routes.add(&replace, write);
    let change = Operation::patch(
        &*one,
        "Change some of its fields; findings that are no longer in it are open again",
    )
    .body(format!("Patched{SCHEMA}Request"))
    .answers(200, Answer::One(SCHEMA));
    routes.add(&change, write);
    let remove = Operation::delete(
        &*one,
        "Remove one: its findings are open again; it is kept for the history",
    )
    .answers(204, Answer::Empty);
    routes.add(&remove, self::remove);
    let expire = Operation::post(format!("{one}/expire"), "Let it expire now")
        .answers(200, Answer::One(SCHEMA));
    routes.add(&expire, self::expire);
    let reinstate = Operation::post(
        format!("{one}/reinstate"),
        "Let one that has expired count again, for what its end opened",
    )
    .body("ReinstateRequest")
    .answers(200, Answer::One(SCHEMA));
    routes.add(&reinstate, self::reinstate);
    routes.schemas("Reinstate", REINSTATE);
}

/// One that the caller makes now, as far as nothing is sent.
pub async fn fresh(api: &Api, caller: &Caller, now: Timestamp) -> Result<RiskAcceptance> {
    let settings = api.services.store.system_settings().await?;
    let days = settings.risk_acceptance_form_default_days;
    let days = days.filter(|days| *days > 0);
    let mut fresh = RiskAcceptance::new(caller.0.user, days, now);
    fresh.note(AcceptanceEvent::Created, Some(caller.0.user), now, "");
    Ok(fresh)
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Body(body): Body,
) -> Result<Response> {
    let sent = match read(&body, FIELDS, Mode::Create) {
        Ok(sent) => sent,
        Err(problems) => {
            // whoever may accept nothing at all learns nothing of the fields
            let anywhere = Place::Somewhere;
            caller.require(Permission::AcceptRisk, anywhere).await?;
            return Err(ApiError::Fields(problems));
        }
    };
    let ids = ids(&sent);
    let findings = find(&api, &caller, FINDINGS, &ids).await?;
    let Some(first) = findings.first() else {
        let anywhere = Place::Somewhere;
        caller.require(Permission::AcceptRisk, anywhere).await?;
        return Err(ApiError::field(FINDINGS, "This list may not be empty."));
    };
    let product = first.product;
    all_of(product, &findings, FINDINGS)?;
    check_product(&api, product, FINDINGS).await?;
    check_references(&api.services.store, &OWNER, &sent).await?;
    let now = Timestamp::now();
    let mut acceptance = fresh(&api, &caller, now).await?;
    acceptance.product = product;
    acceptance.engagement = engagement_of(&findings);
    apply(&mut acceptance, &sent, Some(caller.0.user), now)?;
    let findings = acceptable(&acceptance, findings, now)?;
    let (acceptance, moved) = make(&api, &caller, acceptance, &findings).await?;
    let answer = answer(&api, &base, &acceptance).await?;
    if moved.is_left() {
        let location = [jobs::location(&moved.job)?];
        return Ok((StatusCode::CREATED, location, answer).into_response());
    }
    Ok((StatusCode::CREATED, answer).into_response())
}

/// The owner alone: findings are looked up otherwise.
const OWNER: [Field; 1] = [Field::new("owner", Kind::Ref(crate::fields::Target::User))];

/// Makes an acceptance of findings that can come under it.
pub async fn make(
    api: &Api,
    caller: &Caller,
    mut acceptance: RiskAcceptance,
    findings: &[Finding],
) -> Result<(RiskAcceptance, Moved)> {
    let store = &api.services.store;
    acceptance.id = store.reserve::<RiskAcceptance>().await?;
    let places = AcceptanceChange::Accept(acceptance.id);
    let create = async {
        store.create_reserved(acceptance.clone()).await?;
        Ok(())
    };
    let moved = Box::pin(change(api, caller, &acceptance, places, findings, create)).await?;
    Ok((store.get(acceptance.id).await?, moved))
}

async fn write(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Response> {
    let store = &api.services.store;
    let old = permitted(&api, &caller, Permission::AcceptRisk, &id).await?;
    if_match.check(&Version::of(&old))?;
    let sent = read(&body, FIELDS, mode).map_err(ApiError::Fields)?;
    check_references(store, &OWNER, &sent).await?;
    let now = Timestamp::now();
    let by = caller.0.user;
    let under = store.findings_under(&old).await?;
    let (new, gone) = differing(&api, &caller, &old, &under, &sent).await?;
    let expiration = expiration(&sent, old.expiration_date);
    let reinstates = old.state() == AcceptanceState::Expired && expiration != old.expiration_date;
    if !new.is_empty() && !reinstates {
        old.takes_findings()?;
    }
    let new = acceptable(&old, new, now)?;
    let edit = async {
        let edit = |acceptance: &mut RiskAcceptance| {
            if_match.check(&Version::of(acceptance))?;
            apply(acceptance, &sent, Some(by), now)?;
            if new
                .iter()
                .any(|f| Some(f.engagement) != acceptance.engagement)
            {
                acceptance.engagement = None;
            }
            for (event, findings) in [
                (AcceptanceEvent::FindingsAdded, &new),
                (AcceptanceEvent::FindingsRemoved, &gone),
            ] {
                if !findings.is_empty() {
                    acceptance.note(event, Some(by), now, spelled(findings));
                }
            }
            Ok(())
        };
        let edited = store.change::<RiskAcceptance, ApiError>(old.id, edit);
        edited.await.map(drop)
    };
    let id = old.id;
    if reinstates {
        let findings = owned(&under);
        let places = AcceptanceChange::Reinstate(id);
        Box::pin(change(&api, &caller, &old, places, &findings, edit)).await?;
    } else {
        edit.await?;
    }
    let mut left = None;
    for (places, findings) in [
        (AcceptanceChange::Accept(id), &new),
        (AcceptanceChange::Leave(id), &gone),
    ] {
        if !findings.is_empty() {
            let nothing = std::future::ready(Ok(()));
            let moved = Box::pin(change(&api, &caller, &old, places, findings, nothing)).await?;
            left = Some(moved).filter(Moved::is_left).or(left);
        }
    }
    let acceptance: RiskAcceptance = store.get(id).await?;
    let answer = answer(&api, &base, &acceptance).await?;
    if let Some(moved) = left {
        return Ok(([jobs::location(&moved.job)?], answer).into_response());
    }
    Ok(answer.into_response())
}

/// The findings that are to come under an acceptance, and those that are to leave it.
async fn differing(
    api: &Api,
    caller: &Caller,
    old: &RiskAcceptance,
    under: &[std::sync::Arc<Finding>],
    sent: &Object,
) -> Result<(Vec<Finding>, Vec<Finding>)> {
    if !sent.contains_key(FINDINGS) {
        return Ok((Vec::new(), Vec::new()));
    }
    let wanted = ids(sent);
    let known: BTreeSet<FindingId> = under.iter().map(|finding| finding.id).collect();
    let added: BTreeSet<FindingId> = wanted.difference(&known).copied().collect();
    let new = find(api, caller, FINDINGS, &added).await?;
    all_of(old.product, &new, FINDINGS)?;
    let gone: Vec<Finding> = (under.iter())
        .filter(|finding| !wanted.contains(&finding.id))
        .map(|finding| Finding::clone(finding))
        .collect();
    permit(caller, &gone).await?;
    Ok((new, gone))
}

fn owned(findings: &[std::sync::Arc<Finding>]) -> Vec<Finding> {
    let findings = findings.iter();
    findings.map(|finding| Finding::clone(finding)).collect()
}

/// Some findings in words.
fn spelled(findings: &[Finding]) -> String {
    let ids = findings.iter().take(SPELLED_OUT);
    let ids: Vec<String> = ids.map(|finding| finding.id.to_string()).collect();
    match findings.len().saturating_sub(SPELLED_OUT) {
        0 => ids.join(", "),
        more => format!("{} and {more} more", ids.join(", ")),
    }
}

async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let acceptance = permitted(&api, &caller, Permission::AcceptRisk, &id).await?;
    let wanted = |acceptance: &RiskAcceptance| if_match.check(&Version::of(acceptance));
    Box::pin(end(&api, &caller, &acceptance, true, wanted)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn expire(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Object>>> {
    let acceptance = permitted(&api, &caller, Permission::AcceptRisk, &id).await?;
    let acceptance = Box::pin(end(&api, &caller, &acceptance, false, |_| Ok(()))).await?;
    answer(&api, &base, &acceptance).await
}

async fn reinstate(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Versioned<Json<Object>>> {
    let store = &api.services.store;
    let old = permitted(&api, &caller, Permission::AcceptRisk, &id).await?;
    let sent = read(&body, REINSTATE, Mode::Create).map_err(ApiError::Fields)?;
    let now = Timestamp::now();
    let date = if sent.contains_key("expiration_date") {
        expiration(&sent, None)
    } else {
        fresh(&api, &caller, now).await?.expiration_date
    };
    let by = Some(caller.0.user);
    // so that nothing is begun that will be refused
    old.clone().reinstate(date, by, now)?;
    let findings = owned(&store.findings_under(&old).await?);
    let write = async {
        let reinstate = |acceptance: &mut RiskAcceptance| Ok(acceptance.reinstate(date, by, now)?);
        let reinstated = store.change::<RiskAcceptance, ApiError>(old.id, reinstate);
        reinstated.await.map(drop)
    };
    let places = AcceptanceChange::Reinstate(old.id);
    Box::pin(change(&api, &caller, &old, places, &findings, write)).await?;
    answer(&api, &base, &store.get(old.id).await?).await
}

/// The ids of findings that were sent.
fn ids(sent: &Object) -> BTreeSet<FindingId> {
    let ids = sent.get(FINDINGS).and_then(Value::as_array);
    let ids = ids.into_iter().flatten().filter_map(Value::as_u64);
    ids.map(FindingId).collect()
}

/// The end that was sent; else the one there is.
fn expiration(sent: &Object, own: Option<Timestamp>) -> Option<Timestamp> {
    match sent.get("expiration_date") {
        Some(date) => typed(date),
        None => own,
    }
}

/// A value that was checked already, in the type of its field; null and nothing are `None`.
fn typed<T: for<'de> Deserialize<'de>>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// Sets the fields that were sent, and notes which of them are others now.
pub fn apply(
    acceptance: &mut RiskAcceptance,
    sent: &Object,
    by: Option<UserId>,
    now: Timestamp,
) -> Result<()> {
    let before = acceptance.clone();
    if acceptance.state() == AcceptanceState::Removed {
        acceptance.takes_findings()?;
    }
    let text = |value: &Value| typed::<String>(value).filter(|text| !text.is_empty());
    let mut changed: Vec<&str> = Vec::new();
    for (name, value) in sent {
        let was = acceptance.clone();
        let own = &mut *acceptance;
        match name.as_str() {
            "name" => own.name = text(value).unwrap_or_default(),
            "recommendation" => own.recommendation = typed(value).unwrap_or_default(),
            "recommendation_details" => own.recommendation_details = text(value),
            "decision" => own.decision = typed(value).unwrap_or_default(),
            "decision_details" => own.decision_details = text(value),
            // the same under another name; who sends both means the one that says something
            "justification" => {
                let sent = text(value).or_else(|| sent.get("decision_details").and_then(text));
                own.decision_details = sent;
            }
            "accepted_by" => own.accepted_by = text(value),
            "decision_date" => own.decision_date = typed(value).unwrap_or(own.decision_date),
            "reactivate_expired" => own.reactivate_expired = *value == true,
            "restart_sla_expired" => own.restart_sla_expired = *value == true,
            "owner" => own.owner = typed(value).unwrap_or(own.owner),
            _ => {}
        }
        if was != *acceptance {
            changed.push(name);
        }
    }
    let date = expiration(sent, acceptance.expiration_date);
    if date != acceptance.expiration_date {
        if acceptance.state() == AcceptanceState::Expired {
            acceptance.reinstate(date, by, now)?;
        } else {
            acceptance.set_expiration(date, now)?;
            changed.push("expiration_date");
        }
    }
    let is_new = acceptance.id.0 == 0;
    if !is_new && !changed.is_empty() {
        acceptance.note(AcceptanceEvent::Changed, by, now, changed.join(", "));
    }
    if before != *acceptance {
        acceptance.updated = now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Object {
        read(value.as_object().unwrap(), FIELDS, Mode::Change).unwrap()
    }

    #[test]
    fn every_field_that_can_be_sent_is_applied() {
        // findings have their own way, and the daily run's fields stay as they are
        let others = [
            FINDINGS,
            "expiration_date_warned",
            "expiration_date_handled",
        ];
        for field in FIELDS.iter().filter(|f| !f.read_only) {
            if others.contains(&field.name) {
                continue;
            }
            let value = match field.kind {
                Kind::Text(_) => json!("x"),
                Kind::Choice(_) => json!("T"),
                Kind::Bool => json!(true),
                Kind::Ref(_) => json!(9),
                Kind::Date => json!("2020-01-02"),
                Kind::DateTime => json!("2100-01-02T00:00:00Z"),
                other => panic!("{other:?}"),
            };
            let mut own = RiskAcceptance::default();
            apply(
                &mut own,
                &object(&json!({field.name: value})),
                None,
                Timestamp::now(),
            )
            .unwrap();
            assert_ne!(own, RiskAcceptance::default(), "{}", field.name);
        }
    }

    #[test]
    fn the_justification_is_the_same_under_both_names() {
        for sent in [
            json!({"justification": "why"}),
            json!({"decision_details": "why"}),
            json!({"decision_details": "why", "justification": null}),
            json!({"decision_details": null, "justification": "why"}),
        ] {
            let mut own = RiskAcceptance::default();
            apply(&mut own, &object(&sent), None, Timestamp::now()).unwrap();
            assert_eq!(own.decision_details.as_deref(), Some("why"), "{sent}");
        }
    }
}

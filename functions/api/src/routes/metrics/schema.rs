//! The schemas of the answers.

use serde_json::{Value, json};

use crate::openapi::Routes;

/// The metrics of a set of findings.
fn metrics() -> Value {
    let whole = json!({"type": "integer"});
    let number = json!({"type": "number", "nullable": true});
    let day = json!({"type": "string", "format": "date"});
    let no_day = json!({"type": "string", "format": "date", "nullable": true});
    let count = by_severity(&whole);
    let counts = object(
        &[
            "total",
            "open",
            "verified_open",
            "mitigated",
            "false_positive",
            "out_of_scope",
            "risk_accepted",
            "duplicates",
            "under_review",
        ]
        .map(|name| (name, count.clone())),
    );
    let mut open = count.clone();
    open["nullable"] = json!(true);
    let period = object(&[
        ("from", day.clone()),
        ("to", day.clone()),
        ("opened", count.clone()),
        ("closed", count.clone()),
        ("open", open),
        (
            "sla",
            object(&[
                ("within", whole.clone()),
                ("late", whole.clone()),
                ("compliance", number.clone()),
            ]),
        ),
    ]);
    let fixed = ["last_30_days", "last_60_days", "last_90_days"];
    let ageing = [
        "days_0_to_29",
        "days_30_to_59",
        "days_60_to_89",
        "days_90_and_more",
    ];
    let sla = [
        "within",
        "late",
        "breached",
        "due_soon",
        "on_track",
        "without_sla",
    ];
    let sla = sla.map(|name| (name, whole.clone())).into_iter();
    let sla: Vec<_> = sla.chain([("compliance", number.clone())]).collect();
    object(&[
        ("today", day),
        ("range", object(&[("from", no_day.clone()), ("to", no_day)])),
        ("counts", counts),
        ("fixed", object(&fixed.map(|name| (name, count.clone())))),
        (
            "cvss",
            object(&[
                ("mean", number.clone()),
                ("n", whole.clone()),
                ("without_score", whole.clone()),
            ]),
        ),
        (
            "remediation",
            by_severity(&object(&[
                ("fixed", whole.clone()),
                ("open", whole.clone()),
                ("rate", number.clone()),
            ])),
        ),
        (
            "mttr",
            by_severity(&object(&[
                ("n", whole.clone()),
                ("mean", number.clone()),
                ("median", number.clone()),
                ("p90", number.clone()),
            ])),
        ),
        (
            "ageing",
            by_severity(&object(&ageing.map(|name| (name, whole.clone())))),
        ),
        ("sla", by_severity(&object(&sla))),
        (
            "trend",
            object(&[
                ("step", json!({"type": "string", "enum": ["month", "week"]})),
                ("earlier_left_out", json!({"type": "boolean"})),
                ("periods", json!({"type": "array", "items": period})),
            ]),
        ),
    ])
}

/// Adds them.
pub fn add(routes: &mut Routes) {
    let whole = json!({"type": "integer"});
    let number = json!({"type": "number", "nullable": true});
    routes.schema("Metrics", metrics());
    let product = object(&[
        ("product", whole.clone()),
        ("name", json!({"type": "string"})),
        ("product_type", whole.clone()),
        ("open", by_severity(&whole)),
        ("total", whole.clone()),
        ("grade", whole.clone()),
        ("letter", json!({"type": "string", "nullable": true})),
        ("breached", whole.clone()),
        ("due_soon", whole.clone()),
        ("compliance", number.clone()),
        ("mttr_days", number.clone()),
        ("remediation_rate", number),
    ]);
    let products = object(&[
        ("count", whole),
        ("results", json!({"type": "array", "items": product})),
    ]);
    routes.schema("ProductMetrics", products);
    let dashboard = object(&[
        ("metrics", json!({"$ref": "#/components/schemas/Metrics"})),
        (
            "products",
            json!({"$ref": "#/components/schemas/ProductMetrics"}),
        ),
    ]);
    routes.schema("Dashboard", dashboard);
}

/// An object that always has all of its properties.
fn object(properties: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<String, Value> = (properties.iter())
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({"type": "object", "required": names, "properties": properties})
}

/// A value for each severity and for all of them.
fn by_severity(of: &Value) -> Value {
    let names = ["all", "critical", "high", "medium", "low", "info"];
    object(&names.map(|name| (name, of.clone())))
}

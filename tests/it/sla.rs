//! The SLA through the pipeline.

use serde_json::json;
use tatami_tests::{Local, generic_report};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_report_reopens_starts_anew_where_the_configuration_says_so() {
    let local = Local::start().await;
    let client = &local.client;
    for restarts in [false, true] {
        let name = format!("restarts: {restarts}");
        let configuration = json!({"name": name, "restart_sla_on_reactivation": restarts});
        let configuration = client
            .post("sla_configurations/", configuration)
            .await
            .expect(201);
        let kind = client
            .post("product_types/", json!({"name": name}))
            .await
            .expect(201);
        let product = json!({
            "name": name, "description": "d", "prod_type": kind["id"],
            "sla_configuration": configuration["id"],
        });
        client.post("products/", product).await.expect(201);
        let send = |day: &'static str, n: usize| {
            let name = name.clone();
            async move {
                let fields = [("product_name", name.as_str()), ("scan_date", day)];
                let report = generic_report(0, n);
                client
                    .import("reimport-scan", &fields, "report.json", report)
                    .await
            }
        };
        send("2026-01-01", 3).await;
        send("2026-02-01", 1).await;
        let import = send("2026-03-01", 2).await;
        assert_eq!(import["counts"]["reactivated"], 1, "{import:#}");
        let reopened = format!("findings/?product_name={name}&active=true&o=id").replace(' ', "+");
        let page = client.get(&reopened).await.expect(200);
        assert_eq!(page["count"], 2, "{page:#}");
        let starts: Vec<_> = (page["results"].as_array().unwrap().iter())
            .map(|finding| finding["sla_start_date"].clone())
            .collect();
        let anew = if restarts {
            json!("2026-03-01")
        } else {
            json!(null)
        };
        assert_eq!(starts, [json!(null), anew]);
    }
    local.stack.stop().await;
}

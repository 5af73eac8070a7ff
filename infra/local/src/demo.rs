//! `tatami demo`: the stack, with sample reports in it.

use std::io::Cursor;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use tokio::task::spawn_blocking;

use crate::client::Client;
use crate::commands::findings;
use crate::commands::import::{Job, Outcome, import, report};
use crate::serve;

/// A report that is shipped with the command, and where it goes.
struct Sample {
    name: &'static str,
    bytes: &'static [u8],
    product: &'static str,
    engagement: &'static str,
}

const fn sample(
    name: &'static str,
    bytes: &'static [u8],
    product: &'static str,
    engagement: &'static str,
) -> Sample {
    Sample {
        name,
        bytes,
        product,
        engagement,
    }
}

/// The second Trivy report shares findings with the first.
const SAMPLES: [Sample; 6] = [
    sample(
        "web-shop-image.trivy.json",
        include_bytes!("../samples/web-shop-image.trivy.json"),
        "Web shop",
        "Release 4.1",
    ),
    sample(
        "web-shop-repository.trivy.json",
        include_bytes!("../samples/web-shop-repository.trivy.json"),
        "Web shop",
        "Nightly scans",
    ),
    sample(
        "web-shop.zap.xml",
        include_bytes!("../samples/web-shop.zap.xml"),
        "Web shop",
        "Release 4.1",
    ),
    sample(
        "web-shop.sarif",
        include_bytes!("../samples/web-shop.sarif"),
        "Web shop",
        "Nightly scans",
    ),
    sample(
        "warehouse.nessus",
        include_bytes!("../samples/warehouse.nessus"),
        "Warehouse",
        "Network scans",
    ),
    sample(
        "warehouse-pentest.json",
        include_bytes!("../samples/warehouse-pentest.json"),
        "Warehouse",
        "Pentest",
    ),
];
const PRODUCT_TYPE: &str = "Demo";
/// All findings of the samples are shown.
const SHOWN: usize = 100;

/// Serves with the samples imported; with `once`, stops when their findings are shown.
pub async fn run(options: serve::Options, once: bool) -> anyhow::Result<()> {
    let running = serve::start(options).await?;
    let (url, token) = (running.url.clone(), running.token.clone());
    let shown = spawn_blocking(move || show(&url, token)).await;
    let shown = shown
        .context("the import of the samples broke off")
        .flatten();
    if once || shown.is_err() {
        running.stop().await;
        return shown;
    }
    println!(
        "\nTatami goes on serving on {}; ctrl-c stops it.",
        running.url
    );
    running.wait().await
}

/// Imports the samples and prints their findings. They are re-imported, so that a second demo on the
/// same data changes nothing.
fn show(url: &str, token: String) -> anyhow::Result<()> {
    let client = Client::new(url, Some(token))?;
    println!("\nImporting {} sample reports", SAMPLES.len());
    let outcomes: Vec<Outcome> = (SAMPLES.iter())
        .map(|sample| {
            let fields = [
                ("product_name", sample.product.to_owned()),
                ("engagement_name", sample.engagement.to_owned()),
                ("product_type_name", PRODUCT_TYPE.to_owned()),
                ("auto_create_context", true.to_string()),
            ];
            let job = Job {
                reimport: true,
                fields: &fields,
            };
            let size = sample.bytes.len() as u64;
            let mut bytes = Cursor::new(sample.bytes);
            let record = import(
                &client,
                &job,
                sample.name,
                size,
                &mut bytes,
                &ProgressBar::hidden(),
            );
            Outcome::new(sample.name.to_owned(), record)
        })
        .collect();
    report(&outcomes, false)?;
    if outcomes.iter().any(|outcome| outcome.failure().is_some()) {
        bail!("not every sample could be imported");
    }
    println!();
    findings::list(&client, &[], SHOWN)?.print()
}

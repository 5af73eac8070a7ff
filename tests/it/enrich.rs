//! The EPSS scores and the KEV catalogue from a server with small files in the real formats, to the findings.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tatami_enrich::{EnrichError, Limits};
use tatami_runtime::Services;
use tatami_tests::Lab;
use tatami_threat_intel::{Catalogue, Intel, Score};

/// What a server answers with.
#[derive(Debug, Clone)]
enum Answer {
    Bytes(Vec<u8>),
    Status(u16),
    /// To another path.
    Redirect(&'static str),
    /// Later than anybody waits.
    Never,
}

/// What it answers with, by path, and who asked for what.
#[derive(Debug, Default)]
struct Public {
    answers: Vec<(&'static str, Answer)>,
    asked: Vec<String>,
}

/// A server of FIRST's and CISA's files, and a laboratory that loads them.
struct Feeds {
    lab: Lab,
    services: Services,
    public: Arc<Mutex<Public>>,
}

async fn answer(
    State(public): State<Arc<Mutex<Public>>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = {
        let mut public = public.lock().unwrap();
        let agent = headers[header::USER_AGENT].to_str().unwrap();
        public.asked.push(format!("{} {agent}", uri.path()));
        let found = public.answers.iter().find(|(path, _)| *path == uri.path());
        found.map(|(_, answer)| answer.clone())
    };
    match answer {
        Some(Answer::Bytes(bytes)) => bytes.into_response(),
        Some(Answer::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Answer::Redirect(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Answer::Never) => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            StatusCode::OK.into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

const EPSS: &str = "/epss_scores-current.csv.gz";
const KEV: &str = "/known_exploited_vulnerabilities.json";

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// So many scores of a day; that of CVE-2024-0001 is as given.
fn scores(day: &str, count: usize, first: f64) -> Vec<u8> {
    let mut text = format!(
        "#model_version:v2026.06.15,score_date:{day}T12:00:27Z\ncve,epss,percentile\n\
         CVE-2024-0001,{first},0.9\n"
    );
    for n in 2..=count {
        writeln!(text, "CVE-2024-{n:04},0.00042,0.05").unwrap();
    }
    gzip(&text)
}

fn catalogue(day: &str, cves: &[&str]) -> Vec<u8> {
    let entry = |cve: &&str| {
        json!({
            "cveID": cve, "vendorProject": "Example", "product": "Gateway",
            "dateAdded": "2026-11-20", "dueDate": "2026-12-01",
            "knownRansomwareCampaignUse": "Unknown", "cwes": ["CWE-20"],
        })
    };
    let entries: Vec<Value> = cves.iter().map(entry).collect();
    let file = json!({
        "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2026.11.28",
        "dateReleased": format!("{day}T16:59:23.0688Z"), "count": entries.len(),
        "vulnerabilities": entries,
    });
    file.to_string().into_bytes()
}

impl Feeds {
    async fn start() -> Self {
        let public = Arc::new(Mutex::new(Public::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&public));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let lab = Lab::patient().await;
        let mut services = lab.services.clone();
        services.settings.epss_url = Some(format!("http://user:secret@{address}{EPSS}"));
        services.settings.kev_url = Some(format!("http://{address}{KEV}"));
        let feeds = Self {
            lab,
            services,
            public,
        };
        feeds.serve(EPSS, Answer::Bytes(scores("2026-11-28", 10, 0.7)));
        feeds.serve(
            KEV,
            Answer::Bytes(catalogue("2026-11-28", &["CVE-2024-0002"])),
        );
        feeds
    }

    fn serve(&self, path: &'static str, answer: Answer) {
        self.public
            .lock()
            .unwrap()
            .answers
            .insert(0, (path, answer));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.public.lock().unwrap().asked)
    }

    async fn load(&self) -> Result<Value, EnrichError> {
        let limits = Limits {
            timeout: Duration::from_secs(2),
            bytes: 100_000,
        };
        tatami_enrich::load(&self.services, limits).await
    }

    /// Why a run fails that must.
    async fn fails(&self) -> String {
        match self.load().await {
            Err(EnrichError::Halves(halves)) => {
                let text = halves.to_string();
                assert!(!text.contains("secret"), "{text}");
                text
            }
            other => panic!("{other:?}"),
        }
    }

    /// What a process knows that has just started.
    async fn stored(&self) -> Intel {
        let bytes = match self.services.blobs.intel(None).await.unwrap() {
            tatami_blobs::StoredIntel::Changed { bytes, .. } => bytes,
            other => panic!("{other:?}"),
        };
        Intel::from_bytes(&bytes).unwrap()
    }

    /// The score of CVE-2024-0001, and how many are in the catalogue.
    async fn halves(&self) -> (Option<f64>, usize) {
        let stored = self.stored().await;
        assert_eq!(stored, *self.services.store.intel(), "readers know another");
        let cve = "CVE-2024-0001".parse().unwrap();
        let score = stored.epss().and_then(|scores| scores.get(cve));
        (
            score.map(Score::score),
            stored.kev().map_or(0, Catalogue::len),
        )
    }

    /// How many objects were stored since the last time.
    fn puts(&self) -> u64 {
        self.lab
            .wire
            .take_calls()
            .get("s3 PUT")
            .copied()
            .unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_loaded_is_stored_once_and_joined_to_findings() {
    let feeds = Feeds::start().await;
    let report = json!({"findings": [
        {"title": "a", "severity": "High", "description": "d", "cve": "CVE-2024-0001"},
        {"title": "b", "severity": "High", "description": "d", "cve": "CVE-2024-0002"},
        {"title": "c", "severity": "High", "description": "d"},
    ]});
    feeds
        .lab
        .upload("Shop", "Nightly", &[], report.to_string())
        .await;
    feeds.lab.settle().await;
    let titles = async |query: &str| {
        let path = format!("findings/?{query}");
        let page = feeds.lab.call(Method::GET, &path, None).await.expect(200);
        let results = page["results"].as_array().unwrap().iter();
        let titles: Vec<String> = results
            .map(|finding| finding["title"].as_str().unwrap().to_owned())
            .collect();
        titles.join("")
    };
    assert_eq!(titles("known_exploited=true").await, "");

    feeds.puts();
    let answer = feeds.load().await.unwrap();
    assert_eq!(
        answer,
        json!({
            "changed": true, "epss_cves": 10, "epss_score_date": "2026-11-28T12:00:27Z",
            "kev_cves": 1, "kev_released": "2026-11-28T16:59:23Z",
        })
    );
    let agent = concat!("tatami/", env!("CARGO_PKG_VERSION"));
    let mut asked = feeds.asked();
    asked.sort();
    assert_eq!(asked, [format!("{EPSS} {agent}"), format!("{KEV} {agent}")]);
    assert_eq!((feeds.puts(), feeds.halves().await), (1, (Some(0.7), 1)));
    assert_eq!(titles("known_exploited=true").await, "b");
    assert_eq!(titles("epss_score_min=0.7").await, "a");
    assert_eq!(titles("o=-epss_score,title&epss_score_min=0").await, "ab");

    feeds.puts();
    assert_eq!(feeds.load().await.unwrap()["changed"], false);
    assert_eq!(feeds.puts(), 0, "the same bytes are not written");

    feeds.serve(EPSS, Answer::Bytes(scores("2026-11-29", 10, 0.8)));
    assert_eq!(feeds.load().await.unwrap()["changed"], true);
    assert_eq!((feeds.puts(), feeds.halves().await), (1, (Some(0.8), 1)));
    assert_eq!(titles("epss_score_min=0.8").await, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_half_fails_the_other_one_is_stored_and_the_error_says_which_and_why() {
    let feeds = Feeds::start().await;
    let packed = scores("2026-11-29", 10, 0.9);
    let cut = packed[..packed.len() - 12].to_vec();
    let page = b"<!DOCTYPE html><html><body>Please wait</body></html>".to_vec();
    let big = vec![b' '; 100_001];
    feeds.load().await.unwrap();
    for (path, answer, why) in [
        (EPSS, Answer::Status(500), "500"),
        (EPSS, Answer::Status(404), "404"),
        (EPSS, Answer::Never, "timeout"),
        (EPSS, Answer::Bytes(page.clone()), "should name the columns"),
        (
            EPSS,
            Answer::Bytes(gzip("cve,epss,percentile\n")),
            "none in 1 lines",
        ),
        (EPSS, Answer::Bytes(cut), "cannot read line"),
        (EPSS, Answer::Bytes(Vec::new()), "none in 0 lines"),
        (KEV, Answer::Status(503), "503"),
        (KEV, Answer::Never, "timeout"),
        (KEV, Answer::Bytes(page), "expected value"),
        (
            KEV,
            Answer::Bytes(b"{\"vulnerabilities\": [{\"cveID\":".to_vec()),
            "EOF",
        ),
        (KEV, Answer::Bytes(big), "larger than request limit"),
    ] {
        let (epss, kev) = feeds.halves().await;
        let told = if path == EPSS {
            "EPSS scores"
        } else {
            "KEV catalogue"
        };
        // the other half changes
        if path == EPSS {
            let cves: Vec<String> = (0..=kev)
                .map(|n| format!("CVE-2024-{:04}", n + 2))
                .collect();
            let cves: Vec<&str> = cves.iter().map(String::as_str).collect();
            feeds.serve(KEV, Answer::Bytes(catalogue("2026-11-28", &cves)));
        } else {
            let next = ((epss.unwrap() + 0.01) * 100.0).round() / 100.0;
            feeds.serve(EPSS, Answer::Bytes(scores("2026-11-28", 10, next)));
        }
        feeds.serve(path, answer.clone());
        let text = feeds.fails().await;
        assert!(text.contains(why), "{answer:?}: {text}");
        assert!(
            text.starts_with(&format!("the {told} from http://127.0.0.1:")),
            "{text}"
        );
        assert!(text.contains(path), "{text}");
        assert_eq!(
            text.matches("the EPSS").count() + text.matches("the KEV").count(),
            1,
            "{text}"
        );
        let now = feeds.halves().await;
        if path == EPSS {
            assert_eq!(now, (epss, kev + 1), "{answer:?}");
        } else {
            assert!(now.0 > epss && now.1 == kev, "{answer:?}: {now:?}");
        }
        feeds.serve(
            EPSS,
            Answer::Bytes(scores("2026-11-28", 10, now.0.unwrap())),
        );
    }
    // both
    feeds.serve(EPSS, Answer::Status(500));
    feeds.serve(KEV, Answer::Status(500));
    let before = feeds.halves().await;
    feeds.puts();
    let text = feeds.fails().await;
    assert!(
        text.contains("EPSS scores") && text.contains("KEV catalogue"),
        "{text}"
    );
    assert_eq!((feeds.puts(), feeds.halves().await), (0, before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_much_smaller_or_older_is_refused() {
    let feeds = Feeds::start().await;
    let many = ["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003"];
    feeds.serve(KEV, Answer::Bytes(catalogue("2026-11-28", &many)));
    feeds.load().await.unwrap();
    let known = feeds.halves().await;
    for (path, file, why) in [
        (
            EPSS,
            scores("2026-11-29", 4, 0.9),
            "4 CVEs, fewer than half of the 10",
        ),
        (
            EPSS,
            scores("2026-11-27", 10, 0.9),
            "of 2026-11-27T12:00:27Z, older",
        ),
        (
            KEV,
            catalogue("2026-11-29", &many[..1]),
            "1 CVEs, fewer than half of the 3",
        ),
        (
            KEV,
            catalogue("2026-11-27", &many),
            "of 2026-11-27T16:59:23Z, older",
        ),
    ] {
        let good = {
            let public = feeds.public.lock().unwrap();
            let found = public.answers.iter().find(|(of, _)| *of == path);
            found.unwrap().1.clone()
        };
        feeds.serve(path, Answer::Bytes(file));
        let text = feeds.fails().await;
        assert!(text.contains(why), "{text}");
        assert_eq!(feeds.halves().await, known);
        feeds.serve(path, good);
    }
    // half as many will do
    feeds.serve(EPSS, Answer::Bytes(scores("2026-11-29", 5, 0.9)));
    feeds.load().await.unwrap();
    assert_eq!(feeds.halves().await, (Some(0.9), 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_followed_and_a_loop_is_not() {
    let feeds = Feeds::start().await;
    let dated = "/epss_scores-2026-11-29.csv.gz";
    feeds.serve(dated, Answer::Bytes(scores("2026-11-29", 10, 0.6)));
    feeds.serve(EPSS, Answer::Redirect(dated));
    feeds.load().await.unwrap();
    assert_eq!(feeds.halves().await, (Some(0.6), 1));

    feeds.asked();
    feeds.serve(EPSS, Answer::Redirect(EPSS));
    let text = feeds.fails().await;
    assert!(text.contains("too many redirects"), "{text}");
    let asked = feeds
        .asked()
        .iter()
        .filter(|line| line.starts_with(EPSS))
        .count();
    assert_eq!(asked, 4, "once, and three times more");
    assert_eq!(feeds.halves().await, (Some(0.6), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_that_is_switched_off_is_let_go_of_and_nobody_asks_for_it() {
    let mut feeds = Feeds::start().await;
    feeds.load().await.unwrap();
    feeds.asked();
    let epss_url = feeds.services.settings.epss_url.take();
    feeds.load().await.unwrap();
    assert_eq!(feeds.halves().await, (None, 1));
    let asked = feeds.asked();
    assert!(asked.len() == 1 && asked[0].starts_with(KEV), "{asked:?}");
    // so that a smaller file can be had by whoever means it
    feeds.services.settings.epss_url = epss_url;
    feeds.serve(EPSS, Answer::Bytes(scores("2026-11-01", 2, 0.2)));
    feeds.load().await.unwrap();
    assert_eq!(feeds.halves().await, (Some(0.2), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_object_is_made_anew() {
    let feeds = Feeds::start().await;
    feeds
        .services
        .blobs
        .put_intel(b"TTI\x01".to_vec())
        .await
        .unwrap();
    assert_eq!(feeds.load().await.unwrap()["changed"], true);
    assert_eq!(feeds.halves().await, (Some(0.7), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_s3_fails_readers_keep_what_they_know_and_nothing_is_overwritten() {
    let feeds = Feeds::start().await;
    feeds.load().await.unwrap();
    let known = feeds.services.store.intel();
    // an object that nobody here has seen yet
    let other = Intel::default().to_bytes().unwrap();
    feeds.services.blobs.put_intel(other.clone()).await.unwrap();
    feeds.lab.wire.trouble(1, 1.0);
    assert!(matches!(feeds.load().await, Err(EnrichError::Stored(_))));
    feeds.services.refresh_intel().await;
    assert!(feeds.services.reload_intel().await.is_err());
    assert!(feeds.lab.wire.calm() > 0);
    assert_eq!(feeds.services.store.intel(), known);
    assert_eq!(feeds.stored().await, Intel::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_look_once_and_do_not_fetch_what_they_have() {
    let feeds = Feeds::start().await;
    feeds.load().await.unwrap();
    let gets = || {
        feeds
            .lab
            .wire
            .take_calls()
            .get("s3 GET")
            .copied()
            .unwrap_or_default()
    };
    gets();
    for _ in 0..3 {
        feeds.services.refresh_intel().await;
    }
    assert_eq!(gets(), 0, "it was loaded just now");
    let tag = match feeds.services.blobs.intel(None).await.unwrap() {
        tatami_blobs::StoredIntel::Changed { tag, .. } => tag,
        other => panic!("{other:?}"),
    };
    let again = feeds.services.blobs.intel(Some(&tag)).await.unwrap();
    assert_eq!(again, tatami_blobs::StoredIntel::Unchanged);
    let known = feeds.services.store.intel();
    assert_eq!(feeds.services.reload_intel().await.unwrap(), Some(known));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daily_summary_of_the_sla_sees_what_was_loaded() {
    let feeds = Feeds::start().await;
    feeds.load().await.unwrap();
    let tiers = json!({"name": "Tiers", "known_exploited_days": 0});
    let call = async |method, path: &str, body| feeds.lab.call(method, path, Some(body)).await;
    let tiers = call(Method::POST, "sla_configurations/", tiers)
        .await
        .expect(201);
    let report = json!({"findings": [
        {"title": "a", "severity": "Low", "description": "d", "cve": "CVE-2024-0001"},
        {"title": "b", "severity": "Low", "description": "d", "cve": "CVE-2024-0002"},
    ]});
    feeds
        .lab
        .upload("Shop", "Nightly", &[], report.to_string())
        .await;
    feeds.lab.settle().await;
    let product = feeds.lab.product("Shop").await.unwrap().id;
    let change = json!({"sla_configuration": tiers["id"]});
    call(Method::PATCH, &format!("products/{product}/"), change)
        .await
        .expect(200);
    tatami_sla::handle(&feeds.services, json!({"source": "aws.events"}))
        .await
        .unwrap();
    let summary: Value = feeds
        .services
        .store
        .sla_summary(product)
        .await
        .unwrap()
        .unwrap();
    let low = &summary["severities"]["Low"];
    assert_eq!(
        (&low["due_soon"], &low["within"]),
        (&json!(1), &json!(1)),
        "{summary}"
    );
}

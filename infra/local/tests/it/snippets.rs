//! What build jobs run: the snippets that people have in Jenkins, GitHub Actions and GitLab, by the real
//! `curl` against the whole stack.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::restart::{PASSWORD, Server, TOKEN};
use super::write;

/// A folder as a build leaves it, and a server with a product, an engagement and a test.
struct Job {
    folder: tempfile::TempDir,
    server: Server,
    ids: [u64; 3],
    _data: tempfile::TempDir,
}

impl Job {
    /// None where there is no `curl`, which is said.
    fn new() -> Option<Self> {
        if Command::new("curl").arg("--version").output().is_err() {
            eprintln!("skipped: there is no curl");
            return None;
        }
        let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(folder.path(), "trivy.json", TRIVY);
        write(folder.path(), "generic.json", &generic(&["a", "b"]));
        write(folder.path(), "report.xml", ZAP);
        let server = Server::start(data.path());
        let mut job = Self {
            folder,
            server,
            ids: [0; 3],
            _data: data,
        };
        let made = |path: &str, body: Value| {
            let script = format!(
                "curl -sf -X POST $URL/api/v2/{path} -H \"Authorization: Token $TOKEN\" \
                 -H 'Content-Type: application/json' -d '{body}'"
            );
            job.run(&script)["id"].as_u64().unwrap()
        };
        let kind = made("product_types/", json!({"name": "Web"}));
        let product = json!({"name": "Shop", "description": "d", "prod_type": kind});
        let product = made("products/", product);
        let engagement = json!({
            "name": "CI", "product": product, "engagement_type": "CI/CD",
            "target_start": "2026-01-01", "target_end": "2026-12-31",
        });
        let engagement = made("engagements/", engagement);
        let types = job.get("test_types/?name_exact=Generic%20Findings%20Import");
        let generic = types["results"][0]["id"].clone();
        let test = json!({
            "engagement": engagement, "test_type": generic, "title": "nightly",
            "target_start": "2026-01-01", "target_end": "2026-01-02",
        });
        let test = made("tests/", test);
        job.ids = [product, engagement, test];
        Some(job)
    }

    /// Runs a script in the folder; gives what it prints.
    fn text(&self, script: &str) -> String {
        let [product, engagement, test] = self.ids.map(|id| id.to_string());
        let output = Command::new("sh")
            .args(["-euc", script])
            .current_dir(self.folder.path())
            .env("URL", &self.server.url)
            .env("TOKEN", TOKEN)
            .env("PASSWORD", PASSWORD)
            .env("PRODUCT", product)
            .env("ENGAGEMENT", engagement)
            .env("TEST", test)
            .env("no_proxy", "*")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}\n{told}");
        said
    }

    /// The same for a script that prints JSON.
    fn run(&self, script: &str) -> Value {
        let text = self.text(script);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{script}\n{text}\n{e}"))
    }

    fn get(&self, path: &str) -> Value {
        self.server.get(path).unwrap()
    }

    /// How many findings a test has.
    fn findings(&self, test: &Value) -> Value {
        self.get(&format!("findings/?limit=1&test={test}"))["count"].clone()
    }
}

const TRIVY: &str = r#"{"SchemaVersion": 2, "ArtifactName": "shop:1", "ArtifactType": "container_image",
    "Results": [{"Target": "shop:1 (debian 12)", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": [
        {"VulnerabilityID": "CVE-2030-1", "PkgName": "p", "InstalledVersion": "1", "Severity": "HIGH"}]}]}"#;

const ZAP: &str = r#"<?xml version="1.0"?>
<OWASPZAPReport version="2.14.0" generated="Mon, 5 Jan 2026 10:00:00">
<site name="https://shop.example" host="shop.example" port="443" ssl="true"><alerts><alertitem>
<pluginid>10038</pluginid><alertRef>10038</alertRef><alert>CSP Header Not Set</alert><name>CSP Header Not Set</name>
<riskcode>2</riskcode><confidence>3</confidence><riskdesc>Medium (High)</riskdesc><desc>d</desc>
<instances><instance><uri>https://shop.example/</uri><method>GET</method><param></param><attack></attack>
<evidence></evidence></instance></instances><count>1</count><solution>s</solution><reference>r</reference>
<cweid>693</cweid><wascid>15</wascid><sourceid>1</sourceid></alertitem></alerts></site></OWASPZAPReport>"#;

fn generic(titles: &[&str]) -> String {
    let finding = |title: &&str| json!({"title": title, "severity": "High", "description": "d"});
    let findings: Vec<Value> = titles.iter().map(finding).collect();
    json!({ "findings": findings }).to_string()
}

fn exists(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}

#[test]
fn jenkins() {
    let Some(job) = Job::new() else { return };
    // the form of DefectDojo's documentation
    let made = job.run(
        r#"curl -sf -X POST "$URL/api/v2/import-scan/" \
            -H "Authorization: Token $TOKEN" -H 'accept: application/json' \
            -H 'Content-Type: multipart/form-data' \
            -F 'minimum_severity=Info' -F 'active=true' -F 'verified=true' \
            -F 'scan_type=Trivy Scan' -F 'file=@trivy.json;type=application/json' \
            -F "engagement=$ENGAGEMENT" -F "scan_date=$(date +%Y-%m-%d)" \
            -F 'close_old_findings=false' -F 'push_to_jira=false' -F 'environment=Production' \
            -F 'tags=nightly,web'"#,
    );
    assert_eq!(made["scan_type"], "Trivy Scan", "{made}");
    let test = job.get(&format!("tests/{}/", made["test"]));
    assert_eq!(test["tags"], json!(["nightly", "web"]));
    assert_eq!(test["engagement"], job.ids[1]);
    let finding = &job.get(&format!("findings/?test={}", made["test"]))["results"][0];
    assert_eq!(finding["verified"], true);
    // and what is left of it where somebody is in a hurry
    let added = job.run(
        r#"curl -sf -H "Authorization: Token $TOKEN" -F file=@generic.json -F test=$TEST $URL/api/v2/import-scan/"#,
    );
    assert_eq!(added["test"], job.ids[2], "{added}");
    assert_eq!(job.findings(&json!(job.ids[2])), 2);
    // tags one by one, booleans as Python writes them, an empty field for none
    let again = job.run(
        r#"curl -sf -H "Authorization: Token $TOKEN" -F tags=a -F tags=b -F active=True -F verified=False \
            -F version= -F file=@generic.json -F "engagement=$ENGAGEMENT" $URL/api/v2/import-scan/"#,
    );
    assert_eq!(again["tags"], json!(["a", "b"]), "{again}");
}

#[test]
fn reports_as_bodies() {
    let Some(job) = Job::new() else { return };
    let scripts = [
        r#"curl -sf -d @generic.json -H 'Content-Type: application/json' -H "Authorization: Token $TOKEN" \
            "$URL/api/v2/import-scan/?test=$TEST""#,
        r#"cat generic.json | curl -sf -T - -X POST -H 'Content-Type: application/json' \
            -H "Authorization: Token $TOKEN" "$URL/api/v2/reimport-scan/?test=$TEST""#,
        r#"cat generic.json | curl -sf -F file=@- -F test=$TEST -H "Authorization: Token $TOKEN" \
            "$URL/api/v2/reimport-scan/""#,
    ];
    for script in scripts {
        let answer = job.run(script);
        assert_eq!(answer["test"], job.ids[2], "{script} {answer}");
        assert_eq!(answer["scan_type"], "Generic Findings Import", "{answer}");
    }
    assert_eq!(job.findings(&json!(job.ids[2])), 2);
    let xml = job.run(
        r#"curl -sf --data-binary @report.xml -H 'Content-Type: application/xml' \
            -H "Authorization: Token $TOKEN" "$URL/api/v2/import-scan/?engagement=$ENGAGEMENT""#,
    );
    assert_eq!(xml["scan_type"], "ZAP Scan", "{xml}");
    assert_eq!(job.findings(&xml["test"]), 1);
    // what cannot work says why, to those who look
    for (script, status, words) in [
        (
            r#"curl -s -w ' %{http_code}' -d @generic.json -H 'Content-Type: application/json' \
                -H "Authorization: Token $TOKEN" "$URL/api/v2/import-scan/""#,
            "400",
            "parameter missing",
        ),
        (
            r#"curl -s -w ' %{http_code}' -F test=$TEST -H "Authorization: Token $TOKEN" \
                "$URL/api/v2/import-scan/""#,
            "400",
            "No file was submitted",
        ),
        (
            r#"curl -s -w ' %{http_code}' -F file=@trivy.json -F test=9999 -H "Authorization: Token $TOKEN" \
                "$URL/api/v2/reimport-scan/""#,
            "404",
            "9999",
        ),
        (
            r#"curl -s -w ' %{http_code}' -F file=@trivy.json -F test=$TEST -H "Authorization: Token nonsense" \
                "$URL/api/v2/import-scan/""#,
            "401",
            "Invalid token",
        ),
    ] {
        let text = job.text(script);
        assert!(
            text.ends_with(status) && text.contains(words),
            "{script} {text}"
        );
    }
}

#[test]
fn github_actions() {
    let Some(job) = Job::new() else { return };
    let script = r#"
        GITHUB_REPOSITORY=acme/shop GITHUB_REF_NAME=main GITHUB_SHA=0123456789abcdef GITHUB_RUN_ID=77
        curl --fail --silent --show-error --retry 2 --location --request POST \
            "$URL/api/v2/reimport-scan/" --header "Authorization: Token $TOKEN" \
            --header "Idempotency-Key: $GITHUB_RUN_ID-trivy" \
            --form "auto_create_context=true" --form "product_type_name=Web" \
            --form "product_name=$GITHUB_REPOSITORY" --form "engagement_name=$GITHUB_REF_NAME" \
            --form "test_title=images" --form "branch_tag=$GITHUB_REF_NAME" --form "commit_hash=$GITHUB_SHA" \
            --form "build_id=$GITHUB_RUN_ID" --form "do_not_reactivate=false" --form "scan_type=Trivy Scan" \
            --form "close_old_findings=true" --form "file=@trivy.json""#;
    let first = job.run(script);
    let product = job.get(&format!("products/{}/", first["product_id"]));
    assert_eq!(product["name"], "acme/shop");
    let test = job.get(&format!("tests/{}/", first["test"]));
    assert_eq!(
        [&test["title"], &test["branch_tag"], &test["build_id"]],
        ["images", "main", "77"]
    );
    // the step that runs again has the same answer, though curl draws another boundary
    assert_eq!(job.run(script), first);
    let imports = job.get(&format!("test_imports/?test={}", first["test"]));
    assert_eq!(imports["count"], 1, "{imports}");
    // the next run holds its report against the last one
    let next = job.run(&script.replace("GITHUB_RUN_ID=77", "GITHUB_RUN_ID=78"));
    assert_eq!(next["test"], first["test"]);
    assert_eq!(
        next["statistics"]["delta"]["untouched"]["total"]["total"], 1,
        "{next}"
    );
}

#[test]
fn gitlab() {
    let Some(job) = Job::new() else { return };
    // sign in, find or make the engagement, and send every report that the jobs left
    let text = job.text(
        r#"
        json() { sed -e "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/"; }
        MINE=$(curl -sf -X POST "$URL/api/v2/api-token-auth/" -H 'content-type: application/json' \
            -d "{\"username\": \"admin\", \"password\": \"$PASSWORD\"}" | json token)
        FORM=$(curl -sf "$URL/api/v2/api-token-auth/" --data-urlencode username=admin \
            --data-urlencode "password=$PASSWORD" | json token)
        test "$MINE" != "$FORM"
        ID=$(curl -sf -X POST "$URL/api/v2/engagements/" -H "Authorization: Token $MINE" \
            -H 'Content-Type: application/json' --data-raw "{
                \"tags\": [\"GITLAB-CI\"], \"name\": \"Pipeline 42\", \"product\": $PRODUCT,
                \"target_start\": \"$(date +%Y-%m-%d)\", \"target_end\": \"$(date +%Y-%m-%d)\",
                \"engagement_type\": \"CI/CD\", \"status\": \"In Progress\", \"build_id\": \"42\",
                \"deduplication_on_engagement\": \"true\", \"source_code_management_uri\": \"https://git.example/a\"
            }" | json id)
        for report in *.json *.xml; do
            curl -sSf -o "$report.answer" -X POST "$URL/api/v2/import-scan/" \
                -H "Authorization: Token $FORM" -F "engagement=$ID" -F "file=@$report"
        done
        echo "$ID""#,
    );
    let engagement = text.trim();
    for name in ["trivy.json", "generic.json", "report.xml"] {
        assert!(
            exists(job.folder.path(), &format!("{name}.answer")),
            "{name}"
        );
    }
    let tests = job.get(&format!("tests/?engagement={engagement}"));
    assert_eq!(tests["count"], 3, "{tests}");
    let page = job.get(&format!("findings/?limit=1&test__engagement={engagement}"));
    assert_eq!(page["count"], 4, "{page}");
}

#[test]
fn passwords_and_addresses_as_they_are_written() {
    let Some(job) = Job::new() else { return };
    for (what, wanted) in [
        // no slash at the end, with and without following where a server may send one
        (
            r#"-L -H "Authorization: Token $TOKEN" -F file=@generic.json -F test=$TEST "$URL/api/v2/import-scan""#,
            "201",
        ),
        (
            r#"-H "Authorization: Token $TOKEN" -F file=@generic.json -F test=$TEST "$URL/api/v2/import-scan""#,
            "201",
        ),
        (
            r#"-L -H "Authorization: Token $TOKEN" "$URL/api/v2/findings?limit=1""#,
            "200",
        ),
        (
            r#"-X DELETE -H "Authorization: Token $TOKEN" "$URL/api/v2/findings/9999""#,
            "404",
        ),
        // a slash too many, from a URL that ends with one
        (
            r#"-H "Authorization: Token $TOKEN" "$URL//api/v2//products/""#,
            "200",
        ),
        (
            r#"-H "Authorization: Bearer $TOKEN" "$URL/api/v2/products/""#,
            "200",
        ),
        (
            r#"-H "authorization: token $TOKEN" "$URL/api/v2/products/""#,
            "200",
        ),
        (r#"-u "admin:$PASSWORD" "$URL/api/v2/products/""#, "200"),
        (
            r#"-u "admin:$PASSWORD" -F file=@generic.json -F test=$TEST "$URL/api/v2/reimport-scan/""#,
            "201",
        ),
        (r#"-u "admin:wrong" "$URL/api/v2/products/""#, "401"),
        (r#""$URL/api/v2/products/""#, "401"),
    ] {
        let script = format!("curl -s -o answer -w '%{{http_code}}' {what}");
        assert_eq!(job.text(&script), wanted, "{what}");
    }
}

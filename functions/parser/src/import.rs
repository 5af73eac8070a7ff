//! One upload, from its event to the messages for the dedup function.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tatami_blobs::{BlobError, difference_key};
use tatami_dedup_rules::combine;
use tatami_domain::{
    DevelopmentEnvironment, Endpoint, EndpointId, Finding, Import, ImportActions, ImportError,
    ImportId, ImportKind, ImportOptions, ImportState, ProductId, Test, TestType,
};
use tatami_queue::{FindingsMessage, Outgoing, Reported, SendError};
use tatami_runtime::{Services, tell_failed};
use tatami_scanners::Scanner;
use tatami_store::{Entity as _, Store, StoreError, Target, TargetError};

use crate::compact::Common;
use crate::event::{EventError, Upload};
use crate::known::Known;
use crate::parts;
use crate::read::{self, Against, Begun, Contents, Endpoints, Findings, Order, ReadError};
use crate::replay::Replay;

/// The folder of the uploads bucket whose keys name the target.
const INBOX: &str = "inbox/";
/// Metadata that names the import made by the API.
const IMPORT: &str = "import";
/// Metadata or tag that says `import` or `reimport`.
const MODE: &str = "mode";
/// Each reading of a report numbers its parts from a multiple of this.
const PARTS: u64 = 100_000;
/// The environment of a test where nobody says.
const DEFAULT_ENVIRONMENT: &str = "Development";

/// A fault of our side: another try may help.
#[derive(Debug, thiserror::Error)]
pub enum ParserError {
    /// The event isn't one of S3.
    #[error(transparent)]
    Event(#[from] EventError),
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// S3.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// SQS.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The reading of the report.
    #[error("{0}")]
    Read(String),
    /// A message could not be written.
    #[error("a message cannot be written: {0}")]
    Message(#[from] serde_json::Error),
}

/// What stops an import.
enum Stop {
    /// The report or what was asked is at fault.
    Refused(ImportError),
    /// We are.
    Fault(ParserError),
}

macro_rules! faults {
    ($($error:ty),*) => {$(
        impl From<$error> for Stop {
            fn from(error: $error) -> Self {
                Self::Fault(error.into())
            }
        }
    )*};
}
faults!(
    ParserError,
    StoreError,
    BlobError,
    SendError,
    serde_json::Error
);

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(error) => Self::Refused(error),
            ReadError::Blobs(error) => Self::Fault(error.into()),
            ReadError::Store(error) => Self::Fault(error.into()),
            ReadError::BrokeOff(_) => Self::Fault(ParserError::Read(error.to_string())),
        }
    }
}

fn refuse(message: impl Into<String>, hint: &str) -> Stop {
    Stop::Refused(ImportError {
        message: message.into(),
        hint: Some(hint.to_owned()).filter(|h| !h.is_empty()),
        ..ImportError::default()
    })
}

/// Runs the import of one upload. A refused report is recorded on the import and is no error;
/// anything else is, and on the last try it's recorded as well.
pub(crate) async fn run(
    services: &Services,
    upload: &Upload,
    last_try: bool,
) -> Result<(), ParserError> {
    let opened = match services.blobs.open(&upload.bucket, &upload.key).await {
        Ok(opened) => opened,
        Err(BlobError::NotFound { bucket, key }) => {
            tracing::warn!(
                bucket,
                key,
                "the uploaded object is gone: nothing to import"
            );
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let (mut import, wrong) = record(services, upload, opened.size, &opened.metadata).await?;
    if import.state.is_final() || services.store.progress(import.id).await?.parts.is_some() {
        tracing::info!(import = %import.id, "delivered again, nothing to do");
        return look_after(services, &import).await;
    }
    let result = match wrong {
        Some(error) => Err(Stop::Refused(error)),
        None => parse(services, &mut import, opened).await,
    };
    let stop = match result {
        Ok(()) => return look_after(services, &import).await,
        Err(stop) => stop,
    };
    let (error, fault) = match (deleted(services, &import).await?, stop) {
        (Some(error), _) => {
            import.deleted = true;
            (error, None)
        }
        (None, Stop::Refused(error)) => (error, None),
        (None, Stop::Fault(fault)) if last_try => {
            let error = ImportError {
                message: format!("the report could not be read after several tries: {fault}"),
                hint: Some(
                    "the raw report is kept; send its message again once the cause is gone".into(),
                ),
                ..ImportError::default()
            };
            (error, Some(fault))
        }
        (None, Stop::Fault(fault)) => return Err(fault),
    };
    tracing::warn!(import = %import.id, key = %import.key, error = %error.message, "import failed");
    import.state = ImportState::Failed;
    import.error = Some(error);
    import.finished = Some(Timestamp::now());
    Box::pin(tell_failed(&services.store, &import)).await?;
    services.store.save_import(&import).await?;
    if let (Some(test), 1..) = (import.test, import.sequence) {
        services.store.end_import(test, import.id).await?;
    }
    look_after(services, &import).await?;
    fault.map_or(Ok(()), Err)
}

/// Where the test of an import was deleted meanwhile, the dedup function removes what was written for it.
async fn look_after(services: &Services, import: &Import) -> Result<(), ParserError> {
    let gone = match import.test.filter(|_| import.sequence > 0) {
        Some(test) => !services.store.exists(Test::KIND, test.0).await?,
        None => false,
    };
    if gone || import.deleted {
        let message = FindingsMessage::Deleted { import: import.id };
        let body = tatami_queue::write(&message)?;
        let import = Some(import.id);
        services.findings.send([Outgoing { body, import }]).await?;
    }
    Ok(())
}

/// What an import failed of whose place was there when it came and isn't any more.
async fn deleted(services: &Services, import: &Import) -> Result<Option<ImportError>, ParserError> {
    let missing = services.store.missing_places(import).await?;
    Ok(missing.first().map(|word| ImportError::deleted(word)))
}

/// The import that an upload belongs to: the API's own, or one for this event. Options that cannot be
/// read come back as an error to be recorded on it.
async fn record(
    services: &Services,
    upload: &Upload,
    size: u64,
    metadata: &HashMap<String, String>,
) -> Result<(Import, Option<ImportError>), ParserError> {
    if let Some(id) = metadata
        .get(IMPORT)
        .and_then(|id| id.parse::<ImportId>().ok())
    {
        match services.store.import(id).await {
            Ok(import) if import.key == upload.key => return Ok((import, None)),
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut options = ImportOptions {
        auto_create_context: true,
        ..ImportOptions::default()
    };
    let mut wrong = from_key(&upload.key, &mut options);
    let tags = services.blobs.tags(&upload.bucket, &upload.key).await;
    for (name, value) in tags.iter().chain(metadata) {
        if name == MODE {
            match value.as_str() {
                "import" => options.kind = ImportKind::Import,
                "reimport" => options.kind = ImportKind::Reimport,
                other => wrong = Some(format!("mode: \"{other}\" is neither import nor reimport")),
            }
        } else if let Err(error) = options.set(name, value) {
            wrong = Some(error.to_string());
        }
    }
    let import = Import {
        bucket: upload.bucket.clone(),
        key: upload.key.clone(),
        size,
        options,
        created: Timestamp::now(),
        ..Import::default()
    };
    let import = services
        .store
        .import_of_event(&upload.event, import)
        .await?;
    let wrong = wrong.map(|message| ImportError {
        message,
        hint: Some("correct the object's metadata, tags or key and upload it again".into()),
        ..ImportError::default()
    });
    Ok((import, wrong))
}

/// Reads `inbox/<product>/<engagement>/[<test title>/]<file>`.
fn from_key(key: &str, options: &mut ImportOptions) -> Option<String> {
    let path = key.strip_prefix(INBOX)?;
    let folders: Vec<&str> = path.split('/').collect();
    let set = |field: &mut Option<String>, name: &str| {
        *field = Some(name.trim().to_owned()).filter(|n| !n.is_empty());
    };
    match folders.as_slice() {
        [product, engagement, _file] => {
            set(&mut options.product_name, product);
            set(&mut options.engagement_name, engagement);
        }
        [product, engagement, title, _file] => {
            set(&mut options.product_name, product);
            set(&mut options.engagement_name, engagement);
            set(&mut options.test_title, title);
        }
        // metadata or tags may name the target all the same
        [_file] => {}
        _ => {
            return Some(format!(
                "the key {key} is not inbox/<product>/<engagement>/[<test title>/]<file>"
            ));
        }
    }
    None
}

async fn parse(
    services: &Services,
    import: &mut Import,
    mut opened: tatami_blobs::Upload,
) -> Result<(), Stop> {
    let mut key = import.key.clone();
    if let Some(replay) = &import.replay {
        // What was uploaded only says that a replay is due.
        let original = services.store.import(replay.import).await?;
        opened = services.blobs.open(&original.bucket, &original.key).await?;
        key = original.key;
    }
    let limit = services.settings.max_report_bytes;
    import.size = opened.size;
    if opened.size > limit {
        return Err(refuse(
            format!("the report has {} bytes, the limit is {limit}", opened.size),
            "split it, or raise TATAMI_MAX_REPORT_BYTES",
        ));
    }
    let now = Timestamp::now();
    let today = now.to_zoned(TimeZone::UTC).date();
    let scan_date = import.options.scan_date.unwrap_or(today);
    if scan_date > today {
        let message = format!("scan_date: {scan_date} is in the future");
        return Err(refuse(message, "send the day on which the scan ran"));
    }
    let endpoint = match import
        .options
        .endpoint_to_add
        .as_deref()
        .map(Endpoint::parse)
    {
        None => None,
        Some(Ok(endpoint)) => Some(endpoint),
        Some(Err(error)) => return Err(refuse(format!("endpoint_to_add: {error}"), "")),
    };
    let target = match services.store.resolve_target(&import.options).await {
        Ok(target) => target,
        Err(TargetError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(refuse(error.to_string(), "")),
    };
    import.scan_date = scan_date;
    import.product_type = Some(target.product.prod_type);
    import.product = Some(target.product.id);
    import.engagement = Some(target.engagement.id);
    import.engagement_scope =
        target.engagement.deduplication_on_engagement || import.options.deduplication_on_engagement;

    let common = Common {
        options: import.options.clone(),
        scan_date,
        now,
        by: import.by,
        endpoint,
    };
    let name = key.rsplit('/').next().unwrap_or_default();
    let given = import.options.scan_type.clone();
    let order = || Order {
        import: import.id,
        name: name.to_owned(),
        scan_type: given
            .clone()
            .or_else(|| target.test.as_ref()?.scan_type.clone()),
        common: common.clone(),
        packs: import.replay.is_none_or(|replay| replay.apply),
    };
    let (first, blobs) = (order(), &services.blobs);
    let again = order();
    let (scanner, mut contents) = {
        let (own, target) = (&mut *import, &target);
        let begin = move |scanner| {
            let own = own;
            begin(services, own, target, scanner)
        };
        read::read(blobs, first, opened.body, begin).await?
    };
    let test = test_of(services, import, &target, scanner, &contents).await?;
    if let Against::Test(other) = &contents.against
        && other.test() != test.id
    {
        // The report names a test type of its own: what it was held against is another test.
        services.store.end_import(other.test(), import.id).await?;
        import.sequence = 0;
        let opened = services.blobs.open(&import.bucket, &import.key).await?;
        let begun = Begun {
            settings: contents.settings,
            ..Begun::default()
        };
        let nothing = |_| std::future::ready(Ok(begun));
        contents = read::read(blobs, again, opened.body, nothing).await?.1;
    }
    send(services, import, &target, &test, scanner, contents).await
}

/// Notes that the report is being read, and says what a re-import is to be held against: the test that
/// it will go into, where there is one yet. It takes its place among the imports of the test before
/// it looks, so that none is missed that ends meanwhile.
async fn begin(
    services: &Services,
    import: &mut Import,
    target: &Target,
    scanner: &'static Scanner,
) -> Result<Begun, StoreError> {
    let store = &services.store;
    let test = match (&target.test, import.options.kind) {
        (_, ImportKind::Import) => None,
        (Some(test), _) => Some(test.clone()),
        (None, _) => match store.find::<TestType>(scanner.scan_type).await? {
            Some(test_type) => {
                let title = import.options.test_title.as_deref();
                let engagement = &target.engagement;
                store
                    .reimport_test(engagement, test_type.id, title, None::<fn() -> Test>)
                    .await?
            }
            None => None,
        },
    };
    import.reading = 0;
    if let Some(test) = &test {
        import.test = Some(test.id);
        if import.replay.is_none_or(|replay| replay.apply) {
            take_place(store, import, test).await?;
        }
    }
    import.state = ImportState::Parsing;
    let sla = store.slas().await?;
    import.restart_sla = sla.of(target.product.id).restart_sla_on_reactivation;
    store.save_import(import).await?;
    let levels = store.dedupe_levels(target.product.id).await?;
    let settings = levels.resolve(&scanner.dedupe, scanner.scan_type);
    let against = match (test, &import.replay) {
        (None, _) => Against::Nothing,
        (Some(test), None) => {
            Against::Test(Known::load(store, &test, &settings, &import.options).await?)
        }
        (Some(test), Some(replay)) => {
            let original = store.import(replay.import).await?;
            let merges = original.options.kind == ImportKind::Reimport;
            let mut seen = store.import_actions(original.id).await?.seen;
            // What earlier replays found is of the report too.
            for other in store.imports_after(test.id, original.sequence).await? {
                if other
                    .replay
                    .is_some_and(|other| other.import == original.id)
                {
                    seen.extend(&store.import_actions(other.id).await?.created);
                }
            }
            let blobs = &services.blobs;
            let replay =
                Replay::load(store, blobs, &test, settings.algorithm, &seen, merges).await?;
            Against::Replay(replay)
        }
    };
    Ok(Begun {
        against,
        settings,
        reading: import.reading,
    })
}

/// Gives the import its place among the imports of the test, and this reading a number of its own.
async fn take_place(store: &Store, import: &mut Import, test: &Test) -> Result<(), StoreError> {
    let (place, beside) = store.begin_import(test.id, import.id).await?;
    if import.sequence == 0 {
        import.sequence = place;
        import.beside = beside;
        if import.options.kind == ImportKind::Reimport {
            import.before = Some(store.test_counts(test.product, test.id).await?);
        }
    }
    import.reading = place;
    Ok(())
}

/// The test that the findings go into; made where the import wants one of its own or a re-import
/// finds none.
async fn test_of(
    services: &Services,
    import: &mut Import,
    target: &Target,
    scanner: &Scanner,
    contents: &Contents,
) -> Result<Test, Stop> {
    let store = &services.store;
    let own = contents.test.as_ref();
    let type_name = own.and_then(|t| t.test_type.clone());
    let type_name = type_name.unwrap_or_else(|| scanner.scan_type.to_owned());
    if let Some(test) = &target.test {
        if let Some(theirs) = test
            .scan_type
            .as_deref()
            .filter(|t| *t != scanner.scan_type)
        {
            return Err(refuse(
                format!(
                    "the report is one of {}, the test holds {theirs}",
                    scanner.scan_type
                ),
                "import it into a test of its own",
            ));
        }
        return Ok(test.clone());
    }
    let test_type = TestType {
        name: type_name,
        active: true,
        ..TestType::default()
    };
    let (test_type, _) = store.find_or_create(test_type).await?;
    let environment = environment_of(services, &import.options).await?;
    let now = Timestamp::now();
    let options = &import.options;
    let fresh = Test {
        engagement: target.engagement.id,
        product: target.product.id,
        test_type: test_type.id,
        scan_type: Some(scanner.scan_type.to_owned()),
        title: options.test_title.clone().or_else(|| own?.name.clone()),
        description: own.and_then(|t| t.description.clone()),
        environment: environment.id,
        target_start: at_start(import.scan_date).unwrap_or(now),
        target_end: at_start(import.scan_date).unwrap_or(now),
        lead: options.lead,
        created: now,
        updated: now,
        version: options.version.clone().or_else(|| own?.version.clone()),
        build_id: options.build_id.clone(),
        commit_hash: options.commit_hash.clone(),
        branch_tag: options.branch_tag.clone(),
        api_scan_configuration: options.api_scan_configuration,
        tags: options.tags.clone(),
        ..Test::default()
    };
    match options.kind {
        ImportKind::Import => {
            // The id is kept first, so that a second try makes the same test.
            let id = match import.test {
                Some(id) => id,
                None => store.reserve::<Test>().await?,
            };
            if import.test.is_none() {
                import.test = Some(id);
                store.save_import(import).await?;
            }
            Ok(store.create_reserved(Test { id, ..fresh }).await?)
        }
        ImportKind::Reimport | ImportKind::Replay => {
            let title = options.test_title.as_deref();
            let make = options.auto_create_context.then_some(|| fresh);
            let found = store
                .reimport_test(&target.engagement, test_type.id, title, make)
                .await?;
            found.ok_or_else(|| {
                refuse(
                    format!(
                        "the engagement has no test of type {} to re-import into",
                        test_type.name
                    ),
                    "import first, or set auto_create_context to true",
                )
            })
        }
    }
}

async fn environment_of(
    services: &Services,
    options: &ImportOptions,
) -> Result<DevelopmentEnvironment, Stop> {
    let name = options
        .environment
        .as_deref()
        .unwrap_or(DEFAULT_ENVIRONMENT);
    if let Some(found) = services.store.find::<DevelopmentEnvironment>(name).await? {
        return Ok(found);
    }
    if !options.auto_create_context {
        return Err(refuse(
            format!("environment: there is no environment \"{name}\""),
            "create it first, or set auto_create_context to true",
        ));
    }
    let named = DevelopmentEnvironment {
        name: name.to_owned(),
        ..DevelopmentEnvironment::default()
    };
    Ok(services.store.find_or_create(named).await?.0)
}

/// Completes the record of an import, and sends its findings where something is to be done with them.
async fn send(
    services: &Services,
    import: &mut Import,
    target: &Target,
    test: &Test,
    scanner: &Scanner,
    mut contents: Contents,
) -> Result<(), Stop> {
    let store = &services.store;
    import.test = Some(test.id);
    import.test_type = Some(test.test_type);
    import.scan_type = Some(scanner.scan_type.to_owned());
    env!("CARGO_PKG_VERSION").clone_into(&mut import.parser_version);
    import.tool_version = contents.test.as_ref().and_then(|t| t.version.clone());
    import.findings = contents.total;
    import.below_minimum = contents.below_minimum;
    import.warnings = contents.warnings;
    import.warnings_total = contents.warnings_total;
    let mut findings = contents.findings;
    let mut own = Vec::new();
    match &mut contents.against {
        Against::Nothing => {
            for Reported { finding, .. } in findings.iter_mut().map(AsMut::as_mut) {
                let hash = finding.keys.pop().unwrap_or_default();
                let unique = finding.unique_id_from_tool.as_deref();
                finding.keys = combine(contents.settings.algorithm, unique, hash, test.test_type);
            }
        }
        Against::Test(known) => {
            known.finish(&mut findings);
            own = known.actions();
        }
        Against::Replay(replay) => {
            let outcome = replay.finish(&mut findings);
            let key = difference_key(import.id);
            services.blobs.put_json(&key, &outcome.differences).await?;
            own.push(ImportActions {
                gone: outcome.gone,
                ..ImportActions::default()
            });
            if let Some(replay) = &mut import.replay {
                replay.counts = Some(outcome.counts);
                if !replay.apply {
                    import.state = ImportState::Done;
                    import.finished = Some(Timestamp::now());
                    store.save_import(import).await?;
                    return Ok(());
                }
            }
        }
    }
    let endpoints = endpoints_of(
        store,
        &import.options,
        target.product.id,
        &contents.endpoints,
    );
    let endpoints = endpoints.await?;
    for Reported { finding, .. } in findings.iter_mut().map(AsMut::as_mut) {
        name_endpoints(finding, &endpoints);
        finding.product = target.product.id;
        finding.engagement = target.engagement.id;
        finding.test = test.id;
        finding.test_type = test.test_type;
    }
    if import.sequence == 0 {
        take_place(store, import, test).await?;
        // Without anything to be held against, each reading cuts the report into the same parts.
        import.reading = 0;
    }
    import.state = ImportState::Processing;
    import.settings = Some(contents.settings.clone());
    store.save_import(import).await?;
    // From here on a change of the settings waits for this import; it may have missed it before.
    let levels = store.dedupe_levels(target.product.id).await?;
    if levels.resolve(&scanner.dedupe, scanner.scan_type) != contents.settings {
        let changed = "the deduplication settings changed meanwhile; it is read again";
        return Err(ParserError::Read(changed.into()).into());
    }
    Ok(send_parts(services, import, findings, &own).await?)
}

/// Sends the findings to the dedup function, and notes what is done already (`own`) as parts that are
/// in.
/// The ids of a report's endpoints, by their numbers, with the tags that the import gives them.
async fn endpoints_of(
    store: &Store,
    options: &ImportOptions,
    product: ProductId,
    endpoints: &Endpoints,
) -> Result<Vec<Option<EndpointId>>, StoreError> {
    let ids = store.endpoints_of(product, endpoints.texts()).await?;
    if options.apply_tags_to_endpoints && !options.tags.is_empty() {
        let known: Vec<EndpointId> = ids.iter().copied().flatten().collect();
        store.tag_endpoints(product, &known, &options.tags).await?;
    }
    Ok(ids)
}

/// Puts ids in the place of a finding's numbers.
fn name_endpoints(finding: &mut Finding, ids: &[Option<EndpointId>]) {
    for number in std::mem::take(&mut finding.endpoint_ids) {
        let place = usize::try_from(number.0)
            .ok()
            .and_then(|n| n.checked_sub(1));
        if let Some(id) = place.and_then(|place| ids.get(place).copied().flatten()) {
            finding.add_endpoint(id);
        }
    }
}

async fn send_parts(
    services: &Services,
    import: &Import,
    findings: Findings,
    own: &[ImportActions],
) -> Result<(), ParserError> {
    let store = &services.store;
    let parts = parts::cut(findings, services.settings.cut);
    let first = import.reading * PARTS;
    let mut next = first + parts.len() as u64;
    let own_from = next;
    for actions in own {
        store.put_part(import.id, next, actions).await?;
        next += 1;
    }
    let count = parts.len();
    // A few at a time, so that the messages are never all in memory beside the findings.
    let mut numbered = (first..).zip(parts);
    loop {
        let mut some = Vec::new();
        for (part, chunks) in numbered.by_ref().take(4) {
            let unboxed = |chunk: Findings| chunk.into_iter().map(|reported| *reported).collect();
            let message = FindingsMessage::Part {
                import: import.id,
                part,
                chunks: chunks.into_iter().map(unboxed).collect(),
            };
            some.push(Outgoing {
                body: tatami_queue::write(&message)?,
                import: Some(import.id),
            });
        }
        if some.is_empty() {
            break;
        }
        services.findings.send(some).await?;
    }
    // From here on the import is the dedup function's. Should every part be in already, nobody is
    // left to notice that it's complete but us.
    let progress = store.set_parts(import.id, first..next, own_from).await?;
    if progress.is_complete() {
        let message = FindingsMessage::Finalise { import: import.id };
        let body = tatami_queue::write(&message)?;
        let import = Some(import.id);
        services.findings.send([Outgoing { body, import }]).await?;
    }
    tracing::info!(import = %import.id, findings = import.findings, parts = count, "report read");
    Ok(())
}

fn at_start(day: Date) -> Option<Timestamp> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(key: &str) -> (ImportOptions, Option<String>) {
        let mut options = ImportOptions::default();
        let wrong = from_key(key, &mut options);
        (options, wrong)
    }

    #[test]
    fn the_key_names_the_target() {
        let (found, wrong) = options("inbox/Web shop/Nightly/Images/trivy.json");
        assert_eq!(wrong, None);
        assert_eq!(found.product_name.as_deref(), Some("Web shop"));
        assert_eq!(found.engagement_name.as_deref(), Some("Nightly"));
        assert_eq!(found.test_title.as_deref(), Some("Images"));
        let (found, _) = options("inbox/Web shop/Nightly/trivy.json");
        assert_eq!(found.test_title, None);
        assert!(options("inbox/a/b/c/d/e.json").1.is_some());
        assert_eq!(
            options("elsewhere/a/b/c.json"),
            (ImportOptions::default(), None)
        );
    }
}

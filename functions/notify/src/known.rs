//! What the messages of a batch have in common: each is read once, when it's first asked for.

use std::collections::BTreeMap;

use tatami_domain::{NotificationTemplate, SystemSettings};
use tatami_notifications::{Channel, Links, Template, Topic};
use tatami_runtime::Services;
use tatami_store::StoreError;
use tokio::sync::OnceCell;

use crate::directory::Directory;

type Templates = BTreeMap<(String, String), Template>;

pub(crate) struct Known {
    pub services: Services,
    settings: OnceCell<SystemSettings>,
    templates: OnceCell<Templates>,
    directory: OnceCell<Directory>,
}

impl Known {
    pub fn new(services: Services) -> Self {
        Self {
            services,
            settings: OnceCell::new(),
            templates: OnceCell::new(),
            directory: OnceCell::new(),
        }
    }

    pub async fn settings(&self) -> Result<&SystemSettings, StoreError> {
        let read = || self.services.store.system_settings();
        self.settings.get_or_try_init(read).await
    }

    pub async fn directory(&self) -> Result<&Directory, StoreError> {
        let read = || Directory::read(&self.services.store);
        self.directory.get_or_try_init(read).await
    }

    /// What an operator wants said in place of the default.
    pub async fn template(
        &self,
        topic: Topic,
        channel: Channel,
    ) -> Result<Option<&Template>, StoreError> {
        let read = || async {
            let kept: Vec<NotificationTemplate> = self.services.store.list().await?;
            let templates = kept.into_iter().map(|kept| {
                let template = Template {
                    subject: kept.subject,
                    body: kept.body,
                };
                ((kept.topic, kept.channel), template)
            });
            Ok::<_, StoreError>(templates.collect::<Templates>())
        };
        let templates = self.templates.get_or_try_init(read).await?;
        let key = (topic.name().to_owned(), channel.name().to_owned());
        Ok(templates.get(&key))
    }

    /// Links to this server; paths alone, where nobody said what it's called.
    pub fn links(&self) -> Links {
        Links::new(self.services.settings.public_url.as_deref().unwrap_or(""))
    }
}

/// What a template makes, or else what there is without one: a template that fails loses no message.
pub(crate) fn or_default<T>(
    made: Option<Result<T, tatami_notifications::TemplateError>>,
    default: impl FnOnce() -> T,
) -> T {
    match made {
        Some(Ok(made)) => made,
        Some(Err(error)) => {
            tracing::warn!(%error, "a template of notifications fails: the default is sent");
            default()
        }
        None => default(),
    }
}

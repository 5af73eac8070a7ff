//! The system's settings: the version that counts, and all earlier ones.

use tatami_domain::SystemSettings;

use crate::db::{
    ABSENT, Item, Table, Transacted, corrupt, document, number, number_of, read_document,
};
use crate::{Result, Store, StoreError, audit, keys};

fn read_settings(item: &Item) -> Result<SystemSettings> {
    let mut settings: SystemSettings = read_document(item)?;
    settings.version = number_of(item, "v").ok_or_else(|| corrupt(item, "no version"))?;
    Ok(settings)
}

impl Store {
    /// The settings as they are now.
    pub async fn system_settings(&self) -> Result<SystemSettings> {
        let item = self.db.get(Table::Catalog, &keys::settings()).await?;
        item.as_ref()
            .map_or_else(|| Ok(SystemSettings::default()), read_settings)
    }

    /// Writes settings as the version after `old`; `None` where somebody else was quicker.
    pub async fn put_system_settings(
        &self,
        old: &SystemSettings,
        mut new: SystemSettings,
    ) -> Result<Option<SystemSettings>> {
        new.version = old.version + 1;
        let put = |key, condition, values| {
            let mut item = document(&key, &new)?;
            item.insert("v".into(), number(new.version));
            self.db.put_in(Table::Catalog, item, condition, values)
        };
        let current = match old.version {
            0 => put(keys::settings(), Some(ABSENT), vec![])?,
            n => put(keys::settings(), Some("v = :v"), vec![(":v", number(n))])?,
        };
        let kept = put(keys::settings_version(new.version), Some(ABSENT), vec![])?;
        if self.db.transact(vec![current, kept]).await? != Transacted::Done {
            return Ok(None);
        }
        let fields = |settings: &SystemSettings| serde_json::to_value(settings).ok();
        let sides = || (fields(old), fields(&new));
        let secrets: Vec<&str> = SystemSettings::SECRETS
            .iter()
            .map(|(name, _)| *name)
            .collect();
        audit::note_but("system settings", 1, sides, &secrets);
        Ok(Some(new))
    }

    /// The key of secrets as KMS encrypted it, in base64; none yet, where no function has started.
    pub async fn encrypted_key(&self) -> Result<Option<String>> {
        let item = self.db.get(Table::Catalog, &keys::secret_key()).await?;
        item.as_ref().map(read_document).transpose()
    }

    /// Keeps a key of secrets, where there is none yet; gives the one that counts.
    pub async fn keep_encrypted_key(&self, key: &str) -> Result<String> {
        let item = document(&keys::secret_key(), &key)?;
        match self
            .db
            .put(Table::Catalog, item, Some(ABSENT), vec![])
            .await
        {
            Ok(()) => Ok(key.to_owned()),
            Err(error) if error.is_condition() => {
                let kept = self.encrypted_key().await?;
                kept.ok_or_else(|| StoreError::Contention("the key of secrets".into()))
            }
            Err(error) => Err(error),
        }
    }

    /// Every version there was, oldest first.
    pub async fn settings_versions(&self) -> Result<Vec<SystemSettings>> {
        let items = self
            .db
            .query(Table::Catalog, keys::SETTINGS_VERSIONS, None)
            .await?;
        items.iter().map(read_settings).collect()
    }
}

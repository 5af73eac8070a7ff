//! The tables alone, for commands of operators.

use std::path::Path;

use aws_config::{BehaviorVersion, SdkConfig};
use tatami_local_aws::{Config, Error, LocalAws};
use tatami_runtime::Settings;
use tatami_store::{Store, Tables};

use crate::stack::{self, ACCESS_KEY, REGION, SECRET_KEY, StackError};

/// A store, and what it is kept in where that's of this process.
pub struct Open {
    /// The store.
    pub store: Store,
    own: Option<LocalAws>,
}

impl Open {
    /// Lets go of it.
    pub async fn close(self) -> Result<(), StackError> {
        if let Some(own) = self.own {
            own.shutdown().await;
        }
        Ok(())
    }
}

fn store(config: &SdkConfig, tables: Tables) -> Store {
    Store::new(tatami_runtime::dynamodb(config), tables)
}

/// The tables of a Tatami on this machine: in its data folder, or where it runs, at `url`.
pub async fn here(data: &Path, url: &str) -> Result<Open, StackError> {
    let tables = Settings::local()?.tables;
    if !data.is_dir() {
        return Err(StackError::NoData(data.to_owned()));
    }
    let own = LocalAws::start(Config {
        data_dir: data.to_owned(),
        credentials: tatami_local_aws::Credentials {
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
        },
        region: REGION.into(),
        notifications: Vec::new(),
    });
    let own = match own.await {
        Ok(own) => Some(own),
        // it runs, and its tables answer where it does
        Err(Error::InUse(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let endpoint = own.as_ref().map_or(url.to_owned(), LocalAws::endpoint);
    let store = store(&stack::sdk_config(&endpoint).await, tables);
    Ok(Open { store, own })
}

/// The tables of a Tatami in AWS.
pub async fn in_aws(catalog: &str) -> Open {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(tatami_runtime::http_client())
        .load()
        .await;
    // users, tokens and the audit log are all in the catalog
    let tables = Tables {
        catalog: catalog.to_owned(),
        findings: String::new(),
        jobs: String::new(),
    };
    let store = store(&config, tables);
    Open { store, own: None }
}

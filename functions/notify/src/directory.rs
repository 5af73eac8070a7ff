//! Who there is, what they may see, and what they want to be told of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tatami_auth::{Permission, Permissions, Place, Rights, permissions_of};
use tatami_domain::{
    ContactInfo, GroupMember, Membership, NotificationRow, NotificationWebhook, ProductId,
    ProductTypeId, Receiver, Role, SystemSettings, User, UserId,
};
use tatami_notifications::{Channel, Preferences, Reason, Topic, resolve, resolve_system};
use tatami_store::{Store, StoreError};

/// Users with their rights, rows and addresses.
pub(crate) struct Directory {
    users: Vec<User>,
    rights: HashMap<UserId, Rights>,
    contacts: HashMap<UserId, ContactInfo>,
    webhooks: Vec<NotificationWebhook>,
    system: Preferences,
    template: Preferences,
    own: HashMap<UserId, Preferences>,
    of_products: HashMap<(UserId, ProductId), Preferences>,
}

/// What an event is about, as far as it matters who may see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub place: Place,
    pub product: Option<ProductId>,
    pub product_type: Option<ProductTypeId>,
}

/// Somebody who is told over a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub channel: Channel,
    pub receiver: Receiver,
    pub reason: Reason,
}

impl Directory {
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let (users, contacts, webhooks, rows) = tokio::try_join!(
            store.list::<User>(),
            store.list::<ContactInfo>(),
            store.list::<NotificationWebhook>(),
            store.list::<NotificationRow>(),
        )?;
        let (memberships, groups, roles) = tokio::try_join!(
            store.list::<Membership>(),
            store.list::<GroupMember>(),
            store.list::<Role>(),
        )?;
        let mut directory = Self {
            rights: rights(&users, &memberships, &groups, &roles),
            users,
            contacts: (contacts.into_iter())
                .map(|contact| (contact.user, contact))
                .collect(),
            webhooks,
            system: Preferences::default(),
            template: Preferences::default(),
            own: HashMap::new(),
            of_products: HashMap::new(),
        };
        for row in &rows {
            let says = Preferences::of(row);
            match (row.template, row.user, row.product) {
                (true, ..) => directory.template = says,
                (false, None, _) => directory.system = says,
                (false, Some(user), None) => drop(directory.own.insert(user, says)),
                (false, Some(user), Some(product)) => {
                    directory.of_products.insert((user, product), says);
                }
            }
        }
        Ok(directory)
    }

    /// Names of the users.
    pub fn names(&self) -> BTreeMap<UserId, String> {
        let users = self.users.iter();
        users.map(|user| (user.id, user.username.clone())).collect()
    }

    pub fn contact(&self, user: UserId) -> Option<&ContactInfo> {
        self.contacts.get(&user)
    }

    /// May an active user see this?
    fn sees(&self, user: &User, scene: &Scene) -> bool {
        user.is_active
            && self.rights.get(&user.id).is_some_and(|rights| {
                let held = rights.at(scene.place, scene.product_type);
                held.contains(Permission::ViewProducts)
            })
    }

    /// May an active user see anything of a product?
    pub fn sees_of(
        &self,
        user: UserId,
        product: ProductId,
        product_type: Option<ProductTypeId>,
    ) -> bool {
        let active = self.users.iter().any(|own| own.id == user && own.is_active);
        let Some(rights) = self.rights.get(&user).filter(|_| active) else {
            return false;
        };
        let of = |place: Place| match place {
            Place::ProductType(id) => product_type == Some(id),
            Place::Everywhere => true,
            place => place.product() == Some(product),
        };
        rights.places(Permission::ViewProducts).into_iter().any(of)
    }

    /// Who is told of a topic, and over which channels. `to` are the users that the event names.
    pub fn audience(
        &self,
        topic: Topic,
        to: &[UserId],
        scene: &Scene,
        settings: &SystemSettings,
    ) -> Vec<Told> {
        let mut all = Vec::new();
        if to.is_empty() {
            let channels = resolve_system(topic, &self.system);
            self.add(&mut all, None, &channels, |_| Reason::System, settings);
        }
        for user in &self.users {
            let named = to.contains(&user.id);
            if !to.is_empty() && !named {
                continue;
            }
            // a mention of somebody is for them, wherever it is that nobody else may look
            let sees = self.sees(user, scene) || named && user.is_active && scene.product.is_none();
            let own = self.own.get(&user.id);
            if !sees || user.is_service_account && own.is_none() {
                continue;
            }
            let own = own.unwrap_or(&self.template);
            let system = Some(&self.system).filter(|_| named || user.is_superuser);
            let of_product = scene.product.filter(|_| !named);
            let of_product =
                of_product.and_then(|product| self.of_products.get(&(user.id, product)));
            let channels = resolve(topic, system, Some(own), of_product);
            let reason = |channel: Channel| {
                let said = |row: &Preferences| row.0.get(&topic).cloned().unwrap_or_default();
                if named {
                    Reason::Named
                } else if own.channels(topic).contains(&channel) {
                    Reason::Settings
                } else if of_product.is_some_and(|row| said(row).contains(&channel)) {
                    Reason::Product
                } else {
                    Reason::Superuser
                }
            };
            self.add(&mut all, Some(user.id), &channels, reason, settings);
        }
        all
    }

    /// Adds whoever is behind the channels of a user, or of the system.
    fn add(
        &self,
        all: &mut Vec<Told>,
        user: Option<UserId>,
        channels: &BTreeSet<Channel>,
        reason: impl Fn(Channel) -> Reason,
        settings: &SystemSettings,
    ) {
        for channel in channels.iter().copied().filter(|c| is_on(*c, settings)) {
            let mut told = |receiver| {
                all.push(Told {
                    channel,
                    receiver,
                    reason: reason(channel),
                });
            };
            match (channel, user) {
                (Channel::Webhooks, owner) => {
                    let own = self.webhooks.iter().filter(|hook| hook.owner == owner);
                    own.for_each(|webhook| told(Receiver::Webhook(webhook.id)));
                }
                (_, Some(user)) => told(Receiver::User(user)),
                (_, None) if has_address(channel, settings) => told(Receiver::System),
                (_, None) => {}
            }
        }
    }
}

/// Does the system use a channel at all?
fn is_on(channel: Channel, settings: &SystemSettings) -> bool {
    match channel {
        Channel::Alert => true,
        Channel::Mail => settings.enable_mail_notifications,
        Channel::Slack => settings.enable_slack_notifications,
        Channel::MsTeams => settings.enable_msteams_notifications,
        Channel::Webhooks => settings.enable_webhooks_notifications,
    }
}

/// Has the system an address of its own there?
fn has_address(channel: Channel, settings: &SystemSettings) -> bool {
    match channel {
        Channel::Alert | Channel::Webhooks => false,
        Channel::Mail => !settings.mail_notifications_to.trim().is_empty(),
        Channel::Slack => settings.slack_token.is_some(),
        Channel::MsTeams => settings.msteams_url.is_some(),
    }
}

fn rights(
    users: &[User],
    memberships: &[Membership],
    groups: &[GroupMember],
    roles: &[Role],
) -> HashMap<UserId, Rights> {
    let roles: HashMap<_, Permissions> = (roles.iter())
        .map(|role| (role.id, permissions_of(role)))
        .collect();
    let mut all: HashMap<UserId, Rights> = HashMap::new();
    for user in users {
        let mut rights = Rights::of_anybody();
        if user.is_superuser {
            rights.grant(Place::Everywhere, Permissions::ALL);
        }
        all.insert(user.id, rights);
    }
    for member in memberships {
        let Some(permissions) = roles.get(&member.role) else {
            continue;
        };
        let in_group = groups.iter().filter(|own| Some(own.group) == member.group);
        let users = in_group.map(|own| own.user).chain(member.user);
        for user in users {
            if let Some(rights) = all.get_mut(&user) {
                rights.grant(Place::from(member), *permissions);
            }
        }
    }
    all
}

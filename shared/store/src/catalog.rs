//! The product tree, users and the like: one generic set of calls over [`Entity`].

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tatami_domain::{
    BlockId, ContactInfo, ContactInfoId, DevelopmentEnvironment, Engagement, EngagementId,
    EnvironmentId, Event, FindingGroup, FindingGroupId, FindingId, Group, GroupId, GroupMember,
    GroupMemberId, Membership, MembershipId, Product, ProductId, ProductType, ProductTypeId, Role,
    RoleId, Test, TestId, TestType, TestTypeId, Token, TokenId, User, UserId,
};

use crate::db::{
    ABSENT, CLOSED, Item, PRESENT, Table, Transacted, Update, corrupt, document, number, number_of,
    numbers_of, read_document, text, text_of, to_json,
};
use crate::keys::Key;
use crate::outbox::Follows;
use crate::{FINDING_KIND, Result, Store, StoreError, audit, keys};

/// How often a change is tried again when others change the same thing.
pub(crate) const TRIES: usize = 20;

/// A thing of the catalog with an integer id.
pub trait Entity: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// Its id.
    type Id: Copy + Into<u64> + From<u64> + Send + Sync;
    /// How keys name its kind.
    const KIND: &'static str;
    /// How messages name its kind.
    const WORD: &'static str;
    /// Its id.
    fn id(&self) -> Self::Id;
    /// Sets the id.
    fn set_id(&mut self, id: Self::Id);
    /// Kind and id of what it belongs to.
    fn parent(&self) -> Option<(&'static str, u64)> {
        None
    }
    /// The name that may exist only once, and within what (0: everywhere).
    fn unique_name(&self) -> Option<(u64, &str)> {
        None
    }
    /// What counts a change between these two, for readers who keep what they read; none of them is there
    /// before and after respectively.
    fn stamp(_old: Option<&Self>, _new: Option<&Self>) -> Option<&'static str> {
        None
    }
    /// Does it take nothing more in? Findings come under something only while it does.
    fn is_closed(&self) -> bool {
        false
    }
    /// Fields of which the audit log says only that they changed.
    const PRIVATE: &'static [&'static str] = &[];
    /// Kinds and ids of what it's in, as far as it knows: it goes with them.
    fn lies_in(&self) -> Vec<(&'static str, u64)> {
        self.parent().into_iter().collect()
    }
}

/// An entity that can be found by its name.
pub trait Named: Entity {}

macro_rules! entity {
    ($type:ty, $id:ty, $kind:literal, $word:literal) => {
        type Id = $id;
        const KIND: &'static str = $kind;
        const WORD: &'static str = $word;
        fn id(&self) -> $id {
            self.id
        }
        fn set_id(&mut self, id: $id) {
            self.id = id;
        }
    };
}

impl Entity for ProductType {
    entity!(ProductType, ProductTypeId, "PTYPE", "product type");
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.name))
    }
}
impl Named for ProductType {}

impl Entity for Product {
    entity!(Product, ProductId, "PRODUCT", "product");
    fn stamp(old: Option<&Self>, new: Option<&Self>) -> Option<&'static str> {
        crate::sla::stamp_of_product(old, new)
    }
    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((ProductType::KIND, self.prod_type.0))
    }
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.name))
    }
}
impl Named for Product {}

impl Entity for Engagement {
    entity!(Engagement, EngagementId, "ENGAGEMENT", "engagement");
    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((Product::KIND, self.product.0))
    }
}

impl Entity for Test {
    entity!(Test, TestId, "TEST", "test");
    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((Engagement::KIND, self.engagement.0))
    }
    fn lies_in(&self) -> Vec<(&'static str, u64)> {
        vec![
            (Product::KIND, self.product.0),
            (Engagement::KIND, self.engagement.0),
        ]
    }
}

impl Entity for FindingGroup {
    entity!(FindingGroup, FindingGroupId, "GROUP", "finding group");
    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((Test::KIND, self.test.0))
    }
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((self.test.0, &self.name))
    }
    fn lies_in(&self) -> Vec<(&'static str, u64)> {
        vec![
            (Product::KIND, self.product.0),
            (Engagement::KIND, self.engagement.0),
            (Test::KIND, self.test.0),
        ]
    }
}
impl Named for FindingGroup {}

impl Entity for TestType {
    entity!(TestType, TestTypeId, "TTYPE", "test type");
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.name))
    }
}
impl Named for TestType {}

impl Entity for DevelopmentEnvironment {
    entity!(DevelopmentEnvironment, EnvironmentId, "ENV", "environment");
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.name))
    }
}
impl Named for DevelopmentEnvironment {}

impl Entity for User {
    entity!(User, UserId, "USER", "user");
    const PRIVATE: &'static [&'static str] = &["password_hash"];
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.username))
    }
}
impl Named for User {}

impl Entity for ContactInfo {
    entity!(ContactInfo, ContactInfoId, "CONTACT", "contact info");
    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((User::KIND, self.user.0))
    }
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.key))
    }
}

impl Entity for Token {
    entity!(Token, TokenId, "TOKEN", "token");
    const PRIVATE: &'static [&'static str] = &["sha256"];
    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((User::KIND, self.user.0))
    }
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.sha256))
    }
}
impl Named for Token {}

impl Entity for Role {
    entity!(Role, RoleId, "ROLE", "role");
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.name))
    }
}
impl Named for Role {}

impl Entity for Group {
    entity!(Group, GroupId, "DGROUP", "group");
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.name))
    }
}

impl Entity for GroupMember {
    entity!(GroupMember, GroupMemberId, "GMEMBER", "group member");
    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((User::KIND, self.user.0))
    }
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.key))
    }
}

impl Entity for Membership {
    entity!(Membership, MembershipId, "MEMBER", "member");
    fn parent(&self) -> Option<(&'static str, u64)> {
        match (self.user, self.group) {
            (Some(user), _) => Some((User::KIND, user.0)),
            (None, group) => Some((Group::KIND, group.unwrap_or_default().0)),
        }
    }
    fn lies_in(&self) -> Vec<(&'static str, u64)> {
        let places = [
            (ProductType::KIND, self.product_type.map(u64::from)),
            (Product::KIND, self.product.map(u64::from)),
            (Engagement::KIND, self.engagement.map(u64::from)),
        ];
        let places = places.into_iter();
        places.filter_map(|(kind, id)| Some((kind, id?))).collect()
    }
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.key))
    }
}

/// The attribute of an entity that says which name it holds, by the partition of that.
pub(crate) const HELD: &str = "n";

/// Where something lies below which others are, which has to be there when they are made. Users and
/// groups of users see to that themselves.
fn place_of(kind: &str, id: u64) -> Option<(Table, Key)> {
    match kind {
        User::KIND | Group::KIND => None,
        FINDING_KIND => Some((Table::Findings, keys::finding(FindingId(id)))),
        _ => Some((Table::Catalog, keys::entity(kind, id))),
    }
}

/// How messages name a kind below which others are.
pub(crate) fn word_of(kind: &str) -> &'static str {
    match kind {
        ProductType::KIND => ProductType::WORD,
        Product::KIND => Product::WORD,
        Engagement::KIND => Engagement::WORD,
        Test::KIND => Test::WORD,
        FINDING_KIND => "finding",
        _ => "parent",
    }
}

pub(crate) async fn pause(attempt: usize) {
    if attempt > 0 {
        let most = 10u64 << attempt.min(6);
        let millis = rand::random_range(most / 2..=most);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// Names are compared trimmed and without regard to case.
pub(crate) fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

fn read_entity<T: Entity>(item: &Item) -> Result<T> {
    let mut entity: T = read_document(item)?;
    let id = text_of(item, "sk").and_then(|sk| sk.parse::<u64>().ok());
    entity.set_id(
        id.ok_or_else(|| corrupt(item, "its sort key is no id"))?
            .into(),
    );
    Ok(entity)
}

impl Store {
    /// Gives the next `n` ids of a kind; the first of them is returned. Ids of what then fails stay
    /// unused.
    pub(crate) async fn next_ids(&self, kind: &str, n: u64) -> Result<u64> {
        let update = Update {
            expression: "ADD n :n",
            condition: None,
            values: vec![(":n", number(n))],
        };
        let item = self
            .db
            .update(Table::Catalog, &keys::counter(kind), update)
            .await?;
        let last = number_of(&item, "n").ok_or_else(|| corrupt(&item, "no counter"))?;
        Ok(last + 1 - n)
    }

    /// Leaves the first `n` ids of a kind to those who know theirs.
    pub(crate) async fn skip_ids(&self, kind: &str, n: u64) -> Result<()> {
        if self.last_id(kind).await? >= n {
            return Ok(());
        }
        let update = Update {
            expression: "SET n = :n",
            condition: Some("attribute_not_exists(n) OR n < :n"),
            values: vec![(":n", number(n))],
        };
        let key = keys::counter(kind);
        match self.db.update(Table::Catalog, &key, update).await {
            Err(error) if !error.is_condition() => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) async fn last_id(&self, kind: &str) -> Result<u64> {
        let item = self.db.get(Table::Catalog, &keys::counter(kind)).await?;
        Ok(item.and_then(|i| number_of(&i, "n")).unwrap_or(0))
    }

    /// Makes a new entity and gives it with its id. Fails where its name is taken.
    pub async fn create<T: Entity>(&self, mut entity: T) -> Result<T> {
        let id = self.next_ids(T::KIND, 1).await?;
        entity.set_id(id.into());
        self.create_with_id(entity).await
    }

    /// Takes an id for an entity that is made later, by [`Store::create_reserved`].
    pub async fn reserve<T: Entity>(&self) -> Result<T::Id> {
        Ok(self.next_ids(T::KIND, 1).await?.into())
    }

    /// Makes an entity under its reserved id; where that was done before, gives the one there is.
    pub async fn create_reserved<T: Entity>(&self, entity: T) -> Result<T> {
        match self.get(entity.id()).await {
            Err(error) if error.is_not_found() => self.create_with_id(entity).await,
            found => found,
        }
    }

    /// Makes a new entity with the events that tell of it: all are written or nothing.
    pub async fn create_told<T: Entity>(
        &self,
        entity: T,
        events: impl FnOnce(&T) -> Vec<Event>,
    ) -> Result<T> {
        let follows = |entity: &T| Follows {
            events: events(entity),
            work: Vec::new(),
        };
        self.create_with(entity, follows).await
    }

    /// The same, with all that follows from it.
    pub async fn create_with<T: Entity>(
        &self,
        mut entity: T,
        follows: impl FnOnce(&T) -> Follows,
    ) -> Result<T> {
        let id = self.next_ids(T::KIND, 1).await?;
        entity.set_id(id.into());
        let follows = follows(&entity);
        self.create_telling(entity, &follows).await
    }

    async fn create_with_id<T: Entity>(&self, entity: T) -> Result<T> {
        self.create_telling(entity, &Follows::default()).await
    }

    /// Makes an entity under its reserved id with all that follows from it: all are written or nothing.
    pub async fn create_telling<T: Entity>(&self, entity: T, follows: &Follows) -> Result<T> {
        let id: u64 = entity.id().into();
        let name = entity.unique_name();
        let held = name.map(|(parent, name)| keys::name(T::KIND, parent, &folded(name)));
        let mut items = vec![self.new_in(&entity, held.as_ref())?];
        items.extend(self.links_in(&entity)?);
        if let Some((parent, name)) = name {
            items.push(self.name_in::<T>(parent, name, id)?);
        }
        items.extend(self.stamp_in(None, Some(&entity))?);
        for attempt in 0..TRIES {
            pause(attempt).await;
            let (events, work) = (&follows.events, follows.work.clone());
            let written = self.transact_telling(items.clone(), events, work);
            if written.await? == Transacted::Done {
                self.stamped(T::stamp(None, Some(&entity)));
                audit::note_entity(None, Some(&entity));
                return Ok(entity);
            }
            match self.get(id.into()).await {
                // only a second delivery can have made the same id
                Ok(found) => return Ok(found),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
            self.check_parent(&entity).await?;
            if let Some((parent, name)) = name
                && self.id_by_name::<T>(parent, name).await?.is_some()
            {
                return Err(StoreError::NameTaken {
                    kind: T::WORD,
                    name: name.to_owned(),
                });
            }
        }
        Err(StoreError::Contention(T::WORD.into()))
    }

    /// The write of a new entity; with the name that it holds, so that whoever removes it without
    /// knowing what it is gives that free as well.
    fn new_in<T: Entity>(&self, entity: &T, name: Option<&Key>) -> Result<TransactWriteItem> {
        let mut item = document(&keys::entity(T::KIND, entity.id().into()), entity)?;
        if let Some(name) = name {
            item.insert(HELD.into(), text(&name.pk));
        }
        if entity.is_closed() {
            item.insert(CLOSED.into(), number(1));
        }
        self.db.put_in(Table::Catalog, item, Some(ABSENT), vec![])
    }

    /// The writes that put an entity below its parent, which has to be there.
    fn links_in<T: Entity>(&self, entity: &T) -> Result<Vec<TransactWriteItem>> {
        let Some((kind, parent)) = entity.parent() else {
            return Ok(Vec::new());
        };
        let child = keys::child(kind, parent, T::KIND, entity.id().into());
        let child = crate::db::key_item(&child);
        let mut items = vec![self.db.put_in(Table::Catalog, child, None, vec![])?];
        if let Some((table, key)) = place_of(kind, parent) {
            items.push(self.db.check_in(table, &key, PRESENT)?);
        }
        Ok(items)
    }

    /// Fails where the parent of an entity isn't there any more.
    async fn check_parent<T: Entity>(&self, entity: &T) -> Result<()> {
        let Some((kind, id)) = entity.parent() else {
            return Ok(());
        };
        let Some((table, key)) = place_of(kind, id) else {
            return Ok(());
        };
        match self.db.get(table, &key).await? {
            Some(_) => Ok(()),
            None => Err(StoreError::NotFound {
                kind: word_of(kind),
                id: id.to_string(),
            }),
        }
    }

    fn name_in<T: Entity>(&self, parent: u64, name: &str, id: u64) -> Result<TransactWriteItem> {
        let mut item = crate::db::key_item(&keys::name(T::KIND, parent, &folded(name)));
        item.insert("id".into(), number(id));
        self.db.put_in(Table::Catalog, item, Some(ABSENT), vec![])
    }

    fn stamp_in<T: Entity>(
        &self,
        old: Option<&T>,
        new: Option<&T>,
    ) -> Result<Option<TransactWriteItem>> {
        let stamp = T::stamp(old, new).map(keys::stamp);
        stamp
            .map(|key| self.db.count_in(Table::Catalog, &key))
            .transpose()
    }

    /// A stamp was moved by this process: what it keeps must not be older.
    fn stamped(&self, stamp: Option<&'static str>) {
        if stamp.is_some() {
            self.jira.forget();
        }
    }

    async fn id_by_name<T: Entity>(&self, parent: u64, name: &str) -> Result<Option<u64>> {
        let key = keys::name(T::KIND, parent, &folded(name));
        let item = self.db.get(Table::Catalog, &key).await?;
        Ok(item.and_then(|item| number_of(&item, "id")))
    }

    /// The entity with this id.
    pub async fn get<T: Entity>(&self, id: T::Id) -> Result<T> {
        let id: u64 = id.into();
        match self
            .db
            .get(Table::Catalog, &keys::entity(T::KIND, id))
            .await?
        {
            Some(item) => self.hide(vec![read_entity(&item)?]).await?.pop(),
            None => None,
        }
        .ok_or_else(|| StoreError::NotFound {
            kind: T::WORD,
            id: id.to_string(),
        })
    }

    /// Is there an entity of this kind with this id?
    pub async fn exists(&self, kind: &str, id: u64) -> Result<bool> {
        let found = self.db.get(Table::Catalog, &keys::entity(kind, id)).await?;
        Ok(found.is_some())
    }

    /// Those of the entities that exist, by ascending id.
    pub async fn get_all<T: Entity>(&self, ids: impl IntoIterator<Item = T::Id>) -> Result<Vec<T>> {
        let entities = self.read_all(ids.into_iter().map(Into::into).collect());
        self.hide(entities.await?).await
    }

    /// The same, of those that are gone too.
    pub(crate) async fn read_all<T: Entity>(&self, mut ids: Vec<u64>) -> Result<Vec<T>> {
        ids.sort_unstable();
        ids.dedup();
        let keys = ids
            .into_iter()
            .map(|id| keys::entity(T::KIND, id))
            .collect();
        let items = self.db.get_many(Table::Catalog, keys).await?;
        let mut entities: Vec<T> = items.iter().map(read_entity).collect::<Result<_>>()?;
        entities.sort_by_key(|e| e.id().into());
        Ok(entities)
    }

    /// The entity with this name; case and white space around it don't count.
    pub async fn find<T: Named>(&self, name: &str) -> Result<Option<T>> {
        self.find_within(0, name).await
    }

    /// The same for names that may exist once within something (0: everywhere).
    pub async fn find_within<T: Named>(&self, within: u64, name: &str) -> Result<Option<T>> {
        let Some(id) = self.id_by_name::<T>(within, name).await? else {
            return Ok(None);
        };
        match self.get(id.into()).await {
            Err(error) if error.is_not_found() => Ok(None), // removed just now
            found => found.map(Some),
        }
    }

    /// The entity with the name that `entity` has, made where there is none; and whether it was made.
    /// Of several callers at once one makes it and all get the same.
    pub async fn find_or_create<T: Named>(&self, entity: T) -> Result<(T, bool)> {
        let name = entity.unique_name();
        let (within, name) = name.map(|(w, n)| (w, n.to_owned())).unwrap_or_default();
        for _ in 0..TRIES {
            if let Some(found) = self.find_within(within, &name).await? {
                return Ok((found, false));
            }
            match self.create(entity.clone()).await {
                Ok(made) => return Ok((made, true)),
                Err(StoreError::NameTaken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Contention(T::WORD.into()))
    }

    /// The child that holds `name` within `parent`, made by `make` where there is none; and whether
    /// it was made. For entities whose names may repeat otherwise (engagements, tests): only this
    /// call minds the name, so that concurrent imports make one and not two.
    pub async fn find_or_create_within<T: Entity>(
        &self,
        parent: u64,
        name: &str,
        existing: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Result<(T, bool)> {
        let mut entity = make();
        let name = keys::name(T::KIND, parent, &folded(name));
        let mut fresh = None;
        for attempt in 0..TRIES {
            pause(attempt).await;
            let held = self.db.get(Table::Catalog, &name).await?;
            let held = held.and_then(|item| number_of(&item, "id"));
            let mut renamed = false;
            if let Some(id) = held {
                match self.get::<T>(id.into()).await {
                    Ok(found) if existing(&found) => return Ok((found, false)),
                    Ok(_) => renamed = true,
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            if let Some((kind, id)) = entity.parent() {
                let mut children: Vec<T> = self.children(kind, id).await?;
                children.retain(&existing);
                if let Some(last) = children.pop() {
                    return Ok((last, false));
                }
            }
            // The name is claimed first and the entity made under the winner's id, so that of several
            // at once all use one; whoever finds the name without its entity makes it.
            let id = match held {
                Some(held) if !renamed => held,
                held => {
                    let id = match fresh {
                        Some(id) => id,
                        None => *fresh.insert(self.next_ids(T::KIND, 1).await?),
                    };
                    let mut claim = crate::db::key_item(&name);
                    claim.insert("id".into(), number(id));
                    let (condition, values) = match held {
                        None => (ABSENT, vec![]),
                        // The holder has been renamed: the name is free for a new one.
                        Some(held) => ("id = :held", vec![(":held", number(held))]),
                    };
                    let put = (self.db).put(Table::Catalog, claim, Some(condition), values);
                    match put.await {
                        Ok(()) => id,
                        Err(error) if error.is_condition() => continue,
                        Err(error) => return Err(error),
                    }
                }
            };
            entity.set_id(id.into());
            let mut items = vec![self.new_in(&entity, Some(&name))?];
            items.extend(self.links_in(&entity)?);
            // Whoever deletes the holder of a name frees it: then this isn't its id any more.
            let mut claim = crate::db::key_item(&name);
            claim.insert("id".into(), number(id));
            let own = vec![(":id", number(id))];
            items.push((self.db).put_in(Table::Catalog, claim, Some("id = :id"), own)?);
            if self.db.transact(items).await? == Transacted::Done {
                audit::note_entity(None, Some(&entity));
                return Ok((entity, true));
            }
            self.check_parent(&entity).await?;
        }
        Err(StoreError::Contention(T::WORD.into()))
    }

    /// All entities of a kind, by ascending id.
    pub async fn list<T: Entity>(&self) -> Result<Vec<T>> {
        let last = self.last_id(T::KIND).await?;
        let partitions = keys::entity_blocks(last)
            .map(|block| keys::entity_block(T::KIND, block))
            .collect();
        let items = self.db.query_all(Table::Catalog, partitions).await?;
        let all = items.iter().flatten().map(read_entity);
        self.hide(all.collect::<Result<_>>()?).await
    }

    /// Everything of a kind that belongs to one parent, by ascending id.
    pub async fn children<T: Entity>(&self, parent_kind: &str, parent: u64) -> Result<Vec<T>> {
        let pk = keys::children(parent_kind, parent);
        let prefix = keys::children_prefix(T::KIND);
        let items = self.db.query(Table::Catalog, &pk, Some(&prefix)).await?;
        let ids: Vec<u64> = (items.iter())
            .filter_map(|item| keys::child_id(text_of(item, "sk")?))
            .collect();
        self.get_all(ids.into_iter().map(Into::into)).await
    }

    /// The engagements of a product.
    pub async fn engagements_of(&self, product: ProductId) -> Result<Vec<Engagement>> {
        self.children(Product::KIND, product.0).await
    }

    /// The tests of an engagement.
    pub async fn tests_of(&self, engagement: EngagementId) -> Result<Vec<Test>> {
        self.children(Engagement::KIND, engagement.0).await
    }

    /// Changes an entity by `change`, which is called again where somebody else was quicker.
    pub async fn change<T: Entity, E: From<StoreError>>(
        &self,
        id: T::Id,
        mut change: impl FnMut(&mut T) -> Result<(), E>,
    ) -> Result<T, E> {
        self.change_told(id, |entity| change(entity).map(|()| None))
            .await
    }

    /// The same, with an event that tells of the change, where there is one: both are written or neither.
    pub async fn change_told<T: Entity, E: From<StoreError>>(
        &self,
        id: T::Id,
        mut change: impl FnMut(&mut T) -> Result<Option<Event>, E>,
    ) -> Result<T, E> {
        self.change_with(id, |entity| change(entity).map(Follows::from))
            .await
    }

    /// The same, with all that follows from the change.
    pub async fn change_with<T: Entity, E: From<StoreError>>(
        &self,
        id: T::Id,
        mut change: impl FnMut(&mut T) -> Result<Follows, E>,
    ) -> Result<T, E> {
        let id: u64 = id.into();
        let key = keys::entity(T::KIND, id);
        for _ in 0..TRIES {
            let item = self.db.get(Table::Catalog, &key).await?;
            let item = item.ok_or_else(|| StoreError::NotFound {
                kind: T::WORD,
                id: id.to_string(),
            })?;
            let old: T = read_entity(&item)?;
            let mut new = old.clone();
            let follows = change(&mut new)?;
            if self.replace(&item, &old, &new, &follows).await? {
                audit::note_entity(Some(&old), Some(&new));
                return Ok(new);
            }
        }
        Err(StoreError::Contention(T::WORD.into()).into())
    }

    async fn replace<T: Entity>(
        &self,
        item: &Item,
        old: &T,
        new: &T,
        follows: &Follows,
    ) -> Result<bool> {
        let alone = follows.events.is_empty() && follows.work.is_empty();
        let id: u64 = new.id().into();
        let key = keys::entity(T::KIND, id);
        let same = item.get("d").and_then(|d| d.as_s().ok()) == Some(&to_json(&key, new)?);
        if same && alone {
            return Ok(true);
        }
        let unchanged = vec![(":d", item.get("d").cloned().unwrap_or_else(|| text("")))];
        let condition = Some("d = :d");
        let mut document = document(&key, new)?;
        let (was, is) = (old.unique_name(), new.unique_name());
        let held = match is {
            Some((parent, name)) => Some(text(keys::name(T::KIND, parent, &folded(name)).pk)),
            None => item.get(HELD).cloned(),
        };
        if let Some(held) = held {
            document.insert(HELD.into(), held);
        }
        if new.is_closed() {
            document.insert(CLOSED.into(), number(1));
        }
        let moved = old.parent() != new.parent();
        let renamed = was.map(|(p, n)| (p, folded(n))) != is.map(|(p, n)| (p, folded(n)));
        let stamp = self.stamp_in(Some(old), Some(new))?;
        if !moved && !renamed && stamp.is_none() && alone {
            let put = self.db.put(Table::Catalog, document, condition, unchanged);
            return match put.await {
                Ok(()) => Ok(true),
                Err(error) if error.is_condition() => Ok(false),
                Err(error) => Err(error),
            };
        }
        let put = (self.db).put_in(Table::Catalog, document, condition, unchanged)?;
        let mut items = vec![put];
        items.extend(stamp);
        if moved {
            items.extend(self.links_in(new)?);
            if let Some((kind, parent)) = old.parent() {
                let key = keys::child(kind, parent, T::KIND, id);
                items.push(self.db.delete_in(Table::Catalog, &key, PRESENT, vec![])?);
            }
        }
        let (was, is) = if renamed { (was, is) } else { (None, None) };
        if let Some((parent, name)) = is {
            items.push(self.name_in::<T>(parent, name, id)?);
        }
        if let Some((parent, name)) = was {
            let key = keys::name(T::KIND, parent, &folded(name));
            items.push(self.db.delete_in(Table::Catalog, &key, PRESENT, vec![])?);
        }
        let (events, work) = (&follows.events, follows.work.clone());
        match self.transact_telling(items, events, work).await? {
            Transacted::Done => {
                self.stamped(T::stamp(Some(old), Some(new)));
                Ok(true)
            }
            Transacted::Conflict(_) => {
                if moved {
                    self.check_parent(new).await?;
                }
                if let Some((parent, name)) = is {
                    let holder = self.id_by_name::<T>(parent, name).await?;
                    if holder.is_some_and(|holder| holder != id) {
                        return Err(StoreError::NameTaken {
                            kind: T::WORD,
                            name: name.to_owned(),
                        });
                    }
                }
                Ok(false)
            }
        }
    }

    /// An entity together with its item as it is stored; `None` where there is none.
    pub(crate) async fn stored<T: Entity>(&self, id: T::Id) -> Result<Option<(Item, T)>> {
        let key = keys::entity(T::KIND, id.into());
        let item = self.db.get(Table::Catalog, &key).await?;
        let Some(item) = item else { return Ok(None) };
        let entity = read_entity(&item)?;
        Ok(Some((item, entity)))
    }

    /// Removes an entity with its name. What belongs to it is left.
    pub async fn delete<T: Entity>(&self, id: T::Id) -> Result<()> {
        self.delete_if::<T, StoreError>(id, |_| Ok(())).await
    }

    /// The same, if it still is as `check` wants it when it goes.
    pub async fn delete_if<T: Entity, E: From<StoreError>>(
        &self,
        id: T::Id,
        check: impl Fn(&T) -> Result<(), E>,
    ) -> Result<(), E> {
        for _ in 0..TRIES {
            let Some((item, entity)) = self.stored::<T>(id).await? else {
                let id: u64 = id.into();
                let gone = StoreError::NotFound {
                    kind: T::WORD,
                    id: id.to_string(),
                };
                return Err(gone.into());
            };
            check(&entity)?;
            if self.remove(&item, &entity).await? {
                return Ok(());
            }
        }
        Err(StoreError::Contention(T::WORD.into()).into())
    }

    /// Removes an entity with its name, unless somebody changed it since it was read (then `false`).
    pub(crate) async fn remove<T: Entity>(&self, item: &Item, entity: &T) -> Result<bool> {
        let id: u64 = entity.id().into();
        let unchanged = vec![(":d", item.get("d").cloned().unwrap_or_else(|| text("")))];
        let key = keys::entity(T::KIND, id);
        let mut items = vec![(self.db).delete_in(Table::Catalog, &key, "d = :d", unchanged)?];
        if let Some((kind, parent)) = entity.parent() {
            let key = keys::child(kind, parent, T::KIND, id);
            items.push(self.db.delete_in(Table::Catalog, &key, PRESENT, vec![])?);
        }
        if let Some((parent, name)) = entity.unique_name() {
            let key = keys::name(T::KIND, parent, &folded(name));
            items.push(self.db.delete_in(Table::Catalog, &key, PRESENT, vec![])?);
        }
        items.extend(self.stamp_in(Some(entity), None)?);
        let done = self.db.transact(items).await? == Transacted::Done;
        if done {
            self.stamped(T::stamp(Some(entity), None));
            audit::note_entity(Some(entity), None);
        }
        Ok(done)
    }

    /// The blocks in which findings of the test lie.
    pub async fn test_blocks(&self, test: TestId) -> Result<Vec<BlockId>> {
        let item = self.db.get(Table::Catalog, &keys::test_state(test)).await?;
        let mut blocks = item.map(|i| numbers_of(&i, "blocks")).unwrap_or_default();
        blocks.sort_unstable();
        Ok(blocks.into_iter().map(BlockId).collect())
    }

    /// Notes that findings of the test lie in these blocks. To be called before they are written.
    pub async fn add_test_blocks(&self, test: TestId, blocks: &[BlockId]) -> Result<()> {
        let known = self.test_blocks(test).await?;
        let new: Vec<String> = (blocks.iter())
            .filter(|b| !known.contains(b))
            .map(ToString::to_string)
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let update = Update {
            expression: "ADD blocks :b",
            condition: None,
            values: vec![(":b", aws_sdk_dynamodb::types::AttributeValue::Ns(new))],
        };
        self.db
            .update(Table::Catalog, &keys::test_state(test), update)
            .await?;
        Ok(())
    }
}

//! The product tree, users and the like: one generic set of calls over [`Entity`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use tatami_domain::{
    BlockId, ContactInfo, ContactInfoId, DevelopmentEnvironment, Engagement, EngagementId,
    EnvironmentId, FindingGroup, FindingGroupId, Group, GroupId, GroupMember, GroupMemberId,
    Membership, MembershipId, Product, ProductId, ProductType, ProductTypeId, Role, RoleId, Test,
    TestId, TestType, TestTypeId, Token, TokenId, User, UserId,
};

use crate::db::{
    ABSENT, Item, PRESENT, Table, Transacted, Update, corrupt, document, number, number_of,
    numbers_of, read_document, text, text_of, to_json,
};
use crate::{Result, Store, StoreError, audit, keys};

/// How often a change is tried again when others change the same thing.
const TRIES: usize = 20;

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
    /// Fields of which the audit log says only that they changed.
    const PRIVATE: &'static [&'static str] = &[];
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
}

impl Entity for FindingGroup {
    entity!(FindingGroup, FindingGroupId, "GROUP", "finding group");
    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((Test::KIND, self.test.0))
    }
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((self.test.0, &self.name))
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
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.key))
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

    async fn create_with_id<T: Entity>(&self, entity: T) -> Result<T> {
        let id: u64 = entity.id().into();
        let item = document(&keys::entity(T::KIND, id), &entity)?;
        let mut items = vec![self.db.put_in(Table::Catalog, item, Some(ABSENT), vec![])?];
        if let Some((kind, parent)) = entity.parent() {
            let child = keys::child(kind, parent, T::KIND, id);
            let item = crate::db::key_item(&child);
            items.push(self.db.put_in(Table::Catalog, item, None, vec![])?);
        }
        let name = entity.unique_name();
        if let Some((parent, name)) = name {
            items.push(self.name_in::<T>(parent, name, id)?);
        }
        for _ in 0..TRIES {
            match self.db.transact(items.clone()).await? {
                Transacted::Done => {
                    audit::note_entity(None, Some(&entity));
                    return Ok(entity);
                }
                Transacted::Conflict(_) => {
                    let Some((parent, name)) = name else {
                        // only a second delivery can have made the same id
                        return self.get(id.into()).await;
                    };
                    if self.id_by_name::<T>(parent, name).await?.is_some() {
                        return Err(StoreError::NameTaken {
                            kind: T::WORD,
                            name: name.to_owned(),
                        });
                    }
                }
            }
        }
        Err(StoreError::Contention(T::WORD.into()))
    }

    fn name_in<T: Entity>(
        &self,
        parent: u64,
        name: &str,
        id: u64,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem> {
        let mut item = crate::db::key_item(&keys::name(T::KIND, parent, &folded(name)));
        item.insert("id".into(), number(id));
        self.db.put_in(Table::Catalog, item, Some(ABSENT), vec![])
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
            Some(item) => read_entity(&item),
            None => Err(StoreError::NotFound {
                kind: T::WORD,
                id: id.to_string(),
            }),
        }
    }

    /// Is there an entity of this kind with this id?
    pub async fn exists(&self, kind: &str, id: u64) -> Result<bool> {
        let found = self.db.get(Table::Catalog, &keys::entity(kind, id)).await?;
        Ok(found.is_some())
    }

    /// Those of the entities that exist, by ascending id.
    pub async fn get_all<T: Entity>(&self, ids: impl IntoIterator<Item = T::Id>) -> Result<Vec<T>> {
        let mut ids: Vec<u64> = ids.into_iter().map(Into::into).collect();
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
        let entity = make();
        if let Some(id) = self.id_by_name::<T>(parent, name).await? {
            match self.get::<T>(id.into()).await {
                Ok(found) if existing(&found) => return Ok((found, false)),
                Ok(_) => {}
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
        // The name is claimed first and the entity made under the winner's id, so that of several at
        // once all use one; whoever finds the name without its entity makes it.
        let id = self.next_ids(T::KIND, 1).await?;
        let key = keys::name(T::KIND, parent, &folded(name));
        let mut claim = crate::db::key_item(&key);
        claim.insert("id".into(), number(id));
        let id = match self
            .db
            .put(Table::Catalog, claim, Some(ABSENT), vec![])
            .await
        {
            Ok(()) => id,
            Err(error) if error.is_condition() => {
                let held = self.id_by_name::<T>(parent, name).await?.unwrap_or(id);
                match self.get::<T>(held.into()).await {
                    // The holder has been renamed or the like: the name is free for a new one.
                    Ok(found) if !existing(&found) => {
                        let mut item = crate::db::key_item(&key);
                        item.insert("id".into(), number(id));
                        let held = vec![(":held", number(held))];
                        match self
                            .db
                            .put(Table::Catalog, item, Some("id = :held"), held)
                            .await
                        {
                            Ok(()) => id,
                            Err(error) if error.is_condition() => {
                                self.id_by_name::<T>(parent, name).await?.unwrap_or(id)
                            }
                            Err(error) => return Err(error),
                        }
                    }
                    Ok(found) => return Ok((found, false)),
                    Err(error) if error.is_not_found() => held,
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let mut entity = entity;
        entity.set_id(id.into());
        let item = document(&keys::entity(T::KIND, id), &entity)?;
        let mut items = vec![self.db.put_in(Table::Catalog, item, Some(ABSENT), vec![])?];
        if let Some((kind, parent)) = entity.parent() {
            let child = crate::db::key_item(&keys::child(kind, parent, T::KIND, id));
            items.push(self.db.put_in(Table::Catalog, child, None, vec![])?);
        }
        for _ in 0..TRIES {
            match self.db.transact(items.clone()).await? {
                Transacted::Done => {
                    audit::note_entity(None, Some(&entity));
                    return Ok((entity, true));
                }
                Transacted::Conflict(_) => match self.get::<T>(id.into()).await {
                    Ok(found) => return Ok((found, false)),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                },
            }
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
        items.iter().flatten().map(read_entity).collect()
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
            change(&mut new)?;
            if self.replace(&item, &old, &new).await? {
                audit::note_entity(Some(&old), Some(&new));
                return Ok(new);
            }
        }
        Err(StoreError::Contention(T::WORD.into()).into())
    }

    async fn replace<T: Entity>(&self, item: &Item, old: &T, new: &T) -> Result<bool> {
        let id: u64 = new.id().into();
        let key = keys::entity(T::KIND, id);
        if item.get("d").and_then(|d| d.as_s().ok()) == Some(&to_json(&key, new)?) {
            return Ok(true);
        }
        let unchanged = vec![(":d", item.get("d").cloned().unwrap_or_else(|| text("")))];
        let condition = Some("d = :d");
        let document = document(&key, new)?;
        let (was, is) = (old.unique_name(), new.unique_name());
        if was.map(|(p, n)| (p, folded(n))) == is.map(|(p, n)| (p, folded(n))) {
            let put = self.db.put(Table::Catalog, document, condition, unchanged);
            return match put.await {
                Ok(()) => Ok(true),
                Err(error) if error.is_condition() => Ok(false),
                Err(error) => Err(error),
            };
        }
        let put = (self.db).put_in(Table::Catalog, document, condition, unchanged)?;
        let mut items = vec![put];
        if let Some((parent, name)) = is {
            items.push(self.name_in::<T>(parent, name, id)?);
        }
        if let Some((parent, name)) = was {
            let key = keys::name(T::KIND, parent, &folded(name));
            items.push(self.db.delete_in(Table::Catalog, &key, PRESENT, vec![])?);
        }
        match self.db.transact(items).await? {
            Transacted::Done => Ok(true),
            Transacted::Conflict(_) => {
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
        let done = self.db.transact(items).await? == Transacted::Done;
        if done {
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

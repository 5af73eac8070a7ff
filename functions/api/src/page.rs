//! Pages of lists: which part is asked for, its links, and the order.

use std::cmp::Ordering;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Api;
use crate::error::{ApiError, Result};
use crate::fields::Object;
use crate::query::Query;

/// How many results a page has where nobody says.
const DEFAULT_LIMIT: usize = 25;

/// Which part of a list is asked for, and from where.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The query string.
    pub query: Query,
    /// Where the page starts, where no cursor says it.
    pub offset: usize,
    /// How many results it has at most.
    pub limit: usize,
    /// Where the page starts by a cursor.
    cursor: Option<Cursor>,
    /// The list's own absolute address, without its query.
    url: String,
}

/// A place in a list that stays where it is whatever comes and goes: not a number, but what stood there,
/// as far as the list's order looks at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cursor {
    /// The start.
    #[serde(skip)]
    Start,
    /// Behind this.
    #[serde(rename = "a")]
    After(Value),
    /// Before this.
    #[serde(rename = "b")]
    Before(Value),
}

impl Cursor {
    fn read(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::Start);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        cursor.ok_or_else(no_cursor)
    }

    fn text(&self) -> String {
        match self {
            Self::Start => String::new(),
            place => URL_SAFE_NO_PAD.encode(json!(place).to_string()),
        }
    }
}

fn no_cursor() -> ApiError {
    let message =
        "This is no cursor of this list. Begin with an empty one (cursor=) and follow next.";
    ApiError::field("cursor", message)
}

/// The order of a list, and what it takes of an item to find its place again.
pub trait Sorting<T> {
    /// Compares two items, which no two share a place in.
    fn compare(&self, a: &T, b: &T) -> Ordering;

    /// What the order looks at.
    fn place(&self, item: &T) -> Value;

    /// Something that has that place; none where it's no place of this list.
    fn stand_in(&self, place: &Value) -> Option<T>;
}

/// How many there are, and what is before and behind a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// How many there are in all.
    pub count: usize,
    next: Option<String>,
    previous: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    count: usize,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch: Option<Object>,
}

impl<T> Page<T> {
    /// The same page with other results, one for each.
    pub fn map<U>(self, results: impl FnOnce(Vec<T>) -> Vec<U>) -> Page<U> {
        Page {
            count: self.count,
            next: self.next,
            previous: self.previous,
            results: results(self.results),
            prefetch: self.prefetch,
        }
    }

    /// The results.
    pub fn results(&self) -> &[T] {
        &self.results
    }

    /// A page with these results.
    pub fn new(links: Links, results: Vec<T>) -> Self {
        Self {
            count: links.count,
            next: links.next,
            previous: links.previous,
            results,
            prefetch: None,
        }
    }

    /// The page with what its results point to.
    #[must_use]
    pub fn with_prefetch(self, prefetch: Option<Object>) -> Self {
        Self { prefetch, ..self }
    }

    /// What is on it.
    pub fn results_mut(&mut self) -> &mut [T] {
        &mut self.results
    }
}

impl Listing {
    fn new(url: String, query: Query) -> Result<Self> {
        let number = |name: &str| query.get(name)?.trim().parse::<u32>().ok();
        let cursor = query.pairs().filter(|(name, _)| *name == "cursor").last();
        Ok(Self {
            offset: number("offset").map_or(0, |n| n as usize),
            limit: match number("limit") {
                None | Some(0) => DEFAULT_LIMIT,
                Some(n) => n as usize,
            },
            cursor: cursor
                .map(|(_, text)| Cursor::read(text.trim()))
                .transpose()?,
            url,
            query,
        })
    }

    /// All of it, in its order.
    #[must_use]
    pub fn whole(self) -> Self {
        Self {
            offset: 0,
            limit: usize::MAX,
            cursor: None,
            ..self
        }
    }

    /// Is a cursor used?
    pub fn by_cursor(&self) -> bool {
        self.cursor.is_some()
    }

    /// Where the page ends in a list of `count`.
    pub fn end(&self, count: usize) -> usize {
        self.offset.saturating_add(self.limit).min(count)
    }

    /// What is around the page that starts at the offset, in a list of `count`.
    pub fn links(&self, count: usize) -> Links {
        let end = self.offset.saturating_add(self.limit);
        Links {
            count,
            next: (end < count).then(|| self.link("offset", &end.to_string())),
            previous: (self.offset > 0).then(|| match self.offset.saturating_sub(self.limit) {
                0 => self.link("offset", ""),
                offset => self.link("offset", &offset.to_string()),
            }),
        }
    }

    /// The page out of a whole list in its order. Where its items have ids that only rise or only fall,
    /// a cursor stays right whatever comes and goes; else as long as the item that it names is there.
    pub fn cut<T: Serialize>(&self, all: Vec<T>) -> Page<T> {
        let count = all.len();
        let Some(cursor) = &self.cursor else {
            let results = all.into_iter().skip(self.offset).take(self.limit).collect();
            return Page::new(self.links(count), results);
        };
        let names: Vec<Value> = all.iter().map(name_of).collect();
        let (start, end) = match cursor {
            Cursor::Start => (0, count.min(self.limit)),
            Cursor::After(place) => {
                let start = position(&names, place, false);
                (start, start.saturating_add(self.limit).min(count))
            }
            Cursor::Before(place) => {
                let end = position(&names, place, true);
                (end.saturating_sub(self.limit), end)
            }
        };
        let place = |at: usize| json!([names[at], at]);
        let next = (end < count).then(|| match end.checked_sub(1) {
            Some(last) => Cursor::After(place(last)),
            None => Cursor::Start,
        });
        let previous = (start > 0).then(|| match names.get(start) {
            Some(_) => Cursor::Before(place(start)),
            None => Cursor::Before(json!([null, count])),
        });
        let links = self.turned(count, next, previous);
        let results = all.into_iter().skip(start).take(end - start).collect();
        Page::new(links, results)
    }

    fn turned(&self, count: usize, next: Option<Cursor>, previous: Option<Cursor>) -> Links {
        let link = |cursor: Cursor| self.link("cursor", &cursor.text());
        Links {
            count,
            next: next.map(link),
            previous: previous.map(link),
        }
    }

    fn link(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept = self
            .query
            .pairs()
            .filter(|(name, _)| !matches!(*name, "limit" | "offset" | "cursor"));
        query.extend_pairs(kept);
        query.append_pair("limit", &self.limit.to_string());
        if name == "cursor" || !value.is_empty() {
            query.append_pair(name, value);
        }
        format!("{}?{}", self.url, query.finish())
    }
}

/// By what an item of a list is found again: its id, with what it is of where several kinds are listed.
fn name_of(item: &impl Serialize) -> Value {
    let item = serde_json::to_value(item).unwrap_or_default();
    match (&item["model"], &item["id"]) {
        (Value::Null, Value::Number(id)) => json!(id),
        (Value::Null, _) => json!(item.to_string()),
        (model, id) => json!([model, id]),
    }
}

/// How many items stand before a place, and the one that it names unless it's `before` that.
fn position(names: &[Value], place: &Value, before: bool) -> usize {
    let (name, at) = (&place[0], &place[1]);
    let ids: Option<Vec<u64>> = names.iter().map(Value::as_u64).collect();
    if let (Some(ids), Some(id)) = (&ids, name.as_u64()) {
        if ids.is_sorted() {
            return ids.partition_point(|own| *own < id || (*own == id && !before));
        }
        if ids.is_sorted_by(|a, b| a >= b) {
            return ids.partition_point(|own| *own > id || (*own == id && !before));
        }
    }
    let found = names.iter().position(|own| own == name);
    let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
    match found {
        Some(found) => found + usize::from(!before),
        None => at.unwrap_or(0).min(names.len()),
    }
}

/// The address by which the client reached us, such as `https://tatami.example`.
#[derive(Debug, Clone)]
pub struct Base(pub String);

impl FromRequestParts<Api> for Base {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        if let Some(url) = &api.services.settings.public_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let text = |name: &str| parts.headers.get(name)?.to_str().ok();
        let host = text(header::HOST.as_str())
            .or_else(|| parts.uri.host())
            .unwrap_or("localhost");
        let scheme = text("x-forwarded-proto")
            .and_then(|list| list.split(',').next())
            .or_else(|| parts.uri.scheme_str())
            .unwrap_or("http");
        Ok(Self(format!("{}://{host}", scheme.trim())))
    }
}

impl FromRequestParts<Api> for Listing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let Base(base) = Base::from_request_parts(parts, api).await?;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        Self::new(format!("{base}{}/", parts.uri.path()), query)
    }
}

/// The columns of `o=`, with whether each descends.
pub fn ordering<'q>(
    query: &'q Query,
    known: impl Fn(&str) -> bool,
) -> Result<Vec<(&'q str, bool)>> {
    let column = |text: &'q str| {
        let (name, down) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        if known(name) {
            Ok((name, down))
        } else {
            Err(ApiError::field(
                "o",
                format!("\"{text}\" is not a column to order by"),
            ))
        }
    };
    query.all("o").into_iter().map(column).collect()
}

/// Compares values of which one may be missing; what is missing comes last.
pub fn missing_last<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// The part of a list that a page needs, out of items that come one by one and in no order: no more of
/// them are held than that takes.
#[derive(Debug)]
pub struct Cut<'l, T, S> {
    listing: &'l Listing,
    sorting: &'l S,
    /// What stands where the cursor is.
    anchor: Option<T>,
    items: Vec<T>,
    count: usize,
    /// Is there anything on the side of the cursor from which the page isn't?
    behind: bool,
}

impl<'l, T, S: Sorting<T>> Cut<'l, T, S> {
    /// So many items more than the page needs are held before some are let go.
    const SPARE: usize = 10_000;

    /// Of items in this order.
    pub fn new(listing: &'l Listing, sorting: &'l S) -> Result<Self> {
        let anchor = match &listing.cursor {
            Some(Cursor::After(place) | Cursor::Before(place)) => {
                Some(sorting.stand_in(place).ok_or_else(no_cursor)?)
            }
            _ => None,
        };
        Ok(Self {
            listing,
            sorting,
            anchor,
            items: Vec::new(),
            count: 0,
            behind: false,
        })
    }

    /// Is the page what comes before something, so that it's found from its end?
    fn backwards(&self) -> bool {
        matches!(self.listing.cursor, Some(Cursor::Before(_)))
    }

    /// How many items have to be held: by a cursor one more than the page has, to tell whether there is
    /// one.
    fn needed(&self) -> usize {
        match self.listing.cursor {
            None => self.listing.end(usize::MAX),
            Some(_) => self.listing.limit.saturating_add(1),
        }
    }

    /// One more item.
    pub fn push(&mut self, item: T) {
        self.count += 1;
        if let Some(anchor) = &self.anchor {
            let order = self.sorting.compare(&item, anchor);
            let wanted = if self.backwards() {
                order.is_lt()
            } else {
                order.is_gt()
            };
            if !wanted {
                self.behind = true;
                return;
            }
        }
        self.items.push(item);
        let needed = self.needed();
        if self.items.len() >= needed.saturating_add(needed.max(Self::SPARE)) {
            self.let_go(needed);
        }
    }

    /// Leaves the first items, or the last, where the page is found from its end.
    fn let_go(&mut self, needed: usize) {
        let (sorting, backwards) = (self.sorting, self.backwards());
        let compare = |a: &T, b: &T| {
            let order = sorting.compare(a, b);
            if backwards { order.reverse() } else { order }
        };
        if needed > 0 && needed < self.items.len() {
            self.items.select_nth_unstable_by(needed - 1, compare);
            self.items.truncate(needed);
        }
    }

    /// The items of the page in order, and what is around them.
    pub fn page(mut self) -> (Links, Vec<T>) {
        let listing = self.listing;
        self.let_go(self.needed());
        let (sorting, backwards) = (self.sorting, self.backwards());
        let Some(cursor) = &listing.cursor else {
            let items = from_offset(self.items, listing, |a, b| sorting.compare(a, b));
            return (listing.links(self.count), items);
        };
        let mut items = self.items;
        items.sort_unstable_by(|a, b| sorting.compare(a, b));
        let more = items.len() > listing.limit;
        if more && backwards {
            items.remove(0);
        }
        items.truncate(listing.limit);
        let (before, after) = if backwards {
            (more, self.behind)
        } else {
            (self.behind, more)
        };
        let place = |item: Option<&T>| match (item, cursor) {
            (Some(item), _) => Some(sorting.place(item)),
            (None, Cursor::After(place) | Cursor::Before(place)) => Some(place.clone()),
            (None, Cursor::Start) => None,
        };
        let next = place(items.last()).filter(|_| after).map(Cursor::After);
        let previous = place(items.first()).filter(|_| before).map(Cursor::Before);
        (listing.turned(self.count, next, previous), items)
    }
}

/// The items of a page in order, out of all.
pub fn cut_sorted<T>(
    items: Vec<T>,
    listing: &Listing,
    sorting: &impl Sorting<T>,
) -> Result<(Links, Vec<T>)> {
    let mut cut = Cut::new(listing, sorting)?;
    for item in items {
        cut.push(item);
    }
    Ok(cut.page())
}

/// Keeps the part of `items` that a page by its offset needs, in order: no more is sorted than is shown.
fn from_offset<T>(
    mut items: Vec<T>,
    listing: &Listing,
    mut compare: impl FnMut(&T, &T) -> Ordering,
) -> Vec<T> {
    let end = listing.end(items.len());
    if listing.offset >= end {
        return Vec::new();
    }
    if end < items.len() {
        items.select_nth_unstable_by(end - 1, &mut compare);
        items.truncate(end);
    }
    if listing.offset > 0 {
        items.select_nth_unstable_by(listing.offset, &mut compare);
        items.drain(..listing.offset);
    }
    items.sort_unstable_by(compare);
    items
}

/// Items with ids, by these.
#[derive(Debug, Clone, Copy)]
pub struct ById {
    /// Latest first?
    pub descending: bool,
}

impl<T: Identified> Sorting<T> for ById {
    fn compare(&self, a: &T, b: &T) -> Ordering {
        let order = a.id().cmp(&b.id());
        if self.descending {
            order.reverse()
        } else {
            order
        }
    }

    fn place(&self, item: &T) -> Value {
        json!(item.id())
    }

    fn stand_in(&self, place: &Value) -> Option<T> {
        place.as_u64().map(T::of_id)
    }
}

/// Something with an id that it can be made of, with nothing else.
pub trait Identified {
    /// Its id.
    fn id(&self) -> u64;
    /// One that has nothing but this id.
    fn of_id(id: u64) -> Self;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(query: &str) -> Listing {
        let url = "https://t.example/api/v2/findings/".to_owned();
        Listing::new(url, Query::parse(query)).unwrap()
    }

    /// Numbers by their tens first, and then falling.
    struct Tens;

    impl Sorting<u64> for Tens {
        fn compare(&self, a: &u64, b: &u64) -> Ordering {
            (a / 10).cmp(&(b / 10)).then(b.cmp(a))
        }

        fn place(&self, item: &u64) -> Value {
            json!(item)
        }

        fn stand_in(&self, place: &Value) -> Option<u64> {
            place.as_u64()
        }
    }

    #[test]
    fn links_keep_the_filters_and_end_with_null() {
        let asked = listing("limit=2&severity=High&offset=2");
        let page = Page::new(asked.links(5), vec![3, 4]);
        assert_eq!(
            page.next.as_deref(),
            Some("https://t.example/api/v2/findings/?severity=High&limit=2&offset=4")
        );
        assert_eq!(
            page.previous.as_deref(),
            Some("https://t.example/api/v2/findings/?severity=High&limit=2")
        );
        assert_eq!(listing("limit=5").links(5).next, None);
        assert_eq!(listing("").cut((0..30).collect()).results.len(), 25);
    }

    #[test]
    fn an_offset_past_the_end_gives_an_empty_page_with_the_true_count() {
        let page = listing("offset=100").cut(vec![1, 2, 3]);
        assert_eq!((page.count, page.results.len(), page.next), (3, 0, None));
        assert_eq!(listing("limit=4294967295").cut(vec![1, 2]).results, [1, 2]);
    }

    #[test]
    fn only_what_a_page_shows_is_sorted_and_it_is_the_same_part() {
        let items: Vec<u64> = (0..500).map(|n| (n * 7919) % 499).collect();
        let mut sorted = items.clone();
        sorted.sort_unstable();
        for (limit, offset) in [(25, 0), (25, 480), (1000, 0), (10, 499), (3, 500), (7, 123)] {
            let listing = listing(&format!("limit={limit}&offset={offset}"));
            let page = from_offset(items.clone(), &listing, Ord::cmp);
            let end = (offset + limit).min(500);
            assert_eq!(page, sorted[offset.min(500)..end], "{limit} {offset}");
        }
    }

    fn query_of(link: &str) -> &str {
        link.split_once('?').unwrap().1
    }

    #[test]
    fn cursors_lead_through_all_of_a_list_there_and_back() {
        let all: Vec<u64> = (0..53).map(|n| (n * 31) % 53).collect();
        let mut sorted = all.clone();
        sorted.sort_by(|a, b| Tens.compare(a, b));
        let mut query = "limit=7&cursor=".to_owned();
        let (mut seen, mut pages) = (Vec::<u64>::new(), Vec::new());
        loop {
            let (links, items) = cut_sorted(all.clone(), &listing(&query), &Tens).unwrap();
            assert_eq!(
                (links.count, links.previous.is_none()),
                (53, seen.is_empty())
            );
            seen.extend(&items);
            pages.push(items);
            match &links.next {
                Some(next) => query = query_of(next).to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, sorted);
        pages.pop();
        while let Some(wanted) = pages.pop() {
            let (links, _) = cut_sorted(all.clone(), &listing(&query), &Tens).unwrap();
            let previous = links.previous.unwrap();
            query = query_of(&previous).to_owned();
            let (_, items) = cut_sorted(all.clone(), &listing(&query), &Tens).unwrap();
            assert_eq!(items, wanted);
        }
    }

    #[test]
    fn what_comes_and_goes_in_between_moves_no_cursor() {
        let first = (1..=9).collect::<Vec<u64>>();
        let (links, items) = cut_sorted(first, &listing("limit=3&cursor="), &Tens).unwrap();
        assert_eq!(items, [9, 8, 7]);
        // those before go, the one it stands behind goes, and others come
        let changed = vec![6, 5, 15, 4, 3, 2, 1];
        let next = links.next.unwrap();
        let (links, items) = cut_sorted(changed, &listing(query_of(&next)), &Tens).unwrap();
        assert_eq!(items, [6, 5, 4]);
        assert_eq!(links.previous, None);
        let gone = listing(query_of(&links.next.unwrap()));
        let (links, items) = cut_sorted(vec![9, 8], &gone, &Tens).unwrap();
        assert!(items.is_empty() && links.next.is_none() && links.previous.is_some());
        let mut rows: Vec<Value> = (1..=6).rev().map(|id| json!({"id": id})).collect();
        let page = listing("limit=2&cursor=").cut(rows.clone());
        rows.remove(1);
        rows.insert(0, json!({"id": 7}));
        let next = page.next.unwrap();
        let page = listing(query_of(&next)).cut(rows.clone());
        assert_eq!(page.results, [json!({"id": 4}), json!({"id": 3})]);
        let previous = page.previous.unwrap();
        let page = listing(query_of(&previous)).cut(rows);
        assert_eq!(page.results, [json!({"id": 7}), json!({"id": 6})]);
        assert_eq!(page.previous, None);
    }

    #[test]
    fn what_is_no_cursor_is_said_to_be_none() {
        let query = Query::parse("cursor=nonsense");
        assert!(Listing::new(String::new(), query).is_err());
        let other = Cursor::After(json!({"not": "a number"})).text();
        assert!(cut_sorted(vec![1], &listing(&format!("cursor={other}")), &Tens).is_err());
    }

    #[test]
    fn only_known_columns_order() {
        let query = Query::parse("o=-severity,id");
        let known = |name: &str| ["severity", "id"].contains(&name);
        assert_eq!(
            ordering(&query, known).unwrap(),
            [("severity", true), ("id", false)]
        );
        assert!(ordering(&Query::parse("o=nonsense"), known).is_err());
    }
}

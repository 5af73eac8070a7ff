//! Values as reports really write them: a number in quotes, one text where a list was due, a
//! placeholder such as `N/A`.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// For fields that are objects: `null` stands for one without members.
///
/// `#[serde(deserialize_with = "nullable")]`
pub fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A text. Numbers and booleans are taken as they are written, `null` is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(pub String);

impl Text {
    /// `None` where it is empty.
    pub fn some(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar).map(|s| match s {
            Found::Text(text) => Self(text),
            Found::Bool(flag) => Self(flag.to_string()),
            Found::Int(number) => Self(number.to_string()),
            Found::Decimal(number) => Self(number.to_string()),
            Found::Nothing => Self::default(),
        })
    }
}

/// A number that may stand in quotes. Anything that isn't one is `None`, so that a placeholder
/// doesn't cost the record.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Decimal(pub Option<f64>);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar).map(|s| {
            Self(match s {
                Found::Decimal(number) => Some(number),
                // No number in a report is so large that a float would not do.
                Found::Int(number) => number.to_string().parse().ok(),
                Found::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
                Found::Bool(_) | Found::Nothing => None,
            })
        })
    }
}

/// A whole number, not negative, that may stand in quotes. Anything else is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Int(pub Option<u64>);

impl Int {
    /// As a smaller number, where it fits.
    pub fn small(self) -> Option<u32> {
        self.0.and_then(|n| u32::try_from(n).ok())
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = |number: f64| -> Option<u64> {
            // `12.0`: the text of a whole float is that of the integer.
            (number >= 0.0 && number.fract() == 0.0).then(|| format!("{number:.0}").parse().ok())?
        };
        deserializer.deserialize_any(Scalar).map(|s| {
            Self(match s {
                Found::Int(number) => u64::try_from(number).ok(),
                Found::Decimal(number) => whole(number),
                Found::Text(text) => {
                    let text = text.trim();
                    (text.parse().ok()).or_else(|| text.parse().ok().and_then(whole))
                }
                Found::Bool(_) | Found::Nothing => None,
            })
        })
    }
}

/// True or false, also as a word or as 1 or 0. Anything else is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flag(pub Option<bool>);

impl Flag {
    /// Reads `true`, `yes`, `1` and their opposites, in any case.
    pub fn from_word(word: &str) -> Self {
        const WORDS: [(&str, bool); 10] = [
            ("true", true),
            ("yes", true),
            ("y", true),
            ("t", true),
            ("1", true),
            ("false", false),
            ("no", false),
            ("n", false),
            ("f", false),
            ("0", false),
        ];
        let word = word.trim();
        let found = WORDS.iter().find(|(w, _)| word.eq_ignore_ascii_case(w));
        Self(found.map(|(_, flag)| *flag))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar).map(|s| match s {
            Found::Bool(flag) => Self(Some(flag)),
            Found::Int(number) => Self(Some(number != 0)),
            Found::Text(word) => Self::from_word(&word),
            Found::Decimal(_) | Found::Nothing => Self(None),
        })
    }
}

/// A list of texts, or one text alone.
pub type List = OneOrMany<Text>;

impl List {
    /// The texts that aren't empty.
    pub fn texts(self) -> impl Iterator<Item = String> {
        self.0.into_iter().filter_map(Text::some)
    }
}

/// A list, one element alone, or `null` for none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Many<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Many<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
                Ok(Vec::new())
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Vec<T>, E> {
                one(serde::de::value::BoolDeserializer::new(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Vec<T>, E> {
                one(serde::de::value::I64Deserializer::new(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Vec<T>, E> {
                one(serde::de::value::U64Deserializer::new(value))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Vec<T>, E> {
                one(serde::de::value::F64Deserializer::new(value))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Vec<T>, E> {
                one(serde::de::value::StrDeserializer::new(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut many = Vec::new();
                while let Some(element) = list.next_element()? {
                    many.push(element);
                }
                Ok(many)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
                one(serde::de::value::MapAccessDeserializer::new(map))
            }
        }

        fn one<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Vec<T>, D::Error> {
            T::deserialize(d).map(|element| vec![element])
        }

        deserializer.deserialize_any(Many(PhantomData)).map(Self)
    }
}

/// All texts, numbers and booleans in a value of whatever shape, for properties that no schema
/// binds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// The first of them, if any.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E: Error>(self) -> Result<Texts, E> {
                Ok(Texts::default())
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut all = Texts::default();
                while let Some(more) = list.next_element::<Texts>()? {
                    all.0.extend(more.0);
                }
                Ok(all)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut all = Texts::default();
                while let Some((_, more)) = map.next_entry::<IgnoredAny, Texts>()? {
                    all.0.extend(more.0);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_any(All)
    }
}

/// The members of an object in the report's order, without those that are `null`. `null` and anything
/// else has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pairs<T>(pub Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pairs<T> {
    /// The value of the first member of this name.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Vec<(String, T)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                // PHP tools write an empty object as an empty list.
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Vec::new())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry()? {
                    members.extend(Option::map(value, |value| (key, value)));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_any(Members(PhantomData)).map(Self)
    }
}

enum Found {
    Text(String),
    Bool(bool),
    Int(i128),
    Decimal(f64),
    Nothing,
}

struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Found, E> {
        Ok(Found::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Found, E> {
        Ok(Found::Int(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Found, E> {
        Ok(Found::Int(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Found, E> {
        Ok(Found::Decimal(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Found, E> {
        Ok(Found::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Found, E> {
        Ok(Found::Text(value))
    }
}

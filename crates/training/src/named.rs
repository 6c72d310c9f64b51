//! A choice in a file: a name alone, or a table with its numbers.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
};
use serde_json::{Map, Value};

/// Reads an externally tagged enum from a table, or from the name of a variant whose fields all
/// have defaults.
pub(crate) fn name_or_table<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(Choice(PhantomData))
}

struct Choice<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Choice<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a table of one name with its settings")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        if let Ok(unit) = T::deserialize(StrDeserializer::<E>::new(name)) {
            return Ok(unit);
        }
        let table = Map::from_iter([(name.to_string(), Value::Object(Map::new()))]);
        T::deserialize(Value::Object(table)).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let name: Option<String> = map.next_key()?;
        let first = First { name: name.clone(), rest: &mut map };
        let chosen = T::deserialize(MapAccessDeserializer::new(first))?;
        // An enum takes the first key alone; formats differ in what they say of another.
        match (name, map.next_key::<String>()?) {
            (Some(name), Some(other)) => {
                Err(A::Error::custom(format!("expected one choice, got `{name}` and `{other}`")))
            }
            _ => Ok(chosen),
        }
    }
}

/// A map whose first key was read already.
struct First<'m, A> {
    name: Option<String>,
    rest: &'m mut A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for First<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.name.take() {
            Some(name) => seed.deserialize(name.into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

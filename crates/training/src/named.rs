//! A choice in a file: a name alone, or a table with its numbers.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, Error, MapAccess, Visitor,
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

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

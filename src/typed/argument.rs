//! Several arguments as one object with their names. The main structure is [`Keywords`].

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A list of names and values, `(name, &value, rest)` down to `()`, which serializes as an object.
#[derive(Debug)]
pub struct Keywords<E>(pub E);

/// The entries of the object.
pub trait Entries {
    /// The number of entries.
    const COUNT: usize;

    /// Writes the entries.
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

impl Entries for () {
    const COUNT: usize = 0;

    fn put<M: SerializeMap>(&self, _: &mut M) -> Result<(), M::Error> {
        Ok(())
    }
}

impl<T: Serialize + ?Sized, E: Entries> Entries for (&'static str, &T, E) {
    const COUNT: usize = 1 + E::COUNT;

    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(self.0, self.1)?;
        self.2.put(map)
    }
}

impl<E: Entries> Serialize for Keywords<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(E::COUNT))?;
        self.0.put(&mut map)?;
        map.end()
    }
}

/// The name without the `r#` of a raw identifier.
#[must_use]
pub fn plain_name(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

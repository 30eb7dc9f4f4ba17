//! What the pool knows about the functions of its workers. The main structure is [`Registry`].

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use actix_pyproc_actors::call::Function;
use actix_pyproc_actors::id::FunctionId;

use crate::wire::function::{Definitions, FunctionInfo, FunctionKind};
use crate::wire::message::Ready;

/// The functions by name. Each name keeps its number for the life of the pool. The latest worker
/// says which of them exist.
#[derive(Default)]
pub(super) struct Registry {
    numbers: HashMap<Box<str>, FunctionId, BuildHasherDefault<NameHasher>>,
    entries: Vec<Entry>,
    catalog: Option<Catalog>,
}

/// What the registry knows, for other threads.
#[derive(Default)]
pub(super) struct Snapshot {
    /// The functions of the latest worker; empty before the first one.
    pub(super) functions: Arc<[FunctionInfo]>,
    /// The JSON Schemas of their classes.
    pub(super) definitions: Arc<Definitions>,
    /// The names of all functions, by their numbers.
    pub(super) function_names: Vec<String>,
}

/// The functions of the latest worker that became ready.
#[derive(Clone)]
struct Catalog {
    functions: Arc<[FunctionInfo]>,
    definitions: Arc<Definitions>,
    names: Arc<[String]>,
}

/// What is known about one name.
#[derive(Clone, Copy)]
struct Entry {
    overlapping: bool,
    exists: bool,
}

/// The function does not exist. These names do.
pub(super) struct Unknown(pub(super) Arc<[String]>);

impl Registry {
    /// Finds a function by its name. Before a worker is ready, every known name is a function.
    pub(super) fn function(&self, name: &str) -> Option<Result<Function, Unknown>> {
        match (self.numbers.get(name), &self.catalog) {
            (Some(&id), None) => Some(Ok(Function { id, overlapping: false })),
            (None, None) => None,
            (Some(&id), Some(catalog)) => {
                let Entry { overlapping, exists } = self.entries[id.0 as usize];
                Some(if exists {
                    Ok(Function { id, overlapping })
                } else {
                    Err(Unknown(catalog.names.clone()))
                })
            }
            (None, Some(catalog)) => Some(Err(Unknown(catalog.names.clone()))),
        }
    }

    /// The number of a name, which may be new.
    pub(super) fn intern(&mut self, name: &str) -> FunctionId {
        if let Some(&id) = self.numbers.get(name) {
            return id;
        }
        let id =
            FunctionId(u32::try_from(self.entries.len()).expect("workers have no billions of functions"));
        self.entries.push(Entry { overlapping: false, exists: false });
        self.numbers.insert(name.into(), id);
        id
    }

    /// Replaces the functions with those of a worker that became ready.
    pub(super) fn learn(&mut self, Ready { functions, definitions }: Ready) -> FunctionIds {
        self.entries.iter_mut().for_each(|entry| entry.exists = false);
        let mut ids = vec![NO_FUNCTION; self.entries.len()];
        for (id, function) in (0_u16..).zip(&functions) {
            let index = self.intern(&function.name).0 as usize;
            self.entries[index] = Entry { overlapping: function.kind == FunctionKind::Async, exists: true };
            ids.resize(self.entries.len(), NO_FUNCTION);
            ids[index] = id;
        }
        // The common case: the worker has the same functions as the one that it replaces.
        let same =
            |catalog: &Catalog| catalog.functions[..] == functions[..] && *catalog.definitions == definitions;
        if !self.catalog.as_ref().is_some_and(same) {
            let names = functions.iter().map(|function| function.name.clone()).collect();
            let definitions = Arc::new(definitions);
            self.catalog = Some(Catalog { functions: functions.into(), definitions, names });
        }
        FunctionIds(ids.into())
    }

    /// What other threads may know.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut function_names = vec![String::new(); self.entries.len()];
        self.numbers.iter().for_each(|(name, id)| function_names[id.0 as usize] = name.to_string());
        match &self.catalog {
            None => Snapshot { function_names, ..Snapshot::default() },
            Some(Catalog { functions, definitions, .. }) => Snapshot {
                functions: Arc::clone(functions),
                definitions: Arc::clone(definitions),
                function_names,
            },
        }
    }

    pub(super) fn names(&self) -> Arc<[String]> {
        self.catalog.as_ref().map_or_else(Arc::default, |catalog| catalog.names.clone())
    }
}

const NO_FUNCTION: u16 = u16::MAX;

/// The numbers that one worker gave the functions, by their numbers in the pool.
pub(super) struct FunctionIds(Box<[u16]>);

impl FunctionIds {
    pub(super) fn get(&self, function: FunctionId) -> Option<u16> {
        self.0.get(function.0 as usize).copied().filter(|id| *id != NO_FUNCTION)
    }
}

/// FNV-1a: names are short, and once a worker is ready, callers cannot add names that collide.
struct NameHasher(u64);

impl Default for NameHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use actix_pyproc_actors::call::Function;
    use actix_pyproc_actors::id::FunctionId;
    use serde_json::json;

    use super::Registry;
    use crate::wire::function::{FunctionInfo, FunctionKind};
    use crate::wire::message::Ready;

    fn function(name: &str, kind: FunctionKind) -> FunctionInfo {
        serde_json::from_value(json!({"name": name, "kind": kind})).expect("the rest has defaults")
    }

    fn ready<const N: usize>(functions: [(&str, FunctionKind); N]) -> Ready {
        let functions = functions.map(|(name, kind)| function(name, kind)).into();
        Ready { functions, definitions: Default::default() }
    }

    fn find(registry: &Registry, name: &str) -> Option<Result<Function, Vec<String>>> {
        registry.function(name).map(|found| found.map_err(|unknown| unknown.0.to_vec()))
    }

    #[test]
    fn any_name_is_taken_until_a_worker_says_what_exists() {
        let mut registry = Registry::default();
        assert!(find(&registry, "f").is_none());
        let early = registry.intern("f");
        assert_eq!(find(&registry, "f"), Some(Ok(Function { id: early, overlapping: false })));
        let ids = registry.learn(ready([("g", FunctionKind::Async), ("f", FunctionKind::Sync)]));
        assert_eq!(find(&registry, "f"), Some(Ok(Function { id: early, overlapping: false })));
        assert_eq!(find(&registry, "g"), Some(Ok(Function { id: FunctionId(1), overlapping: true })));
        assert_eq!(find(&registry, "h"), Some(Err(vec!["g".into(), "f".into()])));
        assert_eq!(
            (ids.get(early), ids.get(FunctionId(1)), ids.get(FunctionId(2))),
            (Some(1), Some(0), None)
        );
    }

    #[test]
    fn name_keeps_its_class_when_it_goes_and_comes_back() {
        let mut registry = Registry::default();
        registry.learn(ready([("f", FunctionKind::Sync)]));
        let ids = registry.learn(ready([("g", FunctionKind::Sync)]));
        assert_eq!(find(&registry, "f"), Some(Err(vec!["g".into()])));
        assert_eq!(ids.get(FunctionId(0)), None);
        registry.learn(ready([("g", FunctionKind::Sync), ("f", FunctionKind::Async)]));
        assert_eq!(find(&registry, "f"), Some(Ok(Function { id: FunctionId(0), overlapping: true })));
        assert_eq!(registry.snapshot().functions.len(), 2);
        assert_eq!(&registry.names()[..], ["g", "f"]);
        assert_eq!(registry.snapshot().function_names, ["f", "g"]);
    }
}

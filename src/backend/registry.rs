//! What the pool knows of the workers' functions. The main structure is [`Registry`].

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use actix_pyproc_actors::backend::Class;
use actix_pyproc_actors::id::ClassId;

use crate::wire::function::{FunctionInfo, FunctionKind};

/// The functions by name. Each name keeps its class for the life of the pool; what exists is what
/// the latest worker said.
#[derive(Default)]
pub(super) struct Registry {
    classes: HashMap<Box<str>, ClassId, BuildHasherDefault<NameHasher>>,
    entries: Vec<Entry>,
    catalog: Option<Catalog>,
}

/// What the latest worker that became ready offers.
#[derive(Clone)]
struct Catalog {
    functions: Arc<[FunctionInfo]>,
    names: Arc<[String]>,
}

/// What is known of one name.
#[derive(Clone, Copy)]
struct Entry {
    overlapping: bool,
    exists: bool,
}

/// The names that exist, for those who asked for another.
pub(super) struct Unknown(pub(super) Arc<[String]>);

impl Registry {
    /// The class of a function. Before any worker is ready each name is taken.
    pub(super) fn class(&self, function: &str) -> Option<Result<Class, Unknown>> {
        match (self.classes.get(function), &self.catalog) {
            (Some(&id), None) => Some(Ok(Class { id, overlapping: false })),
            (None, None) => None,
            (Some(&id), Some(catalog)) => {
                let Entry { overlapping, exists } = self.entries[id.0 as usize];
                Some(if exists { Ok(Class { id, overlapping }) } else { Err(Unknown(catalog.names.clone())) })
            }
            (None, Some(catalog)) => Some(Err(Unknown(catalog.names.clone()))),
        }
    }

    /// The class of a name that may be new.
    pub(super) fn intern(&mut self, function: &str) -> ClassId {
        if let Some(&id) = self.classes.get(function) {
            return id;
        }
        let id = ClassId(u32::try_from(self.entries.len()).expect("workers have no billions of functions"));
        self.entries.push(Entry { overlapping: false, exists: false });
        self.classes.insert(function.into(), id);
        id
    }

    /// Takes over what a worker offers.
    pub(super) fn learn(&mut self, functions: Vec<FunctionInfo>) -> FunctionIds {
        self.entries.iter_mut().for_each(|entry| entry.exists = false);
        let mut ids = vec![NO_FUNCTION; self.entries.len()];
        for (id, function) in (0_u16..).zip(&functions) {
            let class = self.intern(&function.name).0 as usize;
            self.entries[class] = Entry { overlapping: function.kind == FunctionKind::Async, exists: true };
            ids.resize(self.entries.len(), NO_FUNCTION);
            ids[class] = id;
        }
        // A worker that was replaced by one just like it changes nothing.
        if self.catalog.as_ref().is_none_or(|catalog| catalog.functions[..] != functions[..]) {
            let names = functions.iter().map(|function| function.name.clone()).collect();
            self.catalog = Some(Catalog { functions: functions.into(), names });
        }
        FunctionIds(ids.into())
    }

    /// The functions of the latest worker; none before there was one.
    pub(super) fn catalog(&self) -> Arc<[FunctionInfo]> {
        self.catalog.as_ref().map_or_else(Arc::default, |catalog| catalog.functions.clone())
    }

    /// The names of all classes, by their numbers.
    pub(super) fn class_names(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.entries.len()];
        self.classes.iter().for_each(|(name, class)| names[class.0 as usize] = name.to_string());
        names
    }

    pub(super) fn names(&self) -> Arc<[String]> {
        self.catalog.as_ref().map_or_else(Arc::default, |catalog| catalog.names.clone())
    }
}

const NO_FUNCTION: u16 = u16::MAX;

/// The numbers that one worker gave the functions, by class.
pub(super) struct FunctionIds(Box<[u16]>);

impl FunctionIds {
    pub(super) fn get(&self, class: ClassId) -> Option<u16> {
        self.0.get(class.0 as usize).copied().filter(|id| *id != NO_FUNCTION)
    }
}

/// FNV-1a: names are short, and only those that exist are in the map, so nobody can choose names
/// that collide.
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
    use actix_pyproc_actors::backend::Class;
    use actix_pyproc_actors::id::ClassId;

    use super::Registry;
    use crate::wire::function::{Binding, FunctionInfo, FunctionKind, TypeInfo};

    fn function(name: &str, kind: FunctionKind) -> FunctionInfo {
        FunctionInfo {
            name: name.into(),
            signature: String::new(),
            doc: None,
            kind,
            binding: Binding::Unknown,
            parameters: Vec::new(),
            returns: None,
            returns_type: TypeInfo::Any,
        }
    }

    fn class(registry: &Registry, name: &str) -> Option<Result<Class, Vec<String>>> {
        registry.class(name).map(|class| class.map_err(|unknown| unknown.0.to_vec()))
    }

    #[test]
    fn any_name_is_taken_until_a_worker_says_what_exists() {
        let mut registry = Registry::default();
        assert!(class(&registry, "f").is_none());
        let early = registry.intern("f");
        assert_eq!(class(&registry, "f"), Some(Ok(Class { id: early, overlapping: false })));
        let ids = registry.learn(vec![function("g", FunctionKind::Async), function("f", FunctionKind::Sync)]);
        assert_eq!(class(&registry, "f"), Some(Ok(Class { id: early, overlapping: false })));
        assert_eq!(class(&registry, "g"), Some(Ok(Class { id: ClassId(1), overlapping: true })));
        assert_eq!(class(&registry, "h"), Some(Err(vec!["g".into(), "f".into()])));
        assert_eq!((ids.get(early), ids.get(ClassId(1)), ids.get(ClassId(2))), (Some(1), Some(0), None));
    }

    #[test]
    fn name_keeps_its_class_when_it_goes_and_comes_back() {
        let mut registry = Registry::default();
        registry.learn(vec![function("f", FunctionKind::Sync)]);
        let ids = registry.learn(vec![function("g", FunctionKind::Sync)]);
        assert_eq!(class(&registry, "f"), Some(Err(vec!["g".into()])));
        assert_eq!(ids.get(ClassId(0)), None);
        registry.learn(vec![function("g", FunctionKind::Sync), function("f", FunctionKind::Async)]);
        assert_eq!(class(&registry, "f"), Some(Ok(Class { id: ClassId(0), overlapping: true })));
        assert_eq!(registry.catalog().len(), 2);
        assert_eq!(&registry.names()[..], ["g", "f"]);
        assert_eq!(registry.class_names(), ["f", "g"]);
    }
}

//! Dependencies between files, and the cycles among them. A file depends on another where it names an item that the
//! other defines, also through re-exports, globs and `super`.
//!
//! Names are resolved as far as modules, items and `use` go. Types are not known, so that calling a method is no
//! dependency on the file that defines it; naming its type is.

use std::collections::{BTreeMap, BTreeSet};

use super::references::{self, Scope};

/// A module: the name of its crate, then the modules from the root down.
pub(super) type ModulePath = Vec<String>;

/// The files that each file depends on.
pub(super) type Dependencies<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Longest chain of re-exports that is followed. An import that leads to itself ends there.
const MAX_REEXPORTS: usize = 32;

/// The modules of all crates that may depend on each other.
#[derive(Default)]
pub(super) struct Crates {
    modules: BTreeMap<ModulePath, Module>,
    /// Modules for tests only: these and all below them are left out.
    test_modules: Vec<ModulePath>,
}

struct Module {
    file: String,
    scope: Scope,
}

/// The target of a path.
enum Target<'a> {
    /// An item, in the file that defines it.
    Item(&'a str),
    /// A module, in its file.
    Module(&'a str),
}

impl Crates {
    /// Adds a file, which is the module `module`. Panics where its text is not Rust.
    pub(super) fn add(&mut self, module: &ModulePath, file: &str, text: &str) {
        let parsed = references::parse(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let full = |path: Vec<String>| module.iter().cloned().chain(path).collect::<ModulePath>();
        self.test_modules.extend(parsed.test_modules.into_iter().map(full));
        for inner in parsed.modules {
            self.modules.insert(full(inner.path), Module { file: file.to_owned(), scope: inner.scope });
        }
    }

    pub(super) fn dependencies(&self) -> Dependencies<'_> {
        let mut all = Dependencies::new();
        for (path, module) in self.modules.iter().filter(|(path, _)| !self.is_test(path)) {
            let scope = &module.scope;
            let imports = scope.imports.iter().filter(|(name, _)| !scope.reexports.contains(*name));
            let imported = imports.filter_map(|(_, import)| match self.resolve(path, import, MAX_REEXPORTS)? {
                Target::Item(file) | Target::Module(file) => Some(file),
            });
            let named = scope.paths.iter().filter_map(|named| match self.resolve(path, named, MAX_REEXPORTS)? {
                Target::Item(file) => Some(file),
                // No value or type: a local variable with the name of a module, or `use` in a function.
                Target::Module(_) => None,
            });
            let files = imported.chain(named).filter(|file| *file != module.file);
            all.entry(&module.file).or_default().extend(files);
        }
        all
    }

    fn is_test(&self, module: &ModulePath) -> bool {
        self.test_modules.iter().any(|test| module.starts_with(test))
    }

    /// The target of `path` in `module`; none in a crate that was not added.
    fn resolve(&self, module: &ModulePath, path: &[String], hops: usize) -> Option<Target<'_>> {
        let hops = hops.checked_sub(1)?;
        let (mut here, mut rest) = self.first_module(module, path)?;
        while let Some((name, further)) = rest.split_first() {
            let scope = &self.modules.get(&here)?.scope;
            let child: ModulePath = here.iter().cloned().chain([name.clone()]).collect();
            if name == "self" {
                rest = further;
            } else if scope.items.contains(name) && (further.is_empty() || !scope.children.contains(name)) {
                return Some(Target::Item(&self.modules[&here].file));
            } else if scope.children.contains(name) && self.modules.contains_key(&child) {
                (here, rest) = (child, further);
            } else if let Some(import) = scope.imports.get(name) {
                let whole: Vec<String> = import.iter().chain(further).cloned().collect();
                return self.resolve(&here, &whole, hops);
            } else {
                return scope.globs.iter().find_map(|glob| {
                    let whole: Vec<String> = glob.iter().chain(rest).cloned().collect();
                    self.resolve(&here, &whole, hops)
                });
            }
        }
        self.modules.get(&here).map(|module| Target::Module(&module.file))
    }

    /// The module in which `path` begins, and the rest of the path.
    fn first_module<'p>(&self, module: &ModulePath, path: &'p [String]) -> Option<(ModulePath, &'p [String])> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some((module[..1].to_vec(), rest)),
            "self" => Some((module.clone(), rest)),
            "super" => {
                let count = path.iter().take_while(|name| *name == "super").count();
                let depth = module.len().checked_sub(count).filter(|depth| *depth > 0)?;
                Some((module[..depth].to_vec(), &path[count..]))
            }
            _ if self.may_know(module, first) => Some((module.clone(), path)),
            // Another crate. A single name is a local variable.
            _ if !rest.is_empty() && self.modules.contains_key(&path[..1]) => Some((vec![first.clone()], rest)),
            _ => None,
        }
    }

    /// Whether the scope of `module` has this name, or has globs that may bring it.
    fn may_know(&self, module: &ModulePath, name: &str) -> bool {
        self.modules.get(module).is_some_and(|module| {
            let scope = &module.scope;
            // `use serde_json;` stands for itself.
            let imported = scope.imports.get(name).is_some_and(|path| path[0] != name);
            scope.items.contains(name) || scope.children.contains(name) || imported || !scope.globs.is_empty()
        })
    }
}

/// The largest groups of files that depend on each other in a cycle.
pub(super) fn cycles<'a>(dependencies: &Dependencies<'a>) -> Vec<Vec<&'a str>> {
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        dependencies.keys().map(|file| (*file, reachable_from(file, dependencies))).collect();
    let leads = |from: &str, to: &str| reachable.get(from).is_some_and(|files| files.contains(to));
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for file in dependencies.keys().filter(|file| leads(file, file)) {
        if !groups.iter().any(|group| group.contains(file)) {
            let group = dependencies.keys().filter(|other| leads(file, other) && leads(other, file));
            groups.push(group.copied().collect());
        }
    }
    groups
}

fn reachable_from<'a>(file: &str, dependencies: &Dependencies<'a>) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(next) = open.pop() {
        for target in dependencies.get(next).into_iter().flatten() {
            if found.insert(*target) {
                open.push(target);
            }
        }
    }
    found
}

/// The message about a group of [`cycles`]: each file with its dependencies inside of the group.
pub(super) fn describe(cycle: &[&str], dependencies: &Dependencies<'_>) -> String {
    let mut text = format!("{} files depend on each other:", cycle.len());
    for file in cycle {
        let targets: Vec<_> = dependencies[file].iter().copied().filter(|target| cycle.contains(target)).collect();
        text.push_str(&format!("\n  {file} -> {}", targets.join(", ")));
    }
    text
}

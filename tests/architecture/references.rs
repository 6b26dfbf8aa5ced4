//! The items that a file declares and the paths that it uses, read with syn. Items and statements for tests only are
//! left out, and so are the paths of visibilities, such as that of `pub(in crate::http)`.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// The names in the scope of a module.
#[derive(Default)]
pub(super) struct Scope {
    /// Items that the module defines.
    pub(super) items: BTreeSet<String>,
    /// Child modules.
    pub(super) children: BTreeSet<String>,
    /// Names imported by `use`, with the paths that they stand for.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// Paths of glob imports.
    pub(super) globs: Vec<Vec<String>>,
    /// Names of `imports` that are re-exported: they count only where they are used.
    pub(super) reexports: BTreeSet<String>,
    /// Paths in the module's code, `use` in functions included.
    pub(super) paths: Vec<Vec<String>>,
}

/// A module of a file: the file itself, or an inline module.
pub(super) struct ParsedModule {
    /// The path from the file's module.
    pub(super) path: Vec<String>,
    pub(super) scope: Scope,
}

/// The modules of a file.
#[derive(Default)]
pub(super) struct ParsedFile {
    pub(super) modules: Vec<ParsedModule>,
    /// Paths, from the file's module, of child modules for tests only.
    pub(super) test_modules: Vec<Vec<String>>,
}

/// Reads the text of a file. The error has the position where the text is not Rust.
pub(super) fn parse(text: &str) -> syn::Result<ParsedFile> {
    let parsed = syn::parse_file(text)?;
    let mut file = ParsedFile::default();
    if is_test(&parsed.attrs) {
        file.test_modules.push(Vec::new());
    }
    file.read_module(Vec::new(), &parsed.items);
    Ok(file)
}

impl ParsedFile {
    fn read_module(&mut self, path: Vec<String>, items: &[Item]) {
        let mut scope = Scope::default();
        let mut collector = PathCollector::default();
        for item in items {
            let is_test = attributes(item).is_some_and(is_test);
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let child: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
                    if is_test {
                        self.test_modules.push(child);
                        continue;
                    }
                    scope.children.insert(name);
                    if let Some((_, items)) = &module.content {
                        self.read_module(child, items);
                    }
                }
                _ if is_test => {}
                Item::Use(item) => {
                    let is_private = matches!(item.vis, syn::Visibility::Inherited);
                    scope.import(Vec::new(), &item.tree, !is_private);
                }
                other => {
                    scope.items.extend(item_name(other));
                    collector.visit_item(other);
                }
            }
        }
        scope.paths = collector.paths;
        self.modules.push(ParsedModule { path, scope });
    }
}

impl Scope {
    fn import(&mut self, mut prefix: Vec<String>, tree: &UseTree, reexport: bool) {
        let mut add = |name: String, path: Vec<String>| {
            if reexport {
                self.reexports.insert(name.clone());
            }
            self.imports.insert(name, path);
        };
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(prefix, &path.tree, reexport);
            }
            UseTree::Name(last) if last.ident == "self" => add(prefix.last().cloned().unwrap_or_default(), prefix),
            UseTree::Name(last) => {
                prefix.push(last.ident.to_string());
                add(last.ident.to_string(), prefix);
            }
            UseTree::Rename(last) => {
                if last.ident != "self" {
                    prefix.push(last.ident.to_string());
                }
                // Several traits may be imported as `_`.
                let name =
                    if last.rename == "_" { format!("_ {}", prefix.join("::")) } else { last.rename.to_string() };
                add(name, prefix);
            }
            UseTree::Glob(_) => self.globs.push(prefix),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(prefix.clone(), tree, reexport)),
        }
    }
}

/// Collects the paths of an item.
#[derive(Default)]
struct PathCollector {
    paths: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for PathCollector {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut scope = Scope::default();
        scope.import(Vec::new(), &item.tree, false);
        self.paths.extend(scope.imports.into_values());
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        collect_paths(call.tokens.clone(), &mut self.paths);
        visit::visit_macro(self, call);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).is_some_and(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let for_tests = matches!(item, syn::ImplItem::Fn(item) if is_test(&item.attrs));
        if !for_tests {
            visit::visit_impl_item(self, item);
        }
    }
}

/// Collects what has the form of a path in the tokens of a macro: names separated by `::`.
fn collect_paths(tokens: TokenStream, paths: &mut Vec<Vec<String>>) {
    let (mut path, mut colons) = (Vec::new(), 0);
    for token in tokens {
        match token {
            TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
            TokenTree::Ident(name) => {
                if colons != 2 {
                    paths.push(std::mem::take(&mut path));
                }
                path.push(name.to_string());
                colons = 0;
            }
            other => {
                paths.push(std::mem::take(&mut path));
                colons = 0;
                if let TokenTree::Group(group) = other {
                    collect_paths(group.stream(), paths);
                }
            }
        }
    }
    paths.push(path);
    paths.retain(|path| !path.is_empty());
}

/// Whether these attributes make an item for tests only: `#[test]`, `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => requires_test(list.tokens.clone()),
        _ => attribute.path().is_ident("test"),
    })
}

fn requires_test(condition: TokenStream) -> bool {
    let mut tokens = condition.into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(name)), None) => name == "test",
        (Some(TokenTree::Ident(name)), Some(TokenTree::Group(group))) if name == "all" => {
            group.stream().into_iter().any(|token| matches!(token, TokenTree::Ident(name) if name == "test"))
        }
        _ => false,
    }
}

fn attributes(item: &Item) -> Option<&[Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

fn item_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

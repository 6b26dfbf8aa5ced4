//! Checks the dependencies against `deny.toml`: licences, sources, banned crates, and crates in several versions. It
//! reads `Cargo.lock` and the packages that Cargo has fetched for the build, without network access.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, ParseMode};

/// `deny.toml`, in the form of cargo-deny.
#[derive(Deserialize)]
struct Policy {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// The output of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Clone, Deserialize)]
struct Package {
    name: String,
    version: String,
    /// None for packages of this repository.
    source: Option<String>,
    license: Option<String>,
}

fn policy() -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All packages that are built for `target`, tests included.
fn packages(target: &str) -> Vec<Package> {
    let arguments = ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", target];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    metadata.packages
}

/// The violations of `policy` by these packages.
fn objections(policy: &Policy, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let Package { name, version, source, license } = package;
        versions.entry(name).or_default().insert(version);
        if let Some(what) = license_objection(&policy.licenses, license.as_deref()) {
            found.push(format!("{name} {version}: {what}"));
        }
        let registry = source.as_deref().map(|source| source.strip_prefix("registry+").unwrap_or(source));
        if registry.is_some_and(|registry| !policy.sources.allow_registry.iter().any(|allowed| allowed == registry)) {
            found.push(format!("{name} {version}: comes from {source:?}"));
        }
        if let Some(banned) = policy.bans.deny.iter().find(|banned| banned.name == *name) {
            found.push(format!("{name} {version}: {}", banned.reason));
        }
    }
    let skipped = |name: &str| policy.bans.skip.iter().any(|skip| skip.name == name);
    for (name, versions) in &versions {
        if versions.len() > 1 && !skipped(name) {
            found.push(format!("{name} is there in the versions {versions:?}"));
        }
    }
    for skip in &policy.bans.skip {
        if versions.get(&*skip.name).is_none_or(|versions| versions.len() < 2) {
            found.push(format!("{}: there is one version at most, and nothing to skip ({})", skip.name, skip.reason));
        }
    }
    found
}

/// The violation by a licence; none if it is allowed.
fn license_objection(allowed: &Licenses, license: Option<&str>) -> Option<String> {
    let Some(license) = license else { return Some("has no licence".to_owned()) };
    // Older packages write a slash for "or".
    let parsed = Expression::parse_mode(license, ParseMode::LAX);
    let Ok(expression) = parsed else { return Some(format!("an unreadable licence: {license}")) };
    let enough = expression.evaluate(|requirement| allowed.allow.contains(&requirement.to_string()));
    (!enough).then(|| format!("{license} is not among the allowed licences"))
}

#[test]
fn dependencies_keep_the_policy() {
    let policy = policy();
    for target in &policy.graph.targets {
        let packages = packages(target);
        assert!(packages.len() > 100, "{} packages", packages.len());
        let found = objections(&policy, &packages);
        assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    }
}

#[test]
fn each_kind_of_violation_is_reported() {
    let mut policy = policy();
    policy.bans.skip.clear();
    let registry = format!("registry+{}", policy.sources.allow_registry[0]);
    let package = |name: &str, version: &str, source: Option<&str>, license: Option<&str>| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        source: source.map(str::to_owned),
        license: license.map(str::to_owned),
    };
    let good = package("good", "1.0.0", Some(&registry), Some("MIT/Apache-2.0"));
    assert_eq!(objections(&policy, &[good.clone(), package("own", "1.0.0", None, Some("MIT"))]), [""; 0]);
    for (bad, what) in [
        (package("a", "1.0.0", Some(&registry), None), "a 1.0.0: has no licence"),
        (package("a", "1.0.0", Some(&registry), Some("GPL-3.0-only")), "a 1.0.0: GPL-3.0-only is not"),
        (package("a", "1.0.0", Some(&registry), Some("MIT AND GPL-3.0-only")), "a 1.0.0: MIT AND GPL-3.0-only is not"),
        (package("a", "1.0.0", Some("git+https://example.org/a"), Some("MIT")), "a 1.0.0: comes from"),
        (package("openssl-sys", "1.0.0", Some(&registry), Some("MIT")), "openssl-sys 1.0.0: rustls"),
        (package("good", "2.0.0", Some(&registry), Some("MIT")), "good is there in the versions"),
    ] {
        let found = objections(&policy, &[good.clone(), bad]);
        assert!(found.len() == 1 && found[0].starts_with(what), "{what}: {found:?}");
    }
    policy.bans.skip.push(Named { name: "good".to_owned(), reason: "no longer".to_owned() });
    assert_eq!(objections(&policy, &[good]).len(), 1, "a skip that is needed no longer");
}

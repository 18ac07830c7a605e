//! Where a new project takes steadfast from. The first of these that says something:
//!
//! 1. `--steadfast-path DIR`, a checkout;
//! 2. `$STEADFAST_SOURCE`, a checkout;
//! 3. the checkout that this program lies in, such as `target/release/steadfast` of one;
//!
//! There is no fourth, such as a registry, until steadfast is in one: what does not build is not made.

use std::path::{Path, PathBuf};

use crate::problem::{Code, Problem};

/// Where from: a checkout, in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source(pub(crate) PathBuf);

impl Source {
    /// As the rule above says.
    ///
    /// # Errors
    /// [`Code::NotFound`] if what was named is no checkout, or nothing was named and there is none around.
    pub(crate) fn choose(flag: Option<&Path>) -> Result<Self, Problem> {
        let variable = std::env::var_os("STEADFAST_SOURCE").filter(|value| !value.is_empty());
        let variable = variable.map(PathBuf::from);
        let program = std::env::current_exe().ok();
        Self::among(flag, variable.as_deref(), program.as_deref())
    }

    fn among(
        flag: Option<&Path>,
        variable: Option<&Path>,
        program: Option<&Path>,
    ) -> Result<Self, Problem> {
        let named = flag
            .map(|dir| ("--steadfast-path", dir))
            .or_else(|| variable.map(|dir| ("$STEADFAST_SOURCE", dir)));
        if let Some((by, dir)) = named {
            return checkout(dir).map(Self).ok_or_else(|| {
                let detail = format!("{by}: {} is no checkout of steadfast", dir.display());
                Problem::new(Code::NotFound, detail)
                    .hint("steadfast new service NAME --steadfast-path CHECKOUT")
            });
        }
        let mut around = program.into_iter().flat_map(Path::ancestors).skip(1);
        around.find_map(checkout).map(Self).ok_or_else(|| {
            let detail = "no checkout of steadfast: this program does not lie in one, and steadfast is in no \
                 registry yet; name one with --steadfast-path or $STEADFAST_SOURCE";
            Problem::new(Code::NotFound, detail)
                .hint("steadfast new service NAME --steadfast-path CHECKOUT")
        })
    }

    /// The line of the manifest.
    pub(super) fn dependency(&self) -> String {
        // A basic string of TOML has the escapes of JSON.
        let path = self.0.join("runtime").to_string_lossy().into_owned();
        format!("steadfast = {{ path = {} }}", serde_json::Value::from(path))
    }

    /// The lock file of the checkout.
    pub(super) fn lock(&self) -> Result<String, Problem> {
        let path = self.0.join("Cargo.lock");
        std::fs::read_to_string(&path).map_err(|error| {
            Problem::new(Code::Failed, format!("{}: {error}", path.display()))
                .hint("cargo generate-lockfile")
        })
    }
}

/// The directory in full, if the library's sources are in it.
fn checkout(dir: &Path) -> Option<PathBuf> {
    let manifest = std::fs::read_to_string(dir.join("runtime/Cargo.toml")).ok()?;
    let is_ours = manifest
        .lines()
        .any(|line| line.trim() == "name = \"steadfast\"");
    if is_ours {
        dir.canonicalize().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_checkout() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("runtime")).unwrap();
        std::fs::create_dir_all(dir.path().join("target/debug")).unwrap();
        let manifest = "[package]\nname = \"steadfast\"\n";
        std::fs::write(dir.path().join("runtime/Cargo.toml"), manifest).unwrap();
        dir
    }

    #[test]
    fn the_flag_goes_before_the_variable_and_that_before_the_place_of_the_program() {
        let (flag, variable, around) = (make_checkout(), make_checkout(), make_checkout());
        let program = around.path().join("target/debug/steadfast");
        let chosen = |flag: Option<&Path>, variable: Option<&Path>, program: &Path| {
            Source::among(flag, variable, Some(program)).unwrap()
        };
        let is = |dir: &tempfile::TempDir| Source(dir.path().canonicalize().unwrap());
        let (f, v) = (Some(flag.path()), Some(variable.path()));
        assert_eq!(chosen(f, v, &program), is(&flag));
        assert_eq!(chosen(None, v, &program), is(&variable));
        assert_eq!(chosen(None, None, &program), is(&around));
    }

    #[test]
    fn a_program_that_lies_in_no_checkout_asks_for_one() {
        let refused = Source::among(None, None, Some(Path::new("/usr/bin/steadfast"))).unwrap_err();
        assert_eq!(refused.code, Code::NotFound);
        assert!(
            refused.to_json().to_string().contains("--steadfast-path"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_named_has_to_be_a_checkout() {
        let empty = tempfile::tempdir().unwrap();
        let refused = Source::among(Some(empty.path()), None, None).unwrap_err();
        assert_eq!(refused.code, Code::NotFound);
        assert!(refused.detail.contains("--steadfast-path"), "{refused}");
    }
}

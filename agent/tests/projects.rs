//! `steadfast new`: what it writes, and what it refuses. That the project builds and passes its tests is
//! `scripts/new-service.sh`, since it takes a build.

use std::fs;
use std::path::Path;

use crate::support::{Done, Site, fingerprint};

fn new(site: &Site, arguments: &[&str]) -> Done {
    let mut command = site.program();
    command.current_dir(site.path("")).args(["new", "service"]);
    Done::from(command.args(arguments).output().unwrap())
}

fn checkout() -> String {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR"));
    agent.parent().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_service_is_written_whole_and_under_its_name() {
    let site = Site::new();
    let done = new(&site, &["my-shop", "--steadfast-path", &checkout()]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stderr.contains("next: cd my-shop && cargo test"),
        "{}",
        done.stderr
    );
    let dir = site.path("my-shop");
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"my-shop\""), "{manifest}");
    assert!(
        manifest.contains(&format!("path = \"{}/runtime\"", checkout())),
        "{manifest}"
    );
    assert_eq!(
        fs::read(dir.join("Cargo.lock")).unwrap(),
        fs::read(Path::new(&checkout()).join("Cargo.lock")).unwrap()
    );
    for (path, _, content) in fingerprint(&dir) {
        let text = String::from_utf8(content).unwrap();
        let left = ["new_service", "new-service", "@STEADFAST@"];
        let is_lock = path.ends_with("Cargo.lock");
        assert!(
            is_lock || !left.iter().any(|word| text.contains(word)),
            "{}",
            path.display()
        );
    }
    let main = fs::read_to_string(dir.join("src/main.rs")).unwrap();
    assert!(main.contains("my_shop::node("), "{main}");
    let beside: Vec<_> = fs::read_dir(site.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("my-shop"))
        .collect();
    assert_eq!(beside, ["my-shop"], "nothing else is left");
}

#[test]
fn nothing_is_overwritten() {
    let site = Site::new();
    fs::create_dir(site.path("empty")).unwrap();
    fs::write(site.path("file"), "mine").unwrap();
    for place in ["empty", "file"] {
        let done = new(
            &site,
            &["shop", "--path", place, "--steadfast-path", &checkout()],
        );
        assert_eq!(done.code, Some(6), "{}", done.stderr);
        assert!(done.stderr.contains("exists already"), "{}", done.stderr);
    }
    assert_eq!(fs::read_dir(site.path("empty")).unwrap().count(), 0);
    assert_eq!(fs::read(site.path("file")).unwrap(), b"mine");
}

#[test]
fn bad_names_and_sources_are_refused_before_anything_is_written() {
    let site = Site::new();
    for name in ["fn", "Shop", "../shop", "test", "steadfast"] {
        let done = new(&site, &[name]);
        assert_eq!(done.code, Some(2), "{name}: {}", done.stderr);
    }
    let done = new(&site, &["shop", "--steadfast-path", "/nonexistent"]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(!site.path("shop").exists());
}

#[test]
fn the_environment_names_a_checkout_too() {
    let site = Site::new();
    let mut command = site.program();
    command
        .current_dir(site.path(""))
        .env("STEADFAST_SOURCE", checkout());
    command.args([
        "new",
        "service",
        "shop",
        "-o",
        "json",
        "--path",
        "deep/er/shop",
    ]);
    let done = Done::from(command.output().unwrap());
    let made: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(made["steadfast"], checkout());
    assert!(site.path("deep/er/shop/src/lib.rs").exists());
}

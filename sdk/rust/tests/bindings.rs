//! The committed bindings are exactly what `wit/` yields. `SLUICE_BLESS=1 cargo test -p sluice-sdk --test bindings` writes them anew.
//! The only place that runs the generator: it must never become a dependency of a plugin.

use std::path::{Path, PathBuf};

use wit_bindgen_core::wit_parser::{Resolve, UnresolvedPackageGroup};
use wit_bindgen_core::{Files, WorldGenerator};

/// In the order in which they use each other.
const PACKAGES: [&str; 4] = ["host@1.0.0", "task@1.0.0", "llm@1.0.0", "plugin@1.0.0"];

/// The widest world: all bindings. A component imports of it only what its code calls.
const WORLD: &str = "everything";
/// What a component exports, of which only the macros are taken: they export from the bindings of the widest.
const EXPORTS: [(&str, &str); 3] =
    [("trusted-task", "export_tasks"), ("trusted-poller", "export_triggers"), ("provider", "export_providers")];

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn generate(world: &str, export_macro: &str) -> String {
    let mut resolve = Resolve::default();
    let mut plugin_package = None;
    for package in PACKAGES {
        let folder = workspace_root().join("wit").join(package);
        let group = UnresolvedPackageGroup::parse_dir(&folder).expect("wit/ parses");
        plugin_package = Some(resolve.push_group(group).expect("packages come in order of use"));
    }
    let world =
        resolve.select_world(&[plugin_package.expect("there are packages")], Some(world)).expect("the world exists");

    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        export_macro_name: Some(export_macro.to_owned()),
        default_bindings_module: Some("::sluice_sdk::bindings".to_owned()),
        runtime_path: Some("::wit_bindgen::rt".to_owned()),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).expect("the generator knows every construct in wit/");
    let (_, contents) = files.iter().next().expect("one file of bindings");
    String::from_utf8(contents.to_vec()).expect("bindings are text")
}

/// The macro that exports a world, out of the bindings of that world.
fn export_macro(bindings: &str, name: &str) -> String {
    let from = bindings.find("#[allow(unused_macros)]\n#[doc(hidden)]\n#[macro_export]").expect("there is a macro");
    let end = format!("_impl as {name};\n");
    let upto = bindings.find(&end).expect("it has a name") + end.len();
    bindings.get(from..upto).expect("the name comes behind the macro").to_owned()
}

#[test]
fn committed_bindings_are_what_wit_yields() {
    let bindings = generate(WORLD, "export_everything");
    let exports: Vec<String> = EXPORTS.iter().map(|(world, name)| export_macro(&generate(world, name), name)).collect();
    for (file, fresh) in [("src/bindings.rs", bindings), ("src/exports.rs", exports.join("\n"))] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("SLUICE_BLESS").is_some() {
            std::fs::write(&path, &fresh).expect("bindings can be written");
        }
        let committed = std::fs::read_to_string(&path).expect("bindings are committed");
        assert!(
            committed == fresh,
            "`wit/` changed: run `SLUICE_BLESS=1 cargo test -p sluice-sdk --test bindings` and commit"
        );
    }
}

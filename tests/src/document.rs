//! Flows that others wrote for documents, as they stand but for the addresses of whom they ask: `SLUICE_DOCS_FLOWS` names their folder. Without it nothing
//! is tested, and it says so.
#![expect(clippy::print_stdout, reason = "a test that is not run says so")]

/// A flow of the documents with other words in it.
pub fn document(name: &str, changes: &[(&str, String)]) -> Option<String> {
    let Some(folder) = std::env::var_os("SLUICE_DOCS_FLOWS") else {
        println!("not run: SLUICE_DOCS_FLOWS names no folder with flows");
        return None;
    };
    let path = std::path::Path::new(&folder).join(name);
    let mut source = std::fs::read_to_string(path).expect("the flow is there");
    for (from, to) in changes {
        assert!(source.contains(from), "`{from}` is in {name}");
        source = source.replace(from, to);
    }
    Some(source)
}

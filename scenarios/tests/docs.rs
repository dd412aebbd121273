//! The documentation of a tutorial's module is what its stages say.

#[test]
fn the_module_documentation_is_up_to_date() {
    for document in scenarios::DOCUMENTS {
        let file = format!("{}/{}", env!("CARGO_MANIFEST_DIR"), document.page());
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        let generated = scenarios::markdown(document);
        assert!(written == generated, "{file} is out of date: `cargo run -q -- markdown {} > {file}`", document.id);
    }
}

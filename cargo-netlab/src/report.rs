//! `cargo netlab report`: all evidence that tests have left, as one page for a browser.
//!
//! The page needs nothing beside itself: pictures and files are in it, so that it can be sent or kept as an artifact of CI. It runs no script,
//! and forbids the browser to run one or to fetch anything.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::evidence::{self, Head};

/// Files above this size are linked only.
const EMBEDDED: u64 = 1024 * 1024;
const NAME: &str = "report.html";
const STYLE: &str = include_str!("report.css");

pub(crate) fn main(folder: Option<&Path>, output: Option<&Path>) -> ExitCode {
    match make(folder, output) {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("cargo-netlab: {e}");
            ExitCode::FAILURE
        }
    }
}

fn make(folder: Option<&Path>, output: Option<&Path>) -> Result<String, String> {
    let base = folder.map_or_else(evidence::base, |folder| Ok(folder.to_owned()))?;
    if folder.is_some() && !base.is_dir() {
        return Err(format!("{} is no folder", base.display()));
    }
    let folders = evidence::folders(&base).map_err(|e| format!("cannot look into {}: {e}", base.display()))?;
    let tests: Vec<_> = folders.iter().filter_map(|folder| Test::read(folder)).collect();
    let file = output.map_or_else(|| base.join(NAME), Path::to_owned);
    if tests.is_empty() && output.is_none() && !file.exists() {
        return Ok(format!("No evidence is in {}: no test has failed.", base.display()));
    }
    // Links to files lead from the page's folder.
    let home = file.parent().filter(|home| !home.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let home = home.canonicalize().map_err(|e| format!("cannot write to {}: {e}", home.display()))?;
    fs::write(&file, page(&tests, &home)).map_err(|e| format!("cannot write to {}: {e}", file.display()))?;
    let failed = tests.iter().filter(|test| test.head.failed).count();
    Ok(format!("{} of {} with evidence failed: {}", failed, counted(tests.len()), file.display()))
}

fn counted(tests: usize) -> String {
    format!("{tests} test{}", if tests == 1 { "" } else { "s" })
}

/// The evidence of one test.
struct Test {
    folder: PathBuf,
    head: Head,
    /// In the order in which somebody reads them.
    files: Vec<PathBuf>,
}

impl Test {
    fn read(folder: &Path) -> Option<Self> {
        let state = fs::read(folder.join(evidence::STATE)).ok()?;
        let head = Head::read(&String::from_utf8_lossy(&state))?;
        let list = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
        let mut files: Vec<_> = list(folder).into_iter().chain(list(&folder.join("logs"))).filter(|path| path.is_file()).collect();
        files.sort();
        Some(Self { folder: folder.canonicalize().ok()?, head, files })
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read(self.folder.join(name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn page(tests: &[Test], home: &Path) -> String {
    let failed = tests.iter().filter(|test| test.head.failed).count();
    let title = format!("{failed} of {} with evidence failed", counted(tests.len()));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>netlab: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<table>\n<tr><th>Test<th>Place<th>What went wrong\n"
    );
    for (number, test) in tests.iter().enumerate() {
        let Head { test: name, place, error, failed, .. } = &test.head;
        let first =
            if *failed { error.lines().next().unwrap_or("it failed without an error of netlab's") } else { "passed; kept as asked" };
        let (name, place, first) = (escaped(name), escaped(place), escaped(first));
        writeln!(page, "<tr><td><a href=\"#t{number}\">{name}</a><td>{place}<td>{first}").unwrap_or_default();
    }
    page.push_str("</table>\n");
    tests.iter().enumerate().for_each(|(number, test)| section(&mut page, number, test, home));
    page + "</body>\n</html>\n"
}

fn section(page: &mut String, number: usize, test: &Test, home: &Path) {
    let Head { test: name, failed, place, error, notes } = &test.head;
    let (class, word) = if *failed { ("failed", "failed") } else { ("passed", "passed") };
    let (name, place) = (escaped(name), escaped(place));
    let mut add = |text: String| page.push_str(&text);
    add(format!("<section id=\"t{number}\">\n<h2><span class=\"{class}\">{word}</span> {name}</h2>\n<p>{place}\n"));
    if !error.is_empty() {
        add(format!("<pre class=\"error\">{}</pre>\n", escaped(error)));
    }
    if let Some(why) = test.text("explanation.txt") {
        add(format!("<h3>Why the probe failed</h3>\n<pre>{}</pre>\n", escaped(why.trim_end())));
    }
    if let Ok(picture) = fs::read(test.folder.join("topology.svg")) {
        // As an image: its styles are its own, and nothing in it runs.
        add(format!(
            "<h3>The lab</h3>\n<div class=\"wide\"><img alt=\"Topology of {name}\" src=\"data:image/svg+xml;base64,{}\"></div>\n",
            base64(&picture)
        ));
    }
    if let Some(sequence) = test.text("sequence.mmd") {
        add(format!("<h3>The packets, as a mermaid sequence diagram</h3>\n<pre>{}</pre>\n", escaped(sequence.trim_end())));
    }
    add(format!("<h3>Files</h3>\n<p>{}</p>\n", escaped(notes).replace('\n', "<br>")));
    test.files.iter().for_each(|file| add(entry(test, file, home)));
    add("</section>\n".to_owned());
}

/// A file: a link to it, and itself.
fn entry(test: &Test, file: &Path, home: &Path) -> String {
    let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let name = escaped(&real.strip_prefix(&test.folder).unwrap_or(&real).to_string_lossy());
    let href = escaped(&link(&real, home));
    let bytes = match fs::metadata(file) {
        Ok(about) if about.len() <= EMBEDDED => fs::read(file).unwrap_or_default(),
        _ => return format!("<p><a href=\"{href}\">{name}</a>, too large for this page\n"),
    };
    match String::from_utf8(bytes) {
        Ok(text) => format!(
            "<details><summary>{name}</summary><p><a href=\"{href}\">the file</a>\n<pre>{}</pre></details>\n",
            escaped(text.trim_end())
        ),
        Err(e) => {
            let (download, data) = (escaped(&file.file_name().unwrap_or_default().to_string_lossy()), base64(e.as_bytes()));
            format!(
                "<p><a href=\"{href}\">{name}</a>, or <a download=\"{download}\" href=\"data:application/octet-stream;base64,{data}\">from \
                 this page</a>\n"
            )
        }
    }
}

/// The address of a file, relative if it is below the page's folder.
fn link(file: &Path, home: &Path) -> String {
    let (start, path) = file.strip_prefix(home).map_or(("file://", file), |path| ("", path));
    let mut link = start.to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => link.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => link.push(char::from(*byte)),
            _ => write!(link, "%{byte:02X}").unwrap_or_default(),
        }
    }
    link
}

/// As text of an element, or as an attribute's value in quotes. Control characters that no page may have are shown as such.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            '\0'..'\x20' => safe.extend(char::from_u32(0x2400 + u32::from(c))),
            '\x7f'..'\u{a0}' => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]);
            text.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(escaped("<a href=\"x\" on='y'>&\x1b[0m\n"), "&lt;a href=&quot;x&quot; on=&#39;y&#39;&gt;&amp;\u{241b}[0m\n");
        assert_eq!(link(Path::new("/a/b \"c/ä?#.txt"), Path::new("/a")), "b%20%22c/%C3%A4%3F%23.txt");
        assert_eq!(link(Path::new("/b/c"), Path::new("/a")), "file:///b/c");
    }
}

//! `--per-test`: each test of a test binary in a machine of its own, and the summary that libtest would print.
//!
//! The one who starts the tests is itself in a machine: when it ends, however that comes, so do they.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anstyle::AnsiColor;

use crate::arguments::{self, Arguments, Wish};
use crate::exec::{self, Plan};
use crate::verdicts::{self, Outcome, Verdict};

/// libtest's.
const FAILED: u8 = 101;

/// On a line, with `--quiet`.
const DOTS: usize = 88;

/// The hidden command by which this program starts itself in the machine.
pub(crate) const INSIDE: &str = "per-test-inside";

/// Runs the tests; `None` if the program is no test binary, or is asked for something else than to run tests.
pub(crate) fn main(plan: &Plan) -> Option<ExitCode> {
    let (program, words) = plan.program.split_first()?;
    if !is_test_binary(program) {
        return None;
    }
    match arguments::read(words) {
        Wish::Answer => return None,
        Wish::Refused(why) => {
            eprintln!("cargo-netlab: {why}");
            return Some(ExitCode::from(exec::NO_MACHINE));
        }
        Wish::Run(_) => {}
    }
    let myself = match env::current_exe() {
        Ok(myself) => myself,
        Err(e) => {
            eprintln!("cargo-netlab: cannot find its own program: {e}");
            return Some(ExitCode::from(exec::NO_MACHINE));
        }
    };
    let mut inside = vec![myself.into_os_string(), INSIDE.into()];
    inside.extend(furniture(plan));
    inside.push("--".into());
    inside.extend(plan.program.iter().cloned());
    Some(exec::main(&Plan { networks: Vec::new(), link: None, program: inside }))
}

/// Not by running it, as nobody knows what another program makes of the arguments: libtest's own code has this text.
fn is_test_binary(program: &OsString) -> bool {
    const TEXT: &[u8] = b"RUST_TEST_THREADS";
    fs::read(program).is_ok_and(|bytes| bytes.windows(TEXT.len()).any(|window| window == TEXT))
}

/// The options that say what each machine has.
fn furniture(plan: &Plan) -> impl Iterator<Item = OsString> {
    let networks = plan.networks.iter().map(|name| ("--net", name));
    networks.chain(plan.link.iter().map(|name| ("--link", name))).flat_map(|(option, name)| [option.into(), OsString::from(name)])
}

/// The same in the machine.
pub(crate) fn inside(plan: &Plan) -> ExitCode {
    match Suite::new(plan).and_then(|suite| suite.run()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(e) => {
            eprintln!("cargo-netlab: cannot run the tests: {e}");
            ExitCode::from(FAILED)
        }
    }
}

struct Suite<'a> {
    plan: &'a Plan,
    arguments: Arguments,
    myself: OsString,
    tests: Vec<String>,
    filtered_out: usize,
}

/// What has come of the tests so far.
#[derive(Default)]
struct Tally {
    passed: Vec<(String, String)>,
    failed: Vec<(String, String)>,
    ignored: usize,
    dots: usize,
}

impl<'a> Suite<'a> {
    fn new(plan: &'a Plan) -> io::Result<Self> {
        let words = plan.program.get(1..).unwrap_or_default();
        let Wish::Run(arguments) = arguments::read(words) else { return Err(io::Error::other("there is nothing to run")) };
        let tests = list(plan, &arguments.choice)?;
        let filtered_out = if arguments.choice.is_empty() { 0 } else { list(plan, &[])?.len().saturating_sub(tests.len()) };
        Ok(Self { plan, arguments, myself: env::current_exe()?.into_os_string(), tests, filtered_out })
    }

    /// False if a test failed.
    fn run(&self) -> io::Result<bool> {
        let began = Instant::now();
        let count = self.tests.len();
        writeln!(anstream::stdout(), "\nrunning {count} test{}", if count == 1 { "" } else { "s" })?;
        let waiting = Mutex::new(self.tests.iter().collect::<VecDeque<_>>());
        let tally = Mutex::new(Tally::default());
        let work = || {
            while let Some(name) = lock(&waiting).pop_front() {
                let outcome = self.test(name);
                self.tell(&mut lock(&tally), name, outcome)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads()).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked"))))
        })?;
        let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.summary(&tally, began)?;
        Ok(tally.failed.is_empty())
    }

    fn threads(&self) -> usize {
        let variable = || env::var("RUST_TEST_THREADS").ok()?.parse().ok();
        let wanted = self.arguments.threads.or_else(variable);
        let cores = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
        wanted.unwrap_or_else(cores).min(self.tests.len())
    }

    /// One test in its machine.
    fn test(&self, name: &str) -> Outcome {
        let mut command = Command::new(&self.myself);
        command.arg("exec").args(furniture(self.plan)).arg("--").args(&self.plan.program[..1]);
        command.args([name, "--exact", "--color=never"]).args(&self.arguments.each);
        command.stdin(Stdio::null());
        let stderr = if self.arguments.nocapture { Stdio::inherit() } else { Stdio::piped() };
        let output = command.stdout(Stdio::piped()).stderr(stderr).spawn().and_then(std::process::Child::wait_with_output);
        let failed = |printed: String| Outcome { verdict: Verdict::Failed, title: name.to_owned(), words: "FAILED".to_owned(), printed };
        match output {
            Err(e) => failed(format!("cargo-netlab: cannot start the test: {e}\n")),
            Ok(output) => {
                let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                match verdicts::read(name, &stdout) {
                    Some(outcome) if outcome.verdict == Verdict::Failed || output.status.success() => {
                        Outcome { printed: outcome.printed + &stderr, ..outcome }
                    }
                    _ => failed(format!(
                        "{stdout}{stderr}cargo-netlab: the test's process ended with {}, without a word of how the test came out\n",
                        output.status
                    )),
                }
            }
        }
    }

    fn tell(&self, tally: &mut Tally, name: &str, outcome: Outcome) -> io::Result<()> {
        let (colour, dot) = match outcome.verdict {
            Verdict::Ok => (AnsiColor::Green, "."),
            Verdict::Ignored => (AnsiColor::Yellow, "i"),
            Verdict::Failed => (AnsiColor::Red, "F"),
        };
        let style = colour.on_default();
        let mut out = anstream::stdout().lock();
        if self.arguments.nocapture {
            write!(out, "{}", outcome.printed)?;
        }
        if self.arguments.quiet {
            tally.dots += 1;
            write!(out, "{style}{dot}{style:#}")?;
            if tally.dots.is_multiple_of(DOTS) {
                writeln!(out, " {}/{}", tally.dots, self.tests.len())?;
            }
        } else {
            writeln!(out, "test {} ... {style}{}{style:#}", outcome.title, outcome.words)?;
        }
        out.flush()?;
        let printed = if self.arguments.nocapture { String::new() } else { outcome.printed };
        match outcome.verdict {
            Verdict::Ok => tally.passed.push((name.to_owned(), printed)),
            Verdict::Ignored => tally.ignored += 1,
            Verdict::Failed => tally.failed.push((name.to_owned(), printed)),
        }
        Ok(())
    }

    fn summary(&self, tally: &Tally, began: Instant) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        if self.arguments.each.iter().any(|word| word == "--show-output") {
            section(&mut out, "successes", &tally.passed)?;
        }
        if !tally.failed.is_empty() {
            section(&mut out, "failures", &tally.failed)?;
        }
        let (word, colour) = if tally.failed.is_empty() { ("ok", AnsiColor::Green) } else { ("FAILED", AnsiColor::Red) };
        let (style, seconds) = (colour.on_default(), began.elapsed().as_secs_f64());
        let (passed, failed, ignored, filtered_out) = (tally.passed.len(), tally.failed.len(), tally.ignored, self.filtered_out);
        write!(out, "\ntest result: {style}{word}{style:#}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; ")?;
        writeln!(out, "{filtered_out} filtered out; finished in {seconds:.2}s\n")
    }
}

/// What tests printed, and then their names.
fn section(out: &mut impl Write, title: &str, tests: &[(String, String)]) -> io::Result<()> {
    let mut tests: Vec<_> = tests.iter().collect();
    tests.sort();
    writeln!(out, "\n{title}:")?;
    for (name, printed) in tests.iter().filter(|(_, printed)| !printed.is_empty()) {
        writeln!(out, "\n---- {name} stdout ----\n{printed}")?;
    }
    writeln!(out, "\n{title}:")?;
    tests.iter().try_for_each(|(name, _)| writeln!(out, "    {name}"))
}

/// The names of the tests that are chosen.
fn list(plan: &Plan, choice: &[OsString]) -> io::Result<Vec<String>> {
    let output = Command::new(&plan.program[0]).args(choice).args(["--list", "--format", "terse"]).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("its list of tests: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr))));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let name = |line: &str| line.strip_suffix(": test").or_else(|| line.strip_suffix(": benchmark")).map(str::to_owned);
    Ok(text.lines().filter_map(name).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

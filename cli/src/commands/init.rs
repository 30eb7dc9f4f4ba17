//! `pyproc init`: creates a project that builds and runs. The main item is [`run`].

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::console::{note, stdout};
use crate::failure::Failure;

/// Whether `actix-pyproc` is in the registry. As long as it is not, projects depend on a checkout.
const PUBLISHED: bool = false;

/// The checkout that this program was built from.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The files of the project. `{{name}}` and `{{source}}` are replaced.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("init/Cargo.toml.in")),
    ("src/main.rs", include_str!("init/main.rs.in")),
    ("worker.py", include_str!("init/worker.py")),
    ("requirements.txt", include_str!("init/requirements.txt")),
    (".gitignore", include_str!("init/gitignore")),
    ("README.md", include_str!("init/README.md.in")),
];

/// Names that the package cannot have: those of its dependencies, and those that cargo rejects.
const TAKEN: [&str; 9] =
    ["actix-pyproc", "actix", "serde", "tracing-subscriber", "test", "core", "std", "alloc", "proc-macro"];

/// Keeps the project out of the workspace around it.
const OWN_WORKSPACE: &str = "
# Keeps this package out of the workspace around it. To make it a member, list it there and remove
# this section.
[workspace]
";

/// Create a project in a new or empty directory: a Rust program that calls a Python function
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of the project
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The name of the package [default: the name of the directory]
    #[arg(long, value_name = "NAME", value_parser = checked_name)]
    name: Option<String>,
    /// Depend on a local checkout of actix-pyproc [default: the one that pyproc was built from,
    /// until a version is published]
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let dir = std::path::absolute(&args.dir)?;
    check_empty(&dir, &args.dir)?;
    let name = args.name.clone().unwrap_or_else(|| package_name(dir.file_name().unwrap_or_default()));
    let source = match &args.path {
        Some(path) => in_checkout(path)?,
        None if PUBLISHED => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
        None => unpublished(Path::new(CHECKOUT))?,
    };
    let fill = |text: &str| text.replace("{{name}}", &name).replace("{{source}}", &source);
    fs::create_dir_all(dir.join("src")).map_err(|error| unwritable(&dir, &error))?;
    for (file, template) in FILES {
        let path = dir.join(file);
        let mut text = fill(template);
        if file == "Cargo.toml" && is_in_workspace(&dir) {
            text.push_str(OWN_WORKSPACE);
        }
        fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
    }
    let files: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
    note(format_args!("created {} in {}; next:", files.join(", "), args.dir.display()));
    let next = format!("cd {}\ncargo run\n", shell_word(&args.dir));
    stdout().write_all(next.as_bytes())?;
    Ok(())
}

fn check_empty(dir: &Path, as_written: &Path) -> Result<(), Failure> {
    let refuse = |what: &str| Err(Failure::Usage(format!("{} {what}", as_written.display())));
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            Some(_) => refuse("is not empty; nothing was written"),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => refuse("is not a directory"),
        Err(error) => refuse(&format!("cannot be read: {error}")),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Io(io::Error::new(error.kind(), format!("failed to write {}: {error}", path.display())))
}

/// The source of the dependency in Cargo.toml: a checkout.
fn in_checkout(path: &Path) -> Result<String, Failure> {
    let absolute = fs::canonicalize(path)
        .map_err(|error| Failure::Usage(format!("failed to find {}: {error}", path.display())))?;
    if !absolute.join("Cargo.toml").is_file() {
        return Err(Failure::Usage(format!("{} has no Cargo.toml", path.display())));
    }
    let Some(text) = absolute.to_str() else {
        return Err(Failure::Usage(format!("{} is not UTF-8", path.display())));
    };
    // JSON writes strings as TOML does.
    Ok(format!("path = {}", serde_json::Value::from(text)))
}

/// As [`in_checkout`], for the checkout that this program was built from.
fn unpublished(checkout: &Path) -> Result<String, Failure> {
    let checkout = std::path::absolute(checkout).unwrap_or_else(|_| checkout.to_owned());
    let manifest = fs::read_to_string(checkout.join("Cargo.toml")).unwrap_or_default();
    if !manifest.lines().any(|line| line == "name = \"actix-pyproc\"") {
        return Err(Failure::Usage(format!(
            "actix-pyproc is not published yet, and {}, which this pyproc was built from, is not a checkout of it; \
             --path CHECKOUT names one",
            checkout.display()
        )));
    }
    let source = in_checkout(&checkout)?;
    note(format_args!(
        "actix-pyproc is not published yet: the project depends on the checkout that this pyproc was built from, {}",
        fs::canonicalize(&checkout)?.display()
    ));
    Ok(source)
}

/// Whether cargo would expect the project to be a member of a workspace.
fn is_in_workspace(dir: &Path) -> bool {
    dir.ancestors().skip(1).any(|ancestor| {
        let manifest = fs::read_to_string(ancestor.join("Cargo.toml")).unwrap_or_default();
        manifest.lines().any(|line| line.trim_start().starts_with("[workspace"))
    })
}

/// A valid package name that is close to the name of the directory.
fn package_name(dir: &OsStr) -> String {
    let mut name: String = (dir.to_string_lossy().chars())
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    name = name.trim_matches('-').to_owned();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, if name.is_empty() { "pyproc-app" } else { "app-" });
    }
    if checked_name(&name).is_err() {
        name.push_str("-app");
    }
    name
}

fn checked_name(name: &str) -> Result<String, &'static str> {
    let fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(fit) {
        return Err("a package name has only ASCII letters, digits, - and _, and starts with a letter");
    }
    if TAKEN.contains(&name.replace('_', "-").as_str()) {
        return Err("the name is taken by a package that the project depends on");
    }
    Ok(name.to_owned())
}

/// Quotes a path so that a shell takes it as one word.
fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    match text.as_ref() {
        text if text.starts_with('-') => format!("-- {text}"),
        text if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        text => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::{package_name, shell_word, unpublished};
    use crate::failure::Failure;

    #[test]
    fn checkout_that_is_gone_is_an_error_that_says_what_to_do() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        for path in [directory.path(), Path::new("/is/nowhere")] {
            let Err(Failure::Usage(message)) = unpublished(path) else { panic!("there is no checkout") };
            assert!(
                message.contains("not published yet") && message.contains("--path CHECKOUT"),
                "{message}"
            );
        }
    }

    #[test]
    fn name_of_the_directory_becomes_one_that_cargo_takes() {
        for (dir, expected) in [
            ("demo", "demo"),
            ("My Demo!", "My-Demo"),
            ("3d", "app-3d"),
            ("...", "pyproc-app"),
            ("", "pyproc-app"),
            ("_x", "app-_x"),
            ("actix-pyproc", "actix-pyproc-app"),
            ("actix_pyproc", "actix_pyproc-app"),
            ("übung", "bung"),
        ] {
            assert_eq!(package_name(OsStr::new(dir)), expected, "{dir}");
        }
    }

    #[test]
    fn what_is_to_be_typed_is_one_word_for_the_shell() {
        for (path, expected) in
            [("a/b-c.d", "a/b-c.d"), ("my demo", "'my demo'"), ("it's", r"'it'\''s'"), ("-x", "-- -x")]
        {
            assert_eq!(shell_word(Path::new(path)), expected);
        }
    }
}

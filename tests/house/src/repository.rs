//! The text of a repository's files, from the disk or from memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// The files of a repository that the checks read: path from its root, with `/`, and text.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    files: BTreeMap<String, String>,
}

impl Repository {
    /// Reads the repository whose root is `root`.
    ///
    /// Build directories, hidden ones (except `.ci`) and files that are not text are left out.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        read_folder(root, "", &mut files)?;
        Ok(Self { files })
    }

    /// Makes a repository of `files`, each with its path and its text.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
        Self { files }
    }

    /// Returns the text of the file at `path`.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Returns all files in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Returns the folders with the sources of the crates: the library's, the facade's, the
    /// benches' and the one of these checks.
    pub fn crates(&self) -> Vec<String> {
        let roots = self.files.keys().filter_map(|path| {
            path.strip_suffix("/lib.rs").or_else(|| path.strip_suffix("/main.rs"))
        });
        let is_checked = |folder: &&str| match folder.split('/').collect::<Vec<_>>()[..] {
            ["src"] | ["benches", _, "src"] | ["tests", "house", "src"] => true,
            [name, "src"] => name.starts_with("veltix"),
            _ => false,
        };
        let mut folders: Vec<_> = roots.filter(is_checked).map(str::to_owned).collect();
        folders.dedup();
        folders
    }

    /// Returns the files below `folder`.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| {
            path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, String>,
) -> io::Result<()> {
    // Cargo marks each build directory with this file.
    if folder.join("CACHEDIR.TAG").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let skipped = (name.starts_with('.') && name != ".ci") || name == "target";
            if !skipped {
                read_folder(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if kind.is_file()
            && is_read(&path)
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.insert(path, text);
        }
    }
    Ok(())
}

/// Returns whether a check reads the file at `path`.
fn is_read(path: &str) -> bool {
    let is_script = path.starts_with(".ci/");
    is_script || [".rs", ".md", ".toml", ".sh", ".py"].iter().any(|end| path.ends_with(end))
}

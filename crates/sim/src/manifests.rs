//! Manifests from files and folders, with every error named by file and place.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// An object of a manifest and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The file.
    pub file: PathBuf,
    /// Which document of the file, counting from 1.
    pub document: usize,
    /// The object; items of a `List` are objects of their own.
    pub object: Value,
}

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The file.
    pub file: PathBuf,
    /// The field, or empty if the file as a whole is wrong.
    pub field: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ManifestError {}

/// Reads all YAML and JSON documents below some paths, folders in the order of their names.
///
/// # Errors
/// Every file that cannot be read, every document that is no object of Kubernetes.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Manifest>, Vec<ManifestError>> {
    let (mut manifests, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        match files_below(path) {
            Ok(files) => {
                for file in files {
                    read_file(&file, &mut manifests, &mut errors);
                }
            }
            Err(error) => errors.push(whole(path, format!("cannot be read: {error}"))),
        }
    }
    if manifests.is_empty() && errors.is_empty() {
        let path = paths.first().cloned().unwrap_or_default();
        errors.push(whole(&path, "no manifests there; name a file or a folder with .yaml, .yml or .json".to_owned()));
    }
    if errors.is_empty() { Ok(manifests) } else { Err(errors) }
}

/// Reads the documents of one text.
///
/// # Errors
/// As [`load`].
pub fn parse(file: &Path, text: &str) -> Result<Vec<Manifest>, Vec<ManifestError>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| vec![whole(file, format!("is no valid YAML: {}", error.to_string().trim()))])?;
    let (mut manifests, mut errors) = (Vec::new(), Vec::new());
    for (index, document) in documents.into_iter().enumerate() {
        unfold(file, index + 1, document, (&mut manifests, &mut errors));
    }
    if errors.is_empty() { Ok(manifests) } else { Err(errors) }
}

fn files_below(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            files.extend(files_below(&entry)?);
        } else if entry.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
            files.push(entry);
        }
    }
    Ok(files)
}

fn read_file(file: &Path, manifests: &mut Vec<Manifest>, errors: &mut Vec<ManifestError>) {
    match std::fs::read_to_string(file) {
        Err(error) => errors.push(whole(file, format!("cannot be read: {error}"))),
        Ok(text) => match parse(file, &text) {
            Ok(found) => manifests.extend(found),
            Err(found) => errors.extend(found),
        },
    }
}

fn unfold(
    file: &Path,
    document: usize,
    object: Value,
    (manifests, errors): (&mut Vec<Manifest>, &mut Vec<ManifestError>),
) {
    if object.is_null() {
        return;
    }
    if object["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) && object["items"].is_array() {
        for item in object["items"].as_array().into_iter().flatten() {
            unfold(file, document, item.clone(), (manifests, errors));
        }
        return;
    }
    let mut missing = ["/apiVersion", "/kind", "/metadata/name"]
        .into_iter()
        .filter(|pointer| object.pointer(pointer).and_then(Value::as_str).is_none_or(str::is_empty))
        .peekable();
    if missing.peek().is_none() {
        manifests.push(Manifest { file: file.to_owned(), document, object });
        return;
    }
    for pointer in missing {
        errors.push(ManifestError {
            file: file.to_owned(),
            field: pointer.trim_start_matches('/').replace('/', "."),
            message: format!("is missing in document {document}; every Kubernetes object has it"),
        });
    }
}

fn whole(file: &Path, message: String) -> ManifestError {
    ManifestError { file: file.to_owned(), field: String::new(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, Vec<String>> {
        parse(Path::new("x.yaml"), text)
            .map(|all| all.iter().map(|m| m.object["metadata"]["name"].as_str().unwrap_or("").to_owned()).collect())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn documents_and_lists_become_objects() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n- {apiVersion: v1, kind: B, metadata: {name: b}}\n---\n# nothing\n---\napiVersion: v1\nkind: C\nmetadata: {name: c}\n";
        assert_eq!(names(text), Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn every_error_names_file_and_field() {
        let errors = names("kind: A\n---\napiVersion: v1\nkind: B\nmetadata: {}\n").expect_err("both are wrong");
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(errors[0].starts_with("x.yaml: apiVersion: "), "{errors:?}");
        assert!(errors[2].starts_with("x.yaml: metadata.name: "), "{errors:?}");
        assert!(names("a: [1").expect_err("no YAML")[0].contains("is no valid YAML"));
    }
}

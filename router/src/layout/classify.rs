//! The rules about names, as pure functions: what a directory is, told by its name, its place and its
//! neighbours.

use std::ffi::OsStr;
use std::path::Path;

/// Which build tools' files a directory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildFiles(u8);

impl BuildFiles {
    /// `pom.xml`.
    pub const MAVEN: Self = Self(1);
    /// A Gradle script; large builds name them after the module, not `build.gradle`.
    pub const GRADLE: Self = Self(1 << 1);
    /// `build.xml`.
    pub const ANT: Self = Self(1 << 2);
    /// `.classpath`.
    pub const ECLIPSE: Self = Self(1 << 3);
    /// `build.sbt`.
    pub const SBT: Self = Self(1 << 4);
    /// The top of a Bazel workspace. `BUILD` files do not count: they lie in every package.
    pub const BAZEL: Self = Self(1 << 5);

    /// What the file called `name` tells.
    #[must_use]
    pub fn of_file(name: &str) -> Self {
        match name {
            "pom.xml" => Self::MAVEN,
            "build.xml" => Self::ANT,
            ".classpath" => Self::ECLIPSE,
            "build.sbt" => Self::SBT,
            "WORKSPACE" | "WORKSPACE.bazel" | "MODULE.bazel" => Self::BAZEL,
            _ if name.ends_with(".gradle") || name.ends_with(".gradle.kts") => Self::GRADLE,
            _ => Self::default(),
        }
    }

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any tool of `other` is here.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no build file is here.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Whether a directory is a source root.
///
/// `path` is the directory, of which the last three names count; `has_module_info` tells whether it holds
/// `module-info.java`, and `beside` which build files lie next to it.
#[must_use]
pub fn is_source_root(path: &Path, has_module_info: bool, beside: BuildFiles) -> bool {
    if has_module_info {
        return true;
    }
    let mut names = path.iter().rev().map(|name| name.to_str().unwrap_or_default());
    let [name, parent, above] = std::array::from_fn(|_| names.next().unwrap_or_default());
    match name {
        "src" => {
            beside.has(BuildFiles::ANT.union(BuildFiles::ECLIPSE))
                && !beside.has(BuildFiles::MAVEN.union(BuildFiles::GRADLE))
        }
        "classes" => {
            matches!(parent, "share" | "unix" | "linux" | "windows" | "macosx" | "aix")
                && is_module_name(above)
        }
        // `src/main/java`; never `src/java/…`, where `java` would be the top of package names.
        _ => above == "src" && !parent.is_empty() && is_java_set(name),
    }
}

/// `java`, or `java` and a release, as multi-release projects name the sources of one release.
fn is_java_set(name: &str) -> bool {
    name.strip_prefix("java").is_some_and(|release| release.bytes().all(|b| b.is_ascii_digit()))
}

fn is_module_name(name: &str) -> bool {
    !name.is_empty()
        && name.split('.').all(|word| {
            !word.starts_with(|c: char| c.is_ascii_digit())
                && !word.is_empty()
                && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
        })
}

/// Whether a directory outside every source root is the output of a build, by its name and the build files
/// next to it.
///
/// | name     | beside                      |
/// |----------|-----------------------------|
/// | `target` | any build file              |
/// | `out`    | any build file              |
/// | `bin`    | any build file              |
/// | `build`  | Gradle's, Ant's, Eclipse's  |
/// | `dist`   | Ant's                       |
///
/// Beside a `pom.xml`, `build` and `dist` are ordinary modules more often than output. The caller must make
/// one exception that needs a look inside: a directory that holds a build file itself is a project.
#[must_use]
pub fn is_build_output(name: &str, beside: BuildFiles) -> bool {
    match name {
        "target" | "out" | "bin" => !beside.is_empty(),
        "build" => beside.has(BuildFiles::GRADLE.union(BuildFiles::ANT).union(BuildFiles::ECLIPSE)),
        "dist" => beside.has(BuildFiles::ANT),
        _ => false,
    }
}

/// Whether a symbolic link is one of those that Bazel leaves beside its workspace file (`bazel-bin`).
#[must_use]
pub fn is_bazel_link(name: &str, beside: BuildFiles) -> bool {
    beside.has(BuildFiles::BAZEL) && name.starts_with("bazel-")
}

/// Whether a file's extension is exactly `java`.
#[must_use]
pub fn is_java_file(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "java")
}

/// Whether a name begins with a dot. No package can, and files that do are left behind by editors and
/// archivers (`.#A.java`, `._A.java`).
#[must_use]
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(path: &str, beside: BuildFiles) -> bool {
        is_source_root(Path::new(path), false, beside)
    }

    const NONE: BuildFiles = BuildFiles(0);

    #[test]
    fn source_roots_by_name() {
        assert!(root("/p/src/main/java", NONE));
        assert!(root("src/integrationTest/java", NONE));
        assert!(root("/p/src/main/java11", NONE));
        assert!(root("/jdk/src/java.base/share/classes", NONE));
        assert!(root("/jdk/src/jdk.jlink/macosx/classes", NONE));
        assert!(is_source_root(Path::new("/anything"), true, NONE));
        for no in ["/", "java", "main/java", "/src/java", "/p/src/main/javascript", "/p/src/main", "/p/src"] {
            assert!(!root(no, NONE), "{no}");
        }
        for no in ["share/classes", "/jdk/java..base/share/classes", "/jdk/1a/share/classes", "/m/x/classes"]
        {
            assert!(!root(no, NONE), "{no}");
        }
    }

    #[test]
    fn plain_src_needs_ant_or_eclipse_alone() {
        assert!(root("/p/src", BuildFiles::ANT));
        assert!(root("/p/src", BuildFiles::ECLIPSE));
        assert!(!root("/p/src", BuildFiles::ECLIPSE.union(BuildFiles::MAVEN)));
        assert!(!root("/p/src", BuildFiles::ANT.union(BuildFiles::GRADLE)));
        assert!(!root("/p/source", BuildFiles::ANT));
    }

    #[test]
    fn build_files_by_name() {
        assert_eq!(BuildFiles::of_file("pom.xml"), BuildFiles::MAVEN);
        assert_eq!(BuildFiles::of_file("settings.gradle.kts"), BuildFiles::GRADLE);
        assert_eq!(BuildFiles::of_file("spring-core.gradle"), BuildFiles::GRADLE);
        assert_eq!(BuildFiles::of_file("BUILD"), NONE);
        assert_eq!(BuildFiles::of_file("gradle"), NONE);
    }

    #[test]
    fn output_only_beside_a_build_file() {
        for name in ["target", "out", "bin", "build", "dist", "classes"] {
            assert!(!is_build_output(name, NONE), "{name}");
        }
        assert!(is_build_output("target", BuildFiles::MAVEN));
        assert!(is_build_output("build", BuildFiles::GRADLE));
        assert!(is_build_output("dist", BuildFiles::ANT));
        assert!(!is_build_output("dist", BuildFiles::MAVEN));
        assert!(!is_build_output("build", BuildFiles::MAVEN));
        assert!(!is_build_output("Target", BuildFiles::MAVEN));
    }

    #[test]
    fn java_files_by_extension() {
        assert!(is_java_file(OsStr::new("A.java")));
        assert!(is_java_file(OsStr::new("a.b.java")));
        for no in [".java", "A.JAVA", "A.java~", "java", "A.javax", "A."] {
            assert!(!is_java_file(OsStr::new(no)), "{no}");
        }
        assert!(is_hidden(OsStr::new(".git")));
        assert!(!is_hidden(OsStr::new("git")));
    }
}

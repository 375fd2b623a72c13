//! Opens files below a folder, on Unix, without a race between check and use: a checked path may be
//! replaced by a link before it is opened. So the kernel opens the path and refuses one that leaves the folder.
//!
//! - Linux 5.6 and newer: `openat2` with `RESOLVE_BENEATH` follows links as long as they stay below.
//! - That refuses links to absolute paths, and those that leave the folder and come back, wherever they end. For them
//!   the real path is computed, which may be outdated when it is used, and opened without following any link.
//! - Elsewhere, and where a sandbox forbids `openat2`: the real path too, opened name by name with `O_NOFOLLOW`.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

/// Opens `relative` below `folder`.
pub(super) fn open(folder: &Path, relative: &Path) -> io::Result<File> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match kernel::open(folder, relative) {
        // The call is missing: an old kernel, or a sandbox that forbids it (some return EPERM).
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        result => return Ok(result?.into()),
    }
    Ok(walk(folder, &real_path(folder, relative)?)?.into())
}

/// Opens `path`, wherever its links lead.
pub(super) fn open_anywhere(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(FILE.bits()).open(path)
}

pub(super) fn read_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    file.read_at(bytes, position)
}

#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
pub(super) fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    Some((metadata.dev(), metadata.ino()))
}

/// The real path of a file, relative to the folder. It may be outdated when it is returned.
fn real_path(folder: &Path, relative: &Path) -> Result<PathBuf, Errno> {
    let real = folder.join(relative).canonicalize().map_err(errno_of)?;
    real.strip_prefix(folder).map(Path::to_path_buf).map_err(|_| Errno::EXDEV)
}

fn errno_of(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw)
}

/// Opens name by name, following no link on the whole way from the root of the file system.
fn walk(folder: &Path, relative: &Path) -> Result<OwnedFd, Errno> {
    let mut way = openat(AT_FDCWD, "/", FOLDER, Mode::empty())?;
    for name in names_of(folder) {
        way = openat(&way, name, FOLDER | OFlag::O_NOFOLLOW, Mode::empty())?;
    }
    let mut names = names_of(relative).peekable();
    while let Some(name) = names.next() {
        let flags = if names.peek().is_some() { FOLDER } else { FILE };
        way = openat(&way, name, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    }
    Ok(way)
}

fn names_of(path: &Path) -> impl Iterator<Item = &Path> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Path::new(name)),
        // A real path has only the root among these, where the walk starts.
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
    })
}

/// Flags to open a file for reading. Without O_NONBLOCK, opening a FIFO waits for a writer; with O_NOCTTY, a terminal
/// does not become the controlling one.
const FILE: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);
/// Flags to open a folder on the path: it need not be readable where the system has O_PATH.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

#[cfg(any(target_os = "linux", target_os = "android"))]
mod kernel {
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use nix::errno::Errno;
    use nix::fcntl::{AT_FDCWD, OpenHow, ResolveFlag, openat2};

    use super::{FILE, FOLDER, real_path};

    pub(super) fn open(folder: &Path, relative: &Path) -> Result<OwnedFd, Errno> {
        // The folder's path had no links when it was chosen. If it has one now, the folder was replaced.
        let how = OpenHow::new().flags(FOLDER).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
        let way = openat2(AT_FDCWD, folder, how)?;
        let beneath = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let open = |path: &Path, resolve| openat2(&way, path, OpenHow::new().flags(FILE).resolve(resolve));
        for _ in 0..ATTEMPTS {
            match open(relative, beneath) {
                // Something was renamed while a link led upwards.
                Err(Errno::EAGAIN) => {}
                Err(Errno::EXDEV) => {
                    let guess = real_path(folder, relative)?;
                    return open(&guess, beneath | ResolveFlag::RESOLVE_NO_SYMLINKS);
                }
                result => return result,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// How often to try again: a process that keeps renaming must not block a thread for long.
    const ATTEMPTS: usize = 16;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A folder with something to serve in it and something secret beside it, removed at the end.
    struct Scene(PathBuf);

    impl Scene {
        fn new(name: &str) -> Self {
            let outer = std::env::temp_dir().canonicalize().unwrap();
            let outer = outer.join(format!("ferrows-{name}-{}", std::process::id()));
            for folder in ["public/real", "outside"] {
                std::fs::create_dir_all(outer.join(folder)).unwrap();
            }
            std::fs::write(outer.join("public/real/file"), "public").unwrap();
            std::fs::write(outer.join("outside/file"), "secret").unwrap();
            Self(outer)
        }

        fn folder(&self) -> PathBuf {
            self.0.join("public")
        }

        fn link(&self, target: impl AsRef<Path>, name: &str) {
            symlink(target, self.folder().join(name)).unwrap();
        }

        /// The results of both ways to open.
        fn read(&self, path: &str) -> [Result<String, Errno>; 2] {
            let folder = self.folder();
            let by_walk = real_path(&folder, Path::new(path)).and_then(|real| walk(&folder, &real));
            let by_any = open(&folder, Path::new(path)).map_err(errno_of);
            [by_any, by_walk.map(File::from)].map(|file| {
                let mut text = String::new();
                file?.read_to_string(&mut text).map_err(errno_of)?;
                Ok(text)
            })
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_are_followed_as_long_as_they_stay_beneath() {
        let scene = Scene::new("links");
        scene.link("real", "relative");
        scene.link(scene.folder().join("real"), "absolute");
        scene.link("../public/real", "back");
        scene.link("real/file", "same");
        for path in ["real/file", "relative/file", "absolute/file", "back/file", "same"] {
            let public = || Ok("public".to_owned());
            assert_eq!(scene.read(path), [public(), public()], "{path}");
        }
    }

    #[test]
    fn what_lies_elsewhere_is_refused() {
        let scene = Scene::new("elsewhere");
        scene.link("../outside", "relative");
        scene.link(scene.0.join("outside"), "absolute");
        scene.link("../outside/file", "same");
        scene.link("loop", "loop");
        scene.link("/proc/self/root", "magic");
        for path in ["relative/file", "absolute/file", "same", "magic/etc/hostname"] {
            assert_eq!(scene.read(path), [const { Err(Errno::EXDEV) }; 2], "{path}");
        }
        assert_eq!(scene.read("loop"), [const { Err(Errno::ELOOP) }; 2]);
        assert_eq!(scene.read("none"), [const { Err(Errno::ENOENT) }; 2]);
        assert_eq!(scene.read("real/file/x"), [const { Err(Errno::ENOTDIR) }; 2]);
    }

    #[test]
    fn a_folder_that_became_a_link_is_not_followed() {
        let scene = Scene::new("root");
        std::fs::rename(scene.folder(), scene.0.join("moved")).unwrap();
        symlink("outside", scene.folder()).unwrap();
        for result in scene.read("file") {
            assert!(matches!(result, Err(Errno::ELOOP | Errno::ENOTDIR | Errno::EXDEV)), "{result:?}");
        }
    }

    #[test]
    fn replacing_a_folder_by_a_link_does_not_leave_the_folder() {
        let scene = Scene::new("race");
        let (folder, done) = (scene.folder(), AtomicBool::new(false));
        scene.link("../outside", "link");
        std::fs::rename(folder.join("real"), folder.join("way")).unwrap();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let rename = |from: &str, to: &str| std::fs::rename(folder.join(from), folder.join(to));
                while !done.load(Ordering::Relaxed) {
                    rename("way", "real").and_then(|()| rename("link", "way")).unwrap();
                    rename("way", "link").and_then(|()| rename("real", "way")).unwrap();
                }
            });
            let mut public = 0;
            for _ in 0..20_000 {
                for text in scene.read("way/file").into_iter().flatten() {
                    assert_eq!(text, "public");
                    public += 1;
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(public > 0, "the folder was there now and then");
        });
    }
}

use super::*;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of this test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("gateway-watch-{}-{next}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn watch(paths: &[&Path]) -> Watched {
    Watched::new(look_at(paths.iter().copied()))
}

/// One round.
fn look(watched: &mut Watched) -> bool {
    let now = look_at(watched.paths());
    watched.see(now)
}

#[test]
fn a_change_is_told_once_and_only_when_it_was_seen_twice() {
    let folder = Folder::new();
    let secret = folder.file("secret", "one");
    let mut watched = watch(&[&secret]);
    assert!(!look(&mut watched));
    folder.file("secret", "two");
    assert!(!look(&mut watched), "it may not be done");
    assert!(look(&mut watched));
    assert!(!look(&mut watched) && !look(&mut watched));
}

#[test]
fn while_one_file_after_another_is_exchanged_nothing_is_told() {
    let folder = Folder::new();
    let (first, second) = (folder.file("first", "one"), folder.file("second", "one"));
    let mut watched = watch(&[&first, &second]);
    folder.file("first", "two");
    assert!(!look(&mut watched));
    folder.file("second", "two");
    assert!(!look(&mut watched));
    assert!(look(&mut watched));
}

#[test]
fn the_same_content_written_again_is_no_change() {
    let folder = Folder::new();
    let secret = folder.file("secret", "one");
    let mut watched = watch(&[&secret]);
    for _ in 0..3 {
        fs::remove_file(&secret).unwrap();
        folder.file("secret", "one");
        assert!(!look(&mut watched));
    }
}

#[test]
fn a_file_that_is_missing_for_a_moment_is_no_change() {
    let folder = Folder::new();
    let secret = folder.file("secret", "one");
    let mut watched = watch(&[&secret]);
    fs::remove_file(&secret).unwrap();
    assert!(!look(&mut watched));
    folder.file("secret", "one");
    assert!(!look(&mut watched) && !look(&mut watched));
}

#[test]
fn a_file_that_stays_away_is_told_and_so_is_its_return() {
    let folder = Folder::new();
    let secret = folder.file("secret", "one");
    let mut watched = watch(&[&secret]);
    fs::remove_file(&secret).unwrap();
    assert!(!look(&mut watched) && look(&mut watched));
    folder.file("secret", "one");
    assert!(!look(&mut watched) && look(&mut watched));
}

/// As Kubernetes does it: `secret` points to `..data/secret`, and `..data` is renamed over.
#[cfg(unix)]
#[test]
fn a_symlink_that_is_turned_round_is_a_change() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    for (version, content) in [("..v1", "one"), ("..v2", "two"), ("..v3", "two")] {
        fs::create_dir(folder.0.join(version)).unwrap();
        folder.file(&format!("{version}/secret"), content);
    }
    let turn_to = |version: &str| {
        symlink(version, folder.0.join("..data_tmp")).unwrap();
        fs::rename(folder.0.join("..data_tmp"), folder.0.join("..data")).unwrap();
    };
    turn_to("..v1");
    let secret = folder.0.join("secret");
    symlink("..data/secret", &secret).unwrap();
    let mut watched = watch(&[&secret]);
    turn_to("..v2");
    assert!(!look(&mut watched) && look(&mut watched));
    turn_to("..v3");
    assert!(!look(&mut watched) && !look(&mut watched), "the same content in another place");
}

#[test]
fn what_a_refused_configuration_was_made_of_is_looked_at_too() {
    let folder = Folder::new();
    let (running, wrong) = (folder.file("running", "one"), folder.file("wrong", "one"));
    let mut watched = watch(&[&running]);
    watched.refused(look_at([wrong.as_path()]));
    assert!(!look(&mut watched) && !look(&mut watched));
    folder.file("wrong", "mended");
    assert!(!look(&mut watched) && look(&mut watched));
}

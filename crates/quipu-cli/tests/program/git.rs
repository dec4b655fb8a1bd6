//! `import git`.

use std::collections::HashSet;
use std::process::Command;

use super::Bench;

impl Bench {
    /// Runs git in a folder, as nobody in particular; what it prints.
    pub(super) fn git(&self, folder: &str, args: &[&str]) -> Vec<u8> {
        let mut git = Command::new("git");
        git.current_dir(self.path(folder)).args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.org",
        ]);
        git.args([
            "-c",
            "commit.gpgsign=false",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null");
        let output = git.output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    pub(super) fn repository(&self, name: &str, init: &[&str]) {
        std::fs::create_dir(self.path(name)).unwrap();
        self.git(name, &[&["init", "-q"], init].concat());
    }

    pub(super) fn commit(&self, repo: &str, message: &str) {
        self.git(repo, &["commit", "-q", "--allow-empty", "-m", message]);
    }

    fn ids(&self, repo: &str) -> Vec<String> {
        let ids = self.git(repo, &["rev-list", "HEAD"]);
        String::from_utf8(ids)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// A repository with a branch that was merged.
    pub(super) fn merged(&self, name: &str, init: &[&str]) {
        self.repository(name, init);
        self.commit(name, "one");
        self.commit(name, "two");
        self.git(name, &["checkout", "-q", "-b", "side", "HEAD~1"]);
        self.commit(name, "side one");
        self.commit(name, "side two");
        self.git(name, &["checkout", "-q", "main"]);
        self.commit(name, "three");
        self.git(name, &["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    }

    /// The archive holds the repository's commits, each as git has it, parents first.
    pub(super) fn assert_imported(&self, repo: &str, archive: &str) {
        let items = self.json(&["range", archive]);
        let mut seen = HashSet::new();
        for (ordinal, item) in items.iter().enumerate() {
            let key = item["key"].as_str().unwrap().to_owned();
            let raw = self.git(repo, &["cat-file", "commit", &key]);
            assert_eq!(item["index"], ordinal);
            assert_eq!(self.run(&["get", archive, &ordinal.to_string()]).out, raw);
            assert_eq!(self.run(&["get", archive, "--key", &key]).out, raw);
            let text = String::from_utf8(raw).unwrap();
            let parents = text
                .lines()
                .take_while(|line| !line.is_empty())
                .filter_map(|line| line.strip_prefix("parent "));
            for parent in parents {
                assert!(seen.contains(parent), "{key} stands before its parent");
            }
            seen.insert(key);
        }
        assert_eq!(seen, self.ids(repo).into_iter().collect());
    }
}

#[test]
fn a_history_with_a_merge() {
    let bench = Bench::new();
    bench.merged("repo", &[]);
    assert_eq!(
        bench.text(&["import", "git", "repo", "archive"]),
        "added 6 commits to archive, as 0 to 5\n"
    );
    bench.assert_imported("repo", "archive");
}

#[test]
fn a_second_run_adds_only_what_is_new() {
    let bench = Bench::new();
    bench.merged("repo", &[]);
    bench.text(&["import", "git", "repo", "archive"]);
    let before = bench.json(&["range", "archive"]);
    assert_eq!(
        bench.text(&["import", "git", "repo", "archive"]),
        "nothing new: archive holds, or held, all 6 commits\n"
    );
    // The new commits come before old ones in the order of the new HEAD.
    bench.git("repo", &["checkout", "-q", "-b", "late", "HEAD~2"]);
    bench.commit("repo", "late");
    bench.git("repo", &["checkout", "-q", "main"]);
    bench.git("repo", &["merge", "-q", "--no-ff", "-m", "again", "late"]);
    let imported = &bench.json(&["import", "git", "repo", "archive"])[0];
    assert_eq!(
        (&imported["added"], &imported["skipped"], &imported["first"]),
        (&2.into(), &6.into(), &6.into())
    );
    assert_eq!(bench.json(&["range", "archive", "0..6"]), before);
    bench.assert_imported("repo", "archive");
}

#[test]
fn repositories_of_sha256_bare_and_shallow() {
    let bench = Bench::new();
    bench.merged("sha256", &["--object-format=sha256"]);
    bench.text(&["import", "git", "sha256", "long"]);
    bench.assert_imported("sha256", "long");
    assert_eq!(bench.json(&["info", "long"])[0]["key_size"], 32);
    bench.merged("repo", &[]);
    bench.git(".", &["clone", "-q", "--bare", "repo", "bare"]);
    bench.text(&["import", "git", "bare", "archive"]);
    bench.assert_imported("bare", "archive");
    let url = format!("file://{}", bench.path("repo").display());
    bench.git(".", &["clone", "-q", "--depth", "1", &url, "shallow"]);
    assert_eq!(
        bench.json(&["import", "git", "shallow", "tip"])[0]["added"],
        1
    );
    let said = bench.fails(4, &["import", "git", "sha256", "archive"]);
    assert!(
        said.contains("20 bytes") && said.contains("32 bytes"),
        "{said}"
    );
}

#[test]
fn what_is_no_repository_and_what_is_empty() {
    let bench = Bench::new();
    bench.repository("empty", &[]);
    assert_eq!(
        bench.json(&["import", "git", "empty", "archive"])[0]["added"],
        0
    );
    std::fs::create_dir(bench.path("folder")).unwrap();
    let git_is_not_asked_above = [
        "GIT_CEILING_DIRECTORIES",
        bench.folder.path().to_str().unwrap(),
    ];
    let mut command = bench.command(&["import", "git", "folder", "other"]);
    let output = command
        .env(git_is_not_asked_above[0], git_is_not_asked_above[1])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(4) && said.contains("not a git repository"),
        "{said}"
    );
    bench.fails(4, &["import", "git", "missing", "other"]);
    assert!(!bench.path("other").exists());
    let output = bench
        .command(&["import", "git", "empty", "other"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(4) && said.contains("install it"),
        "{said}"
    );
}

#[test]
fn pruned_commits_are_not_imported_again() {
    let bench = Bench::new();
    bench.merged("repo", &[]);
    bench.text(&[
        "import",
        "git",
        "repo",
        "archive",
        "--items-per-section",
        "2",
    ]);
    bench.text(&["prune", "archive", "4"]);
    let said = bench.text(&["import", "git", "repo", "archive"]);
    assert!(said.starts_with("nothing new"), "{said}");
    bench.commit("repo", "newer");
    let said = bench.text(&["import", "git", "repo", "archive"]);
    assert!(said.starts_with("added 1 commits"), "{said}");
    bench.text(&["get", "archive", "--key", &bench.ids("repo")[0]]);
    bench.text(&["prune", "archive", "100"]);
    let said = bench.fails(4, &["import", "git", "repo", "archive"]);
    assert!(said.contains("new archive"), "{said}");
}

#[test]
fn replacements_are_not_followed() {
    let bench = Bench::new();
    bench.merged("repo", &[]);
    let ids = bench.ids("repo");
    bench.git("repo", &["replace", "--graft", "HEAD", "HEAD~2"]);
    bench.text(&["import", "git", "repo", "archive"]);
    assert_eq!(bench.json(&["range", "archive"]).len(), ids.len());
    let raw = bench.git(
        "repo",
        &["--no-replace-objects", "cat-file", "commit", &ids[0]],
    );
    assert_eq!(bench.run(&["get", "archive", "--key", &ids[0]]).out, raw);
}

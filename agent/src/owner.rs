//! Whose a data directory is. Files that another user makes in it keep its owner out: a node that root starts once, for a
//! look, would be the last that its own user could not start.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::problem::{Code, Problem};

/// Refuses a directory whose data belongs to another user than this process.
pub(crate) fn refuse_foreign(dir: &Path) -> Result<(), Problem> {
    // Where there is none, nothing is anybody's yet; what cannot be looked at is refused when it is opened.
    let Ok(mark) = dir.join("mark").symlink_metadata() else {
        return Ok(());
    };
    let (owner, own) = (mark.uid(), rustix::process::geteuid().as_raw());
    if owner == own {
        return Ok(());
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = name_of(&users, owner).unwrap_or_else(|| format!("'#{owner}'"));
    let dir = dir.display();
    let detail = format!(
        "the data in {dir} belongs to user {user}, and files that another user makes there would keep that one out: \
         start its unit, or run as that user"
    );
    let hint = format!("sudo -u {user} steadfast run --config FILE --data-dir {dir}");
    Err(Problem::new(Code::Permission, detail).hint(hint))
}

/// The name of a user in the text of `/etc/passwd`.
fn name_of(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn users_have_names() {
        let users = "root:x:0:0:root:/root:/bin/sh\nsteadfast:x:998:998::/:/usr/sbin/nologin\n";
        assert_eq!(name_of(users, 998).as_deref(), Some("steadfast"));
        assert_eq!(name_of(users, 99), None);
    }
}

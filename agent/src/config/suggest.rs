//! "Did you mean": the nearest valid name, or the list of all of them.

/// Names longer than this are not compared: no valid one is near, and comparing costs their product.
const LONGEST: usize = 64;

/// The valid name that was most likely meant by `given`.
pub(super) fn nearest<'a>(given: &str, valid: &[&'a str]) -> Option<&'a str> {
    if given.len() > LONGEST {
        return None;
    }
    let given = plain(given);
    let tolerance = given.chars().count().div_ceil(3);
    let distance = |name: &str| match plain(name) {
        name if given.len() > 2 && (name.starts_with(&given) || given.starts_with(&name)) => 1,
        name => strsim::damerau_levenshtein(&given, &name),
    };
    let near = valid.iter().map(|name| (distance(name), *name));
    near.filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, name)| name)
}

/// What to say about a name that is not among the valid ones, which are `what`, such as "keys".
pub(super) fn instead(given: &str, valid: &[&str], what: &str) -> String {
    match nearest(given, valid) {
        Some(name) => format!("did you mean `{name}`?"),
        None if valid.is_empty() => String::new(),
        None => format!("valid {what}: {}", valid.join(", ")),
    }
}

/// Case, and `-` for `_`, are slips of the pen.
fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

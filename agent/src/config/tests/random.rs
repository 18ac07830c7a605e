//! Whatever a file or a variable holds: it is read or refused with something to show, never a panic.

use proptest::prelude::*;

use super::with_variables;

/// Pieces of configurations, so that random texts get past the parser.
const PIECES: [&str; 40] = [
    "version = 1\n",
    "version = ",
    "[node]\n",
    "[http]\n",
    "[telemetry]\n",
    "[defaults]\n",
    "[concerns.a]\n",
    "[concerns.\"ä.b\"]\n",
    "[[concerns.b]]\n",
    "[notify.x]\n",
    "name",
    "data_dir",
    "labels",
    "listen",
    "log",
    "missed",
    "kind",
    "paths",
    "every",
    "older_than",
    "limits",
    "files",
    "cron",
    " = ",
    ".",
    "\n",
    "\"cleanup\"",
    "\"./x/*.log\"",
    "\"../[\"",
    "\"unix:./s\"",
    "\"127.0.0.1:1\"",
    "\"${x}\"",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "3",
    "1979-05-27",
    "\"\u{fffd}\\u0000ß\t\"",
];

fn check(text: &str, variables: &[(&str, &str)]) {
    if let Err(problems) = with_variables(text, variables) {
        let shown = [problems.render(false), problems.render(true)];
        assert!(
            shown.iter().all(|shown| shown.contains("error")),
            "{shown:?}"
        );
        let json = problems.to_json();
        assert!(json.as_array().is_some_and(|all| !all.is_empty()));
    }
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        check(&text, &[]);
        check(&format!("version = 1\n{text}"), &[]);
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        check(&pieces.concat(), &[]);
        check(&format!("version = 1\n{}", pieces.concat()), &[]);
    }

    #[test]
    fn a_cut_or_changed_sample(at in 0_usize..2_000, byte in any::<char>(), length in 0_usize..20) {
        let sample: Vec<char> = include_str!("../../../config/sample.toml").chars().collect();
        let at = at.min(sample.len());
        let rest = (at + length).min(sample.len());
        let changed: String =
            sample[..at].iter().chain(std::iter::once(&byte)).chain(&sample[rest..]).collect();
        check(&changed, &[]);
    }

    #[test]
    fn any_variable(name in "(node|http|concerns|a|__|_|-|[A-Z]){0,6}", value in any::<String>()) {
        let name = format!("STEADFAST__{name}");
        check("version = 1\n[concerns.a]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\n", &[(&name, &value)]);
    }
}

#[test]
fn large_nonsense_is_refused_in_time() {
    let long = 40_000;
    for piece in [
        "x\n", "a.", "[", "{a=", "=", "\"", "a = 1\n", "#", "[a]\n", "'''", "\\", "é",
    ] {
        check(&piece.repeat(long / piece.len()), &[]);
    }
    let section = |n| format!("[concerns.k{n}]\nx.y{n} = 1\n");
    let distinct: Vec<_> = (0..10_000).map(section).collect();
    check(&distinct.concat(), &[]);
}

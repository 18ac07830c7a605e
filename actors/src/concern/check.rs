//! `check`: the first of the two phases in which a new configuration is taken over.

use serde::{Deserialize, Serialize};
use steadfast::{Command, Handle, Live};

use super::{Concern, ConfigError, ConfigureReply, Kind, Settings};

/// `check`: whether this configuration would be taken, and whether it differs from the one that holds. A
/// query: nothing is written. The body is the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Check<C: Settings>(pub C);

// By hand, as for `Configure`.
impl<C: Settings> Command for Check<C> {
    const NAME: &'static str = "check";
    type Reply = ConfigureReply;
    type Rejection = ConfigError;
}

impl<K: Kind> Handle<Check<K::Config>> for Concern<K> {
    fn handle(
        live: &mut Live<'_, Self>,
        Check(config): Check<K::Config>,
    ) -> Result<ConfigureReply, ConfigError> {
        config.check()?;
        let changed = live.config() != Some(&config);
        Ok(ConfigureReply { changed })
    }
}

//! What a patrol asks of the world: check targets, post notifications. Both may happen twice.

use serde::{Deserialize, Serialize};
use steadfast::{Effect, EffectContext, EffectError, RetryPolicy};

use super::board::Notice;
use super::config::Notify;
use super::message::Message;
use super::probe::{Checked, Probe};
use super::web::Web;
use crate::concern::RunId;
use crate::exec::Environment;

/// `patrol.check`: asks all targets, a bounded number at a time. What goes wrong with a target is part of
/// its output and no error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// For which run.
    pub run: RunId,
    /// What is asked of each target: the configuration that the run started with.
    pub probes: Vec<Probe>,
    /// How many at a time.
    pub parallel: u32,
}

impl Effect for Check {
    const NAME: &'static str = "patrol.check";
    /// One for each probe, in their order.
    type Output = Vec<Checked>;

    async fn run(&self, cx: &EffectContext) -> Result<Vec<Checked>, EffectError> {
        let web = cx.resource::<Web>()?;
        let env = cx.resource::<Environment>().unwrap_or_default();
        Ok(web.check_all(self.probes.clone(), self.parallel, env).await)
    }
}

/// `patrol.notify`: posts one notification. Repeated until the webhook answers 2xx, or given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendNotice {
    /// Where to, and how patiently.
    pub to: Notify,
    /// About which target.
    pub target: String,
    /// Where that is, if it is still configured.
    pub url: Option<String>,
    /// What is to be said.
    pub notice: Notice,
    /// Which request for it this is: the outcome of an earlier one counts for nothing.
    #[serde(default)]
    pub issue: u32,
}

impl Effect for SendNotice {
    const NAME: &'static str = "patrol.notify";
    /// The status of the answer.
    type Output = u16;

    fn retry(&self) -> RetryPolicy {
        self.to.retry.into()
    }

    async fn run(&self, cx: &EffectContext) -> Result<u16, EffectError> {
        let web = cx.resource::<Web>()?;
        let env = cx.resource::<Environment>().unwrap_or_default();
        web.post(&self.to, Message::new(cx.id(), self), &env).await
    }
}

//! What init is executed with: it finds its first request waiting, with the command and its descriptors.

use super::held::Held;
use super::launcher::Init;
use crate::descriptor::lift;
use crate::error::At;
use crate::init::{block, socket};
use crate::launch_error::LaunchError;
use crate::policy::message;
use crate::policy::spec::TaskSpec;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Init's image.
    pub init: RawFd,
    /// What becomes init's `SOCKET`, `RECORD` and `PLUGIN_END`.
    pub descriptors: [RawFd; 3],
}

impl Command {
    /// `streams` are the command's standard descriptors, `exit` the exit record. Beside it the plugin's end of the socket pair.
    pub(super) fn plan(
        spec: &TaskSpec,
        streams: &[Arc<OwnedFd>; 3],
        exit: OwnedFd,
        init: &Init,
        held: &mut Held,
    ) -> Result<(Command, Arc<OwnedFd>), LaunchError> {
        let (plugin_end, init_end) = socket::pair()?;
        let plugin_end = Arc::new(lift(plugin_end, message::FIRST_FREE)?);
        let block = block(&spec.command)?;
        let [stdin, stdout, stderr] = streams.each_ref().map(|stream| stream.as_fd());
        let start = message::Request { kind: message::START, flags: spec.stdio.start_flags(), ..message::Request::default() };
        socket::send(plugin_end.as_fd(), &start, &[block.as_fd(), stdin, stdout, stderr]).at("send the command to init")?;
        let descriptors = [held.hold(init_end)?, held.hold(exit)?, held.hold(Arc::clone(&plugin_end))?];
        Ok((Command { init: held.hold(Arc::clone(&init.image))?, descriptors }, plugin_end))
    }
}

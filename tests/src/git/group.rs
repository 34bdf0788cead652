//! A process and all that it has started, ended together: git leaves the work to others, who would stay behind alone.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A process that leads a group of its own. Ended with this, unless it is known to have ended by itself.
pub(super) struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// Starts a command as the leader of a group.
    pub fn start(command: &mut Command) -> std::io::Result<(Child, Self)> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok((child, Self { leader }))
    }

    /// Ends them, if they have not ended.
    pub fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            // Who is gone needs no end.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    /// They have ended: their number may be somebody else's from now on.
    pub fn gone(mut self) {
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

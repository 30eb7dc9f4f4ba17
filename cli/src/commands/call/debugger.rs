//! `--pdb`: a worker that has the terminal. The main item is [`prepare`].

use std::fs::File;

use actix_pyproc::PoolConfig;
use actix_pyproc_actors::duration;

use crate::failure::Failure;

/// Configures one worker without time limits, which has the terminal.
///
/// # Errors
/// [`Failure::Usage`] if there is no terminal.
pub(super) fn prepare(config: &mut PoolConfig) -> Result<(), Failure> {
    if let Err(error) = File::options().read(true).write(true).open("/dev/tty") {
        return Err(Failure::Usage(format!("--pdb needs a terminal: failed to open /dev/tty: {error}")));
    }
    (config.workers, config.min_ready) = (1, 0);
    (config.call_timeout, config.start_timeout) = (None, duration::LONGEST);
    config.recycle = actix_pyproc::config::RecycleConfig::default();
    config.terminal = true;
    Ok(())
}

//! The terminal, which is restored on every way out. The main structure is [`Screen`].

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

/// How soon the thread that reads keys notices that the screen was dropped.
const POLL: Duration = Duration::from_millis(200);

/// A terminal in raw mode, on its alternate screen, until this is dropped. A panic restores it
/// before its message is printed.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    input: mpsc::UnboundedReceiver<io::Result<Input>>,
}

/// An event of the terminal.
pub(super) enum Input {
    Key(KeyEvent),
    /// The terminal has a new size.
    Resized,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // A failure can leave it half initialized.
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore())?;
        let (sender, input) = mpsc::unbounded_channel();
        let screen = Self { terminal, input };
        // Reading blocks, so it has a thread, which ends soon after the screen or with the process.
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while !sender.is_closed() {
                let input = match event::poll(POLL)
                    .and_then(|some| if some { event::read().map(Some) } else { Ok(None) })
                {
                    Ok(Some(Event::Key(key))) if key.kind != KeyEventKind::Release => Ok(Input::Key(key)),
                    Ok(Some(Event::Resize(..))) => Ok(Input::Resized),
                    Ok(_) => continue,
                    Err(error) => Err(error),
                };
                let failed = input.is_err();
                if sender.send(input).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw)?;
        Ok(())
    }

    /// The next event of the terminal. Cancellation safety: no event is lost.
    pub(super) async fn input(&mut self) -> io::Result<Input> {
        match self.input.recv().await {
            Some(input) => input,
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal was closed")),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

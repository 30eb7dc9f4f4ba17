//! The terminal: taken over, drawn on, and given back on every way out. The main structure is
//! [`Screen`].

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

/// How soon the thread that reads keys sees that nobody wants them any more.
const LOOK: Duration = Duration::from_millis(200);

/// A terminal in raw mode, on its alternate screen, until this is dropped. A panic gives it back
/// before it is told.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    input: mpsc::UnboundedReceiver<io::Result<Input>>,
}

/// What comes from the terminal.
pub(super) enum Input {
    Key(KeyEvent),
    /// It has another size.
    Resized,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // One that cannot be taken over wholly is given back.
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore())?;
        let (tell, input) = mpsc::unbounded_channel();
        let screen = Self { terminal, input };
        // Reading blocks. The thread ends by itself, or with the process.
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while !tell.is_closed() {
                let input = match event::poll(LOOK)
                    .and_then(|some| if some { event::read().map(Some) } else { Ok(None) })
                {
                    Ok(Some(Event::Key(key))) if key.kind != KeyEventKind::Release => Ok(Input::Key(key)),
                    Ok(Some(Event::Resize(..))) => Ok(Input::Resized),
                    Ok(_) => continue,
                    Err(error) => Err(error),
                };
                let over = input.is_err();
                if tell.send(input).is_err() || over {
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

    /// The next that comes from the terminal. Cancellation safety: nothing is lost.
    pub(super) async fn input(&mut self) -> io::Result<Input> {
        match self.input.recv().await {
            Some(input) => input,
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is gone")),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

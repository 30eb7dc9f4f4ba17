//! A progress bar that draws through the console. The main structure is [`Terminal`].

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::console::draw;

/// The length of the bar.
pub(super) const STEPS: u64 = 1000;

/// A bar of this width fits on one line of any terminal.
const WIDTH: u16 = 80;

/// Standard error as a terminal whose cursor can be moved.
#[derive(Debug)]
struct Terminal;

/// A progress bar, if standard error is a terminal.
pub(super) fn bar(label: &'static str) -> Option<ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let target = ProgressDrawTarget::term_like(Box::new(Terminal));
    let bar = ProgressBar::with_draw_target(Some(STEPS), target).with_message(label);
    let style = "{msg:<8} {bar:40} {percent:>3} %  {prefix}";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is valid"));
    Some(bar)
}

fn move_cursor(n: usize, direction: char) -> io::Result<()> {
    if n > 0 {
        draw(&format!("\x1b[{n}{direction}"));
    }
    Ok(())
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        WIDTH
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        draw(&format!("{text}\n"));
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        draw(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        draw("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

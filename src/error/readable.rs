//! `Debug` of errors as `fn main() -> Result<…>` prints it. The main item is [`readable_debug`].

use std::fmt;

use super::Exit;

/// Implements `Debug` for an error: its sentence, and then the details that `write_details` adds.
/// `{:#?}` shows the fields of its variants, which the invocation lists.
macro_rules! readable_debug {
    ($error:ident { $($variant:ident $(($value:ident))? $({ $($field:ident),+ })?),+ $(,)? }) => {
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                if !f.alternate() {
                    ::std::fmt::Display::fmt(self, f)?;
                    return self.write_details(f);
                }
                match self {
                    $(Self::$variant $(($value))? $({ $($field),+ })? => f
                        .debug_struct(stringify!($variant))
                        $(.field(stringify!($value), $value))?
                        $($(.field(stringify!($field), $field))+)?
                        .finish(),)+
                }
            }
        }
    };
}

pub(super) use readable_debug;

/// Writes a paragraph after a blank line, unless it is empty.
pub(super) fn write_paragraph(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    match text.trim_end() {
        "" => Ok(()),
        text => write!(f, "\n\n{text}"),
    }
}

/// Writes the last lines of a worker's standard error.
pub(super) fn write_stderr(f: &mut fmt::Formatter<'_>, lines: &[String]) -> fmt::Result {
    match lines {
        [] => Ok(()),
        lines => write!(f, "\n\nThe last lines of its standard error:\n{}", lines.join("\n")),
    }
}

/// Writes the stacks of a worker's threads, if it printed them.
pub(super) fn write_stacks(f: &mut fmt::Formatter<'_>, exit: &Exit) -> fmt::Result {
    match &exit.stacks {
        None => Ok(()),
        Some(stacks) => write!(f, "\n\nThe stacks of its threads:\n{}", stacks.trim_end()),
    }
}

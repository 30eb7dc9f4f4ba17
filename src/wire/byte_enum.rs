//! Enums that travel as one byte. The main item is [`byte_enum`].

/// Declares an enum together with the byte of each variant, and derives the way back from the byte.
macro_rules! byte_enum {
    (
        $(#[$attribute:meta])*
        $vis:vis enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $byte:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[repr(u8)]
        $vis enum $name {
            $($(#[$variant_attribute])* $variant = $byte,)+
        }

        impl $name {
            /// The variant of this byte.
            #[must_use]
            $vis const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use byte_enum;

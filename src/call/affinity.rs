//! Keys that route calls to the same worker. The main item is [`AffinityKey`].

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use bytes::Bytes;

/// A key for [`Call::affinity`](crate::Call::affinity): text, bytes, or an integer.
///
/// Keys are compared by their bytes, and an integer by its decimal text: `7`, `"7"` and the header
/// `X-Pyproc-Affinity: 7` are the same key. The bytes are hashed with [FNV-1a, 64
/// bits](https://datatracker.ietf.org/doc/html/draft-eastlake-fnv), which returns the same hash on
/// every platform and in every build. The trait is sealed.
pub trait AffinityKey: sealed::Sealed {}

mod sealed {
    use super::Fnv1a;

    pub trait Sealed {
        fn feed(&self, hash: &mut Fnv1a);
    }
}

impl<T: sealed::Sealed + ?Sized> AffinityKey for T {}

/// The hash of a key.
pub(super) fn hash(key: &impl AffinityKey) -> u64 {
    let mut hash = Fnv1a::default();
    key.feed(&mut hash);
    hash.0
}

/// The state of FNV-1a.
pub struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl fmt::Write for Fnv1a {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.feed(text.as_bytes());
        Ok(())
    }
}

macro_rules! bytes {
    ($($key:ty: $as_bytes:path),+ $(,)?) => {
        $(impl sealed::Sealed for $key {
            fn feed(&self, hash: &mut Fnv1a) {
                hash.feed($as_bytes(self));
            }
        })+
    };
}

bytes! {
    str: str::as_bytes,
    String: String::as_bytes,
    [u8]: std::convert::identity,
    Vec<u8>: Vec::as_slice,
    Bytes: Bytes::as_ref,
}

impl<const N: usize> sealed::Sealed for [u8; N] {
    fn feed(&self, hash: &mut Fnv1a) {
        hash.feed(self);
    }
}

impl sealed::Sealed for Cow<'_, str> {
    fn feed(&self, hash: &mut Fnv1a) {
        hash.feed(self.as_bytes());
    }
}

impl<T: sealed::Sealed + ?Sized> sealed::Sealed for &T {
    fn feed(&self, hash: &mut Fnv1a) {
        (**self).feed(hash);
    }
}

macro_rules! integers {
    ($($key:ty),+) => {
        $(impl sealed::Sealed for $key {
            fn feed(&self, hash: &mut Fnv1a) {
                write!(hash, "{self}").expect("the hash takes all text");
            }
        })+
    };
}

integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::Bytes;

    use super::hash;

    /// The vectors are from draft-eastlake-fnv, appendix C.
    #[test]
    fn the_hash_of_a_key_is_fnv_1a_on_every_platform_and_build() {
        for (key, expected) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
            ("customer 7", 0x6614_08ab_83d5_7124),
        ] {
            assert_eq!(hash(&key), expected, "{key}: {:#x}", hash(&key));
        }
    }

    #[test]
    fn a_key_is_its_bytes_and_an_integer_is_its_decimal_text() {
        let text = hash(&"-7");
        assert_eq!(hash(&String::from("-7")), text);
        assert_eq!(hash(&Cow::Borrowed("-7")), text);
        assert_eq!(hash(&b"-7"), text);
        assert_eq!(hash(&&b"-7"[..]), text);
        assert_eq!(hash(&vec![b'-', b'7']), text);
        assert_eq!(hash(&Bytes::from_static(b"-7")), text);
        assert_eq!((hash(&-7_i8), hash(&-7_i64), hash(&-7_i128)), (text, text, text));
        assert_eq!(hash(&7_u32), hash(&"7"));
        assert_ne!(hash(&7_u32), hash(&8_u32));
    }
}

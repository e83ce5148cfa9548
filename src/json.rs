//! JSON, read quicker than by what reads all of it.

use serde::Deserialize;

/// Reads all of a text, as `serde_json::from_slice` does, which looks at each string of it whether it is text.
///
/// # Errors
/// As `serde_json` says, with the place.
pub fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> serde_json::Result<T> {
    std::str::from_utf8(text).map_or_else(|_| serde_json::from_slice(text), serde_json::from_str)
}

/// How many bytes there are before the first that can't stand for itself in a string: a quotation mark, a backslash, or a control
/// character. By eight, as most of an account is text.
#[inline]
pub fn how_much_is_plain(text: &[u8]) -> usize {
    let is_plain = |byte: &&u8| **byte >= b' ' && !b"\"\\".contains(byte);
    let mut rest = text;
    while let Some((eight, behind)) = rest.split_first_chunk() {
        let found = not_plain(u64::from_le_bytes(*eight));
        if found != 0 {
            return text.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    text.len() - rest.len() + rest.iter().take_while(is_plain).count()
}

/// The highest bit of the first byte that isn't plain, and perhaps of some behind it; 0 if all are.
///
/// Source: Sean Eron Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte less than n", "... equal to n".
#[inline]
const fn not_plain(eight: u64) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    const fn less(eight: u64, than: u8) -> u64 {
        eight.wrapping_sub(EACH * than as u64) & !eight
    }
    const fn is(eight: u64, byte: u8) -> u64 {
        less(eight ^ (EACH * byte as u64), 1)
    }
    (less(eight, b' ') | is(eight, b'"') | is(eight, b'\\')) & (EACH << 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        let error = read::<Vec<String>>(b"[\"a\",\n\"\xff\"]").unwrap_err();
        assert_eq!((error.line(), error.is_syntax()), (2, true));
        assert_eq!(read::<Vec<String>>("[\"é\"]".as_bytes()).unwrap(), ["é"]);
    }

    proptest! {
        #[test]
        fn it_ends_at_the_first_byte_that_is_not_plain(text in prop::collection::vec(prop_oneof![any::<u8>(), 0x1e..0x24_u8, 0x5a..0x5f_u8, 0x80..=0xff_u8], 0..40)) {
            let plain = text.iter().take_while(|byte| **byte >= b' ' && **byte != b'"' && **byte != b'\\').count();
            prop_assert_eq!(how_much_is_plain(&text), plain);
        }
    }
}

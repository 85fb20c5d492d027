//! Fields off the front of bytes, for forms whose fields have fixed places: rows on disk and heads on the wire.

/// The next `N` bytes of `rest`, which then begins behind them; nothing, and `rest` as it was, where it has fewer.
pub fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

/// As [`take`], the next `length` bytes.
pub fn take_slice<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_one_behind_the_other() {
        let mut rest: &[u8] = &[1, 2, 3, 4, 5];
        assert_eq!(take::<2>(&mut rest), Some([1, 2]));
        assert_eq!(take_slice(&mut rest, 2), Some([3_u8, 4].as_slice()));
        assert_eq!(take::<1>(&mut rest), Some([5]));
        assert_eq!(take::<0>(&mut rest), Some([]));
        assert!(rest.is_empty());
    }

    #[test]
    fn a_field_that_is_cut_off_takes_nothing() {
        let mut rest: &[u8] = &[1, 2];
        assert_eq!(take::<3>(&mut rest), None);
        assert_eq!(take_slice(&mut rest, 3), None);
        assert_eq!(rest, [1_u8, 2]);
    }
}

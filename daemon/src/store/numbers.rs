//! Which numbers are believed, of series and of files.
//!
//! Those of series are given in order, so each one below the highest was given too. Where series are missing below, what declared
//! them is lost; where too many are, the number is made up, though a checksum vouches for it. Whoever believed it would
//! take memory for every number below.

/// So many series may have lost their declaration.
pub(super) const LOST_MAX: u32 = 1 << 22;

/// No log file or segment bears a greater number: what does is none of the store's.
pub(super) const FILE_LAST: u64 = u64::MAX >> 16;

/// The number in the name of a file of the store.
pub(super) fn of_file(name: &str) -> Option<u64> {
    u64::from_str_radix(name, 16).ok().filter(|number| *number <= FILE_LAST)
}

/// Whether a number may have been given, where so many below it are known.
pub(super) fn is_believed(number: u32, known: usize) -> bool {
    number as usize <= known.saturating_add(LOST_MAX as usize)
}

/// The first of these numbers, which ascend, that is not believed.
pub(super) fn first_made_up(numbers: impl IntoIterator<Item = u32>) -> Option<u32> {
    let made_up = |(known, number): &(usize, u32)| !is_believed(*number, *known);
    numbers.into_iter().enumerate().find(made_up).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_number_has_no_next_is_none_of_the_stores() {
        assert_eq!(of_file("00000000000000ff"), Some(255));
        assert_eq!(of_file("ffffffffffffffff"), None);
    }

    #[test]
    fn numbers_may_be_missing_but_not_without_limit() {
        assert_eq!(first_made_up([]), None);
        assert_eq!(first_made_up([7, 8, 1000, LOST_MAX + 3]), None);
        assert_eq!(first_made_up([0, LOST_MAX + 1, LOST_MAX + 3]), Some(LOST_MAX + 3));
        // Each by itself is near enough to the one before.
        let hops = (0..1000).map(|hop| hop * (LOST_MAX - 1));
        assert_eq!(first_made_up(hops.clone()), hops.clone().nth(2));
        assert_eq!(first_made_up([u32::MAX]), Some(u32::MAX));
    }
}

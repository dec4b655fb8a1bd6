//! Reading around what the disk cannot read.
//!
//! A read that fails says nothing of where in its range the bad bytes are: it is made again in halves, down to units,
//! so that a bad sector costs what is in its unit. One bad unit of n takes about 2 log n reads more.

use std::ops::Range;

use crate::error::{Error, Result};

/// Bytes of the least part of a file that is read on its own, where nothing else says how it is cut.
pub(crate) const SECTOR_BYTES: usize = 512;

/// How a read is made: appends so many bytes from an offset on.
pub(crate) type ReadInto<'a> = &'a dyn Fn(&mut Vec<u8>, u64, usize) -> Result<()>;

/// Appends `len` bytes from `offset` on to `buf`; zeros stand for those that the disk cannot read. Each such unit, or
/// the part of it that was asked for, is handed over with why. Units begin at multiples of their size.
///
/// # Errors
/// What a read fails with for another reason.
pub(crate) fn read_around(
    read: ReadInto<'_>,
    buf: &mut Vec<u8>,
    range: Range<u64>,
    unit: usize,
    gap: &mut dyn FnMut(Range<u64>, Error),
) -> Result<()> {
    let before = buf.len();
    let len = range.end.saturating_sub(range.start);
    let failed = match read(buf, range.start, len as usize) {
        Err(error) => error.of_read(range.start),
        done => return done,
    };
    buf.truncate(before);
    if !failed.is_unreadable() {
        return Err(failed);
    }
    let unit = unit.max(1) as u64;
    let middle = range.start + len / 2;
    let middle = match middle - middle % unit {
        cut if cut > range.start => cut,
        cut => cut + unit,
    };
    if middle >= range.end {
        buf.resize(before + len as usize, 0);
        gap(range, failed);
        return Ok(());
    }
    read_around(read, buf, range.start..middle, unit as usize, gap)?;
    read_around(read, buf, middle..range.end, unit as usize, gap)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn read(range: Range<u64>, unit: usize, bad: &[u64]) -> (Vec<u8>, Vec<Range<u64>>) {
        let read = |buf: &mut Vec<u8>, at: u64, len: usize| {
            let asked = at..at + len as u64;
            if bad.iter().any(|at| asked.contains(at)) {
                let reason = io::Error::from_raw_os_error(5);
                return Err(Error::io("read", "file", reason));
            }
            buf.extend(asked.map(|at| at as u8));
            Ok(())
        };
        let (mut buf, mut gaps) = (vec![9], Vec::new());
        read_around(&read, &mut buf, range, unit, &mut |gap, error| {
            assert!(error.is_unreadable());
            gaps.push(gap);
        })
        .unwrap();
        assert_eq!(buf.remove(0), 9);
        (buf, gaps)
    }

    #[test]
    fn a_bad_byte_costs_its_unit_alone() {
        for len in 1..60 {
            for start in 0..12 {
                for at in start..start + len {
                    for unit in [1, 7, 10, 100] {
                        let range = start..start + len;
                        let (found, gaps) = read(range.clone(), unit, &[at]);
                        let first = at - at % unit as u64;
                        let bad = first.max(start)..(first + unit as u64).min(range.end);
                        assert_eq!(gaps, std::slice::from_ref(&bad), "{range:?} {unit} {at}");
                        let byte = |of| if bad.contains(&of) { 0 } else { of as u8 };
                        assert_eq!(found, range.map(byte).collect::<Vec<_>>());
                    }
                }
            }
        }
    }

    #[test]
    fn whatever_cannot_be_read_is_told_in_order() {
        let (found, gaps) = read(5..40, 10, &[3, 7, 12, 39, 40]);
        assert_eq!(gaps, [5..10, 10..20, 30..40]);
        let there: Vec<u8> = (20..30).collect();
        assert_eq!(found, [vec![0; 15], there, vec![0; 10]].concat());
    }
}

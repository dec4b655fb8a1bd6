//! Silent damage that a test asks for.

use quipu::Error;

use super::*;

#[test]
fn a_bit_is_turned_for_good() {
    let (machine, _) = with_durable(&[0, 0, 0]);
    machine.flip_bit("p", "b", 9).unwrap();
    assert_eq!(read(&machine, "b").unwrap(), [0, 2, 0]);
    let after = machine.after_crash(Survival::Nothing, 0);
    assert_eq!(read(&after, "b").unwrap(), [0, 2, 0]);
    after.flip_bit("p", "b", 9).unwrap();
    assert_eq!(read(&after, "b").unwrap(), [0, 0, 0]);
}

#[test]
fn a_block_is_zeroed_and_no_other_byte() {
    for (block, zeroed) in [(0, 0..512), (1, 512..1024), (2, 1024..1100)] {
        let (machine, _) = with_durable(&[7; 1100]);
        machine.zero_block("p", "b", block).unwrap();
        let mut wanted = vec![7; 1100];
        wanted[zeroed].fill(0);
        assert_eq!(read(&machine, "b").unwrap(), wanted);
    }
}

#[test]
fn a_stale_block_is_as_before_its_last_durable_change() {
    let (machine, blob) = with_durable(&[1; 1100]);
    assert!(!machine.stale_block("p", "b", 0).unwrap());
    for byte in [2, 3] {
        write(&*blob, 600, &[byte; 10]);
        blob.sync().unwrap();
    }
    // Another flush, which does not touch it, changes nothing of that.
    write(&*blob, 1100, b"more");
    blob.sync().unwrap();
    assert!(!machine.stale_block("p", "b", 0).unwrap());
    assert!(machine.stale_block("p", "b", 1).unwrap());
    let mut wanted = vec![1; 1104];
    wanted[600..610].fill(2);
    wanted[1100..].copy_from_slice(b"more");
    assert_eq!(read(&machine, "b").unwrap(), wanted);
    // The last block grew: the bytes that it did not have are zeros.
    assert!(machine.stale_block("p", "b", 2).unwrap());
    wanted[1100..].fill(0);
    assert_eq!(read(&machine, "b").unwrap(), wanted);
}

#[test]
fn a_stale_block_reaches_over_a_cut() {
    let (machine, blob) = with_durable(&[1; 1024]);
    blob.resize(512).unwrap();
    blob.sync().unwrap();
    write(&*blob, 512, &[2; 512]);
    blob.sync().unwrap();
    assert!(machine.stale_block("p", "b", 1).unwrap());
    assert_eq!(read(&machine, "b").unwrap(), [1; 1024]);
}

#[test]
fn a_crash_is_a_durable_change_too() {
    let (machine, blob) = with_durable(&[1; 100]);
    write(&*blob, 0, &[2; 100]);
    let after = machine.after_crash(Survival::All, 0);
    assert!(after.stale_block("p", "b", 0).unwrap());
    assert_eq!(read(&after, "b").unwrap(), [1; 100]);
}

#[test]
fn pending_bytes_lie_over_the_damage() {
    let (machine, blob) = with_durable(b"abcd");
    write(&*blob, 1, b"BC");
    machine.zero_block("p", "b", 0).unwrap();
    assert_eq!(read(&machine, "b").unwrap(), b"\0BC\0");
    assert_eq!(contents(&machine, Survival::Nothing), [vec![0; 4]].into());
    blob.sync().unwrap();
    assert_eq!(
        contents(&machine, Survival::Nothing),
        [b"\0BC\0".to_vec()].into()
    );
}

#[test]
fn only_durable_bytes_can_be_damaged() {
    let (machine, blob) = with_durable(&[1; 512]);
    write(&*blob, 512, &[1; 512]);
    machine.stop();
    machine.flip_bit("p", "b", 512 * 8 - 1).unwrap();
    for result in [
        machine.flip_bit("p", "b", 512 * 8),
        machine.flip_bit("p", "b", u64::MAX),
        machine.zero_block("p", "b", 1),
        machine.zero_block("p", "b", u64::MAX),
        machine.stale_block("p", "b", 1).map(drop),
    ] {
        assert!(
            matches!(result, Err(Error::OutOfBounds { len: 512, .. })),
            "{result:?}"
        );
    }
    for result in [
        machine.flip_bit("p", "none", 0),
        machine.flip_bit("none", "b", 0),
    ] {
        assert!(matches!(result, Err(Error::NotFound { .. })), "{result:?}");
    }
}

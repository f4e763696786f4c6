//! Access control lists of POSIX 1003.1e, as the kernel gives them in `system.posix_acl_access`, acl(5).

const VERSION: u32 = 2;
const USER: u16 = 2;
const GROUP: u16 = 8;
const MASK: u16 = 16;

/// The mode under which nobody can do more than under `mode` with that list: where one who is named in it, and is under `mode` one of the
/// group or of the others, lacks a permission, these lack it. What the list gives beyond the mode is not given. A list that can't be
/// understood leaves the owner alone.
pub fn least(mode: u32, list: &[u8]) -> u32 {
    let entries = entries(list);
    let Some(entries) = entries else { return mode & !0o077 };
    let of = |wanted: u16| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, perm)| *perm);
    let mask = of(MASK).unwrap_or(7);
    let named = entries.iter().filter(|(tag, _)| matches!(*tag, USER | GROUP)).fold(7, |all, (_, perm)| all & perm & mask);
    // With a mask, the mode's middle bits are that; the group's own are in the list.
    let group = of(4).unwrap_or(0) & mask & named;
    mode & !0o077 | (group << 3 & mode) | (named & mode)
}

/// Tag and permissions of each.
fn entries(list: &[u8]) -> Option<Vec<(u16, u32)>> {
    let (version, entries) = list.split_first_chunk::<4>()?;
    let (entries, []) = entries.as_chunks::<8>() else { return None };
    let entry = |entry: &[u8; 8]| (u16::from_le_bytes([entry[0], entry[1]]), u32::from(entry[2] & 7));
    (u32::from_le_bytes(*version) == VERSION).then(|| entries.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let entry = |(tag, perm): &(u16, u16)| [tag.to_le_bytes().to_vec(), perm.to_le_bytes().to_vec(), vec![0xe8, 3, 0, 0]].concat();
        [VERSION.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
    }

    #[test]
    fn takes_away_and_gives_nothing() {
        const OWN: [(u16, u16); 3] = [(1, 7), (4, 5), (32, 5)];
        let with = |more: &[(u16, u16)]| list(&[&OWN, more].concat());
        for (mode, list, want) in [
            // user:1000:--- in 0755: nobody but the owner is known not to be 1000.
            (0o755, with(&[(USER, 0), (MASK, 5)]), 0o700),
            (0o755, with(&[(USER, 4), (MASK, 5)]), 0o744),
            (0o755, with(&[(GROUP, 1), (MASK, 5)]), 0o711),
            // user:1000:rwx in 0700 gives nothing.
            (0o700, list(&[(1, 7), (4, 0), (USER, 7), (MASK, 7), (32, 0)]), 0o700),
            (0o770, list(&[(1, 7), (4, 0), (USER, 7), (MASK, 7), (32, 0)]), 0o700),
            // The mask narrows those that are named, and is what the mode shows of the group.
            (0o745, with(&[(USER, 7), (MASK, 4)]), 0o744),
            (0o755, with(&[]), 0o755),
            (0o1755, with(&[(USER, 5), (MASK, 5)]), 0o1755),
            (0o755, Vec::new(), 0o700),
            (0o755, vec![9, 0, 0, 0], 0o700),
            (0o755, vec![2, 0, 0, 0, 1], 0o700),
        ] {
            assert_eq!(least(mode, &list), want, "{mode:o} {list:?}");
        }
    }
}

//! Programs for the kernel's packet filter, by which it filters system calls too.

/// `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

pub const LOAD: u16 = 0x20;
pub const AND: u16 = 0x54;
pub const JUMP: u16 = 0x05;
pub const EQUAL: u16 = 0x15;
pub const AT_LEAST: u16 = 0x35;
pub const RETURN: u16 = 0x06;

pub const ALLOW: u32 = 0x7fff_0000;
pub const ERRNO: u32 = 0x0005_0000;

pub fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// If the value at hand is `k` (or at least that), the next instruction; otherwise the one behind it.
pub fn or_skip(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 1, k }
}

/// How many numbers are tried in turn where halving ends.
const LEAF: usize = 4;

/// Does what is to be done with the number at hand, of those in ascending order; any other is allowed. The kernel tries a program on every
/// number when it is installed, and translates each instruction: both are a start's to pay, and so there are few steps to any number, and few
/// instructions.
pub fn halve(entries: &[(u32, Vec<Instruction>)]) -> Vec<Instruction> {
    if let Some(leaf) = leaf(entries) {
        return leaf;
    }
    let (low, high) = entries.split_at(entries.len() / 2);
    let below = halve(low);
    let mut both = match u8::try_from(below.len()) {
        Ok(jt) => vec![Instruction { code: AT_LEAST, jt, jf: 0, k: high[0].0 }],
        Err(_) => vec![or_skip(AT_LEAST, high[0].0), statement(JUMP, below.len() as u32)],
    };
    both.extend(below);
    both.extend(halve(high));
    both
}

/// A few numbers in turn, each leading to what is done with it, which several may share. `None`: they are too many, or too far from it.
fn leaf(entries: &[(u32, Vec<Instruction>)]) -> Option<Vec<Instruction>> {
    if entries.len() > LEAF {
        return None;
    }
    let allow = statement(RETURN, ALLOW);
    let mut ends = vec![allow];
    let mut places: Vec<(&[Instruction], usize)> = Vec::new();
    let mut leaf = Vec::new();
    for (index, (number, body)) in entries.iter().enumerate() {
        let known = places.iter().find(|(other, _)| *other == body.as_slice()).map(|(_, place)| *place);
        let place = known.unwrap_or(ends.len());
        if known.is_none() {
            places.push((body, place));
            ends.extend(body);
            // What no case of it refuses.
            if !matches!(body.as_slice(), [all] if all.code == RETURN) {
                ends.push(allow);
            }
        }
        let jt = u8::try_from(entries.len() - index - 1 + place).ok()?;
        leaf.push(Instruction { code: EQUAL, jt, jf: 0, k: *number });
    }
    leaf.extend(ends);
    Some(leaf)
}

/// What the kernel does with a program: the value that it returns. `load` is what is at an offset of what is filtered.
#[cfg(test)]
pub fn run(program: &[Instruction], load: impl Fn(u32) -> u32) -> u32 {
    let (mut value, mut at) = (0u32, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        match code {
            LOAD => value = load(k),
            AND => value &= k,
            JUMP => at += k as usize,
            EQUAL => at += usize::from(if value == k { jt } else { jf }),
            AT_LEAST => at += usize::from(if value >= k { jt } else { jf }),
            RETURN => return k,
            _ => panic!("code {code:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_behind_more_than_a_byte_jumps_over() {
        for length in [0, 1, 255, 256, 1000] {
            let bodies = [(7, vec![statement(AND, u32::MAX); length]), (9, vec![statement(RETURN, ERRNO)])];
            let mut program = vec![statement(LOAD, 0)];
            program.extend(halve(&bodies[..1]));
            assert_eq!([7, 8].map(|number| run(&program, |_| number)), [ALLOW, ALLOW], "{length}");
            let mut program = vec![statement(LOAD, 0)];
            program.extend(halve(&bodies));
            assert_eq!([7, 8, 9].map(|number| run(&program, |_| number)), [ALLOW, ALLOW, ERRNO], "{length}");
        }
    }

    #[test]
    fn each_of_many_numbers_is_found() {
        let entries: Vec<(u32, Vec<Instruction>)> = (0..100).map(|n| (3 * n, vec![statement(RETURN, ERRNO | n)])).collect();
        let mut program = vec![statement(LOAD, 0)];
        program.extend(halve(&entries));
        for number in 0..310 {
            let want = if number % 3 == 0 && number < 300 { ERRNO | (number / 3) } else { ALLOW };
            assert_eq!(run(&program, |_| number), want, "{number}");
        }
    }
}

//! Classic BPF programs (`bpf(4)`), run over captured bytes.
//!
//! libpcap's own interpreter takes the captured length for the length of a packet; `len`, `greater` and `less` are about
//! the wire.

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Class, mode, size or operation.
    pub code: u16,
    /// Instructions to pass over when the condition holds.
    pub jump_true: u8,
    /// Instructions to pass over when it does not.
    pub jump_false: u8,
    /// An operand.
    pub k: u32,
}

impl Instruction {
    /// Reads what the `pcap` crate prints for an instruction: four decimal numbers, its fields being private.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut numbers = text.split_ascii_whitespace();
        let this = Self {
            code: numbers.next()?.parse().ok()?,
            jump_true: numbers.next()?.parse().ok()?,
            jump_false: numbers.next()?.parse().ok()?,
            k: numbers.next()?.parse().ok()?,
        };
        numbers.next().is_none().then_some(this)
    }
}

/// A program, which may be anything: whatever it cannot do rejects the packet.
#[derive(Clone, Debug)]
pub(super) struct Program(Vec<Instruction>);

/// Instructions that a run may take. Only `protochain` loops; a header chain in a packet has no more links than this.
const STEP_LIMIT: u32 = 1 << 16;
/// Words of scratch memory.
const SCRATCH_WORDS: usize = 16;

/// The registers of a run.
struct Machine<'a> {
    data: &'a [u8],
    wire_len: u32,
    accumulator: u32,
    index: u32,
    scratch: [u32; SCRATCH_WORDS],
}

/// What follows an instruction.
enum Then {
    /// The next one, after passing over so many; backwards when negative.
    Skip(i64),
    /// The end: accepted or not.
    Return(bool),
}

impl Program {
    /// The program of these instructions.
    pub const fn new(instructions: Vec<Instruction>) -> Self {
        Self(instructions)
    }

    /// Whether it accepts the packet of which `data` was captured, out of `wire_len` bytes on the wire.
    ///
    /// A load beyond `data`, a division by zero, an unknown instruction or a jump out of the program rejects it.
    pub fn accepts(&self, data: &[u8], wire_len: u32) -> bool {
        let mut machine = Machine { data, wire_len, accumulator: 0, index: 0, scratch: [0; SCRATCH_WORDS] };
        let mut at = 0_usize;
        for _ in 0..STEP_LIMIT {
            let Some(instruction) = self.0.get(at) else { return false };
            match machine.step(*instruction) {
                Some(Then::Skip(passed_over)) => {
                    let next = i64::try_from(at).ok().and_then(|at| usize::try_from(at + 1 + passed_over).ok());
                    let Some(next) = next else { return false };
                    at = next;
                }
                Some(Then::Return(accepted)) => return accepted,
                None => return false,
            }
        }
        false
    }
}

impl Machine<'_> {
    /// Does one instruction; `None` rejects the packet.
    #[inline]
    fn step(&mut self, Instruction { code, jump_true, jump_false, k }: Instruction) -> Option<Then> {
        // the class is in the lowest three bits
        match code & 0x07 {
            0x00 => self.accumulator = self.load(code, k)?,
            0x01 => self.index = self.load_index(code, k)?,
            0x02 => *self.scratch_word(k)? = self.accumulator,
            0x03 => *self.scratch_word(k)? = self.index,
            0x04 => self.accumulator = self.calculate(code, k)?,
            0x05 => {
                return Some(Then::Skip(match self.condition(code, k)? {
                    Some(true) => jump_true.into(),
                    Some(false) => jump_false.into(),
                    // `protochain` jumps backwards by a negative operand
                    None => k.cast_signed().into(),
                }));
            }
            0x06 => {
                return Some(Then::Return(match code & 0x18 {
                    0x00 => k != 0,
                    0x10 => self.accumulator != 0,
                    _ => return None,
                }));
            }
            _ => match code {
                0x07 => self.index = self.accumulator,
                0x87 => self.accumulator = self.index,
                _ => return None,
            },
        }
        Some(Then::Skip(0))
    }

    fn scratch_word(&mut self, k: u32) -> Option<&mut u32> {
        self.scratch.get_mut(usize::try_from(k).ok()?)
    }

    /// A load into the accumulator: an immediate, absolute, indirect, scratch or length operand of 4, 2 or 1 bytes.
    #[inline]
    fn load(&mut self, code: u16, k: u32) -> Option<u32> {
        match code {
            0x00 => Some(k),
            0x20 => self.word(k),
            0x28 => self.half(k),
            0x30 => self.byte(k),
            0x40 => self.word(self.index.checked_add(k)?),
            0x48 => self.half(self.index.checked_add(k)?),
            0x50 => self.byte(self.index.checked_add(k)?),
            0x60 => self.scratch_word(k).copied(),
            0x80 => Some(self.wire_len),
            _ => None,
        }
    }

    /// A load into the index register, among them the length of an IPv4 header from its first byte.
    #[inline]
    fn load_index(&mut self, code: u16, k: u32) -> Option<u32> {
        match code {
            0x01 => Some(k),
            0x61 => self.scratch_word(k).copied(),
            0x81 => Some(self.wire_len),
            0xb1 => Some((self.byte(k)? & 0x0f) << 2),
            _ => None,
        }
    }

    #[inline]
    fn calculate(&self, code: u16, k: u32) -> Option<u32> {
        let left = self.accumulator;
        // the source is the operand or the index register
        let right = if code & 0x08 == 0 { k } else { self.index };
        Some(match code & 0xf0 {
            0x00 => left.wrapping_add(right),
            0x10 => left.wrapping_sub(right),
            0x20 => left.wrapping_mul(right),
            0x30 => left.checked_div(right)?,
            0x40 => left | right,
            0x50 => left & right,
            0x60 => left.checked_shl(right).unwrap_or(0),
            0x70 => left.checked_shr(right).unwrap_or(0),
            0x80 => left.wrapping_neg(),
            0x90 => left.checked_rem(right)?,
            0xa0 => left ^ right,
            _ => return None,
        })
    }

    /// Whether the condition of a jump holds; `Some(None)` for one without.
    #[inline]
    #[expect(clippy::option_option, reason = "the outer one rejects the packet, as everywhere here")]
    fn condition(&self, code: u16, k: u32) -> Option<Option<bool>> {
        let left = self.accumulator;
        let right = if code & 0x08 == 0 { k } else { self.index };
        Some(match code & 0xf0 {
            0x00 => None,
            0x10 => Some(left == right),
            0x20 => Some(left > right),
            0x30 => Some(left >= right),
            0x40 => Some(left & right != 0),
            _ => return None,
        })
    }

    #[inline]
    fn bytes<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.data.get(usize::try_from(at).ok()?..)?.first_chunk().copied()
    }

    #[inline]
    fn word(&self, at: u32) -> Option<u32> {
        self.bytes(at).map(u32::from_be_bytes)
    }

    #[inline]
    fn half(&self, at: u32) -> Option<u32> {
        self.bytes(at).map(|half| u16::from_be_bytes(half).into())
    }

    #[inline]
    fn byte(&self, at: u32) -> Option<u32> {
        self.bytes(at).map(|[byte]| byte.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn op(code: u16, k: u32) -> Instruction {
        Instruction { code, jump_true: 0, jump_false: 0, k }
    }

    const fn jump(code: u16, k: u32, jump_true: u8, jump_false: u8) -> Instruction {
        Instruction { code, jump_true, jump_false, k }
    }

    const RET_A: Instruction = op(0x16, 0);
    const ACCEPT: Instruction = op(0x06, 65_535);
    const REJECT: Instruction = op(0x06, 0);

    /// Runs `body` over four bytes out of 100 on the wire, and accepts if the accumulator is `want`.
    fn leaves(body: &[Instruction], want: u32) -> bool {
        let test = [jump(0x15, want, 0, 1), ACCEPT, REJECT];
        Program::new([body, &test].concat()).accepts(&[0x45, 0x02, 0x03, 0x04], 100)
    }

    #[test]
    fn instructions_do_what_the_manual_says() {
        let cases: [(&str, &[Instruction], u32); 30] = [
            ("ld imm", &[op(0x00, 7)], 7),
            ("ld word", &[op(0x20, 0)], 0x4502_0304),
            ("ld half", &[op(0x28, 2)], 0x0304),
            ("ld byte", &[op(0x30, 1)], 2),
            ("ld word indirect", &[op(0x01, 0), op(0x40, 0)], 0x4502_0304),
            ("ld half indirect", &[op(0x01, 1), op(0x48, 1)], 0x0304),
            ("ld byte indirect", &[op(0x01, 1), op(0x50, 2)], 4),
            ("ld len", &[op(0x80, 0)], 100),
            ("ldx len", &[op(0x81, 0), op(0x87, 0)], 100),
            ("ldx msh", &[op(0xb1, 0), op(0x87, 0)], 20),
            ("st, ld mem", &[op(0x00, 9), op(0x02, 15), op(0x00, 0), op(0x60, 15)], 9),
            ("stx, ldx mem", &[op(0x01, 9), op(0x03, 3), op(0x01, 0), op(0x61, 3), op(0x87, 0)], 9),
            ("tax, txa", &[op(0x00, 5), op(0x07, 0), op(0x00, 0), op(0x87, 0)], 5),
            ("add wraps", &[op(0x00, u32::MAX), op(0x04, 2)], 1),
            ("sub wraps", &[op(0x00, 0), op(0x14, 1)], u32::MAX),
            ("mul", &[op(0x00, 6), op(0x24, 7)], 42),
            ("div", &[op(0x00, 43), op(0x34, 6)], 7),
            ("mod", &[op(0x00, 43), op(0x94, 6)], 1),
            ("or", &[op(0x00, 5), op(0x44, 2)], 7),
            ("and", &[op(0x00, 6), op(0x54, 3)], 2),
            ("xor", &[op(0x00, 6), op(0xa4, 3)], 5),
            ("lsh", &[op(0x00, 1), op(0x64, 4)], 16),
            ("lsh by 32", &[op(0x00, 1), op(0x64, 32)], 0),
            ("rsh", &[op(0x00, 16), op(0x74, 4)], 1),
            ("rsh by 99", &[op(0x00, 16), op(0x74, 99)], 0),
            ("neg", &[op(0x00, 1), op(0x84, 0)], u32::MAX),
            ("add x", &[op(0x00, 1), op(0x01, 2), op(0x0c, 0)], 3),
            ("ja", &[op(0x00, 1), op(0x05, 1), op(0x00, 2)], 1),
            ("jgt taken", &[op(0x00, 1), jump(0x25, 0, 1, 0), op(0x00, 2)], 1),
            ("jset not taken", &[op(0x00, 4), jump(0x45, 3, 1, 0), op(0x00, 2)], 2),
        ];
        for (name, body, want) in cases {
            assert!(leaves(body, want), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_done_rejects() {
        let cases: [(&str, &[Instruction]); 12] = [
            ("word beyond the end", &[op(0x20, 1), ACCEPT]),
            ("half beyond the end", &[op(0x28, 3), ACCEPT]),
            ("byte beyond the end", &[op(0x30, 4), ACCEPT]),
            ("an index that overflows", &[op(0x01, u32::MAX), op(0x50, 2), ACCEPT]),
            ("division by zero", &[op(0x34, 0), ACCEPT]),
            ("division by a zero index", &[op(0x3c, 0), ACCEPT]),
            ("remainder by zero", &[op(0x94, 0), ACCEPT]),
            ("scratch memory that is not there", &[op(0x02, 16), ACCEPT]),
            ("an unknown instruction", &[op(0xffff, 0), ACCEPT]),
            ("a jump out of the program", &[op(0x05, 1), ACCEPT]),
            ("a loop without end", &[op(0x05, u32::MAX), ACCEPT]),
            ("no instruction", &[]),
        ];
        for (name, body) in cases {
            assert!(!Program::new(body.to_vec()).accepts(&[1, 2, 3, 4], 100), "{name}");
        }
        assert!(!Program::new(vec![RET_A]).accepts(&[], 0), "the accumulator is 0");
    }

    proptest! {
        #[test]
        fn any_program_ends(
            program in proptest::collection::vec(any::<(u16, u8, u8, u32)>(), 0..40),
            data in proptest::collection::vec(any::<u8>(), 0..80),
            wire_len: u32,
        ) {
            let small = |k: u32| if k.is_multiple_of(3) { k } else { k % 64 };
            let program = program.into_iter().map(|(code, t, f, k)| {
                Instruction { code: code % 256, jump_true: t % 8, jump_false: f % 8, k: small(k) }
            });
            let _ = Program::new(program.collect()).accepts(&data, wire_len);
        }
    }
}

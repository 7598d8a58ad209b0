//! The compiled loops of the products, looked at in this program itself: what they sum has to
//! stay in registers. Products whose sums went to memory took three times as long, and whether
//! they did was the mood of the compiler. Time cannot tell on a machine that others use.

use std::io;
use std::ops::RangeInclusive;
use std::process::Command;

use mmdlrm_kernels::{Panels, add_transposed, copy_rows, store};

/// Fewer loops with as many rows as fit the registers would mean that others are looked at.
const LEAST: usize = 3;

struct Instruction<'a> {
    address: u64,
    name: &'a str,
    operands: &'a str,
}

impl<'a> Instruction<'a> {
    /// A line as `  1a2b:  vmovups %zmm0,(%rsp)`.
    fn read(line: &'a str) -> Option<Self> {
        let (address, rest) = line.trim_start().split_once(":\t")?;
        let (name, operands) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(Self {
            address: u64::from_str_radix(address, 16).ok()?,
            name,
            operands: operands.trim(),
        })
    }

    /// Where a jump goes to, `1a00 <name+0x10>`.
    fn target(&self) -> Option<u64> {
        let to = self.operands.split(' ').next()?;
        let to = u64::from_str_radix(to, 16).ok()?;
        self.name.starts_with('j').then_some(to)
    }

    fn multiplies_and_adds(&self) -> bool {
        self.name.starts_with("vfmadd") && self.name.ends_with("ps")
    }

    /// The destination is the last operand.
    fn stores_a_vector(&self) -> bool {
        self.name.starts_with("vmov")
            && ["%xmm", "%ymm", "%zmm"]
                .iter()
                .any(|r| self.operands.starts_with(r))
            && self.operands.ends_with(')')
    }
}

/// From first to last instruction of each loop.
fn loops(function: &[Instruction<'_>]) -> Vec<RangeInclusive<u64>> {
    let Some(first) = function.first() else {
        return Vec::new();
    };
    function
        .iter()
        .filter_map(|jump| Some(jump.target()?..=jump.address))
        .filter(|range| *range.start() >= first.address && range.start() < range.end())
        .collect()
}

fn holds(outer: &RangeInclusive<u64>, inner: &RangeInclusive<u64>) -> bool {
    outer != inner && outer.contains(inner.start()) && outer.contains(inner.end())
}

/// Where the sums of an innermost loop live: it, and the loop around it, which goes from one
/// stretch of the inner products to the next.
fn life_of_sums(
    innermost: &RangeInclusive<u64>,
    loops: &[RangeInclusive<u64>],
) -> RangeInclusive<u64> {
    let around = loops.iter().filter(|other| holds(other, innermost));
    around
        .min_by_key(|other| other.end() - other.start())
        .unwrap_or(innermost)
        .clone()
}

/// What `objdump` makes of this program.
fn disassembly() -> io::Result<String> {
    let program = std::env::current_exe()?;
    let mut command = Command::new("objdump");
    let out = command
        .args(["-d", "--no-show-raw-insn"])
        .arg(program)
        .output()?;
    if !out.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Both kinds of products, so that they are in this program.
fn multiply() {
    let (a, b) = (vec![1.0; 24 * 40], vec![1.0; 40 * 64]);
    let mut out = vec![0.0; 24 * 64];
    let panels = Panels::of_transposed(&b, 64, 40);
    let mut scratch = Vec::new();
    panels.multiply(copy_rows(&a, 40), 24, (&mut out, 64), store(), &mut scratch);
    assert!(out.iter().all(|x| *x == 40.0));
    let (a, b) = (&a[..24 * 24], copy_rows(&b, 64));
    add_transposed(&mut out, a, b, (24, 64), &mut scratch);
    assert!(out.iter().all(|x| *x == 64.0));
}

#[test]
fn no_loop_of_a_product_stores_its_sums() {
    multiply();
    if cfg!(debug_assertions) || !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return eprintln!("skipped: only optimized code of x86-64, on Linux, is looked at");
    }
    let text = match disassembly() {
        Ok(text) => text,
        Err(error) => panic!("objdump, of binutils, is needed: {error}"),
    };
    let (mut widest, mut stored) = ([("%ymm", 12, 0), ("%zmm", 24, 0)], Vec::new());
    for function in text.split("\n\n") {
        let code: Vec<_> = function.lines().filter_map(Instruction::read).collect();
        let loops = loops(&code);
        for range in loops
            .iter()
            .filter(|range| !loops.iter().any(|it| holds(range, it)))
        {
            let body = code.iter().filter(|i| range.contains(&i.address));
            let products: Vec<_> = body.filter(|i| i.multiplies_and_adds()).collect();
            let Some(product) = products.first() else {
                continue;
            };
            for (register, sums, seen) in &mut widest {
                let whole = products.len() % *sums == 0;
                *seen += usize::from(whole && product.operands.contains(*register));
            }
            let life = life_of_sums(range, &loops);
            let living = code.iter().filter(|i| life.contains(&i.address));
            let stores = living.filter(|i| i.stores_a_vector()).count();
            if stores > 0 {
                let name = function.lines().next().unwrap_or_default();
                stored.push(format!(
                    "{stores} stores in a loop at {:x}, {name}",
                    range.start()
                ));
            }
        }
    }
    assert!(stored.is_empty(), "{}", stored.join("\n"));
    for (register, sums, seen) in widest {
        assert!(seen >= LEAST, "{seen} loops with {sums} sums in {register}");
    }
}

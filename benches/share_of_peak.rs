//! What share of the multiplications and additions that a core can do in a second its
//! products do.
//!
//! ```sh
//! cargo bench -p mmdlrm-benches --bench share_of_peak
//! ```

use std::hint::black_box;
use std::time::Instant;

use mmdlrm_kernels::{
    InstructionSet, InstructionsError, Panels, add_transposed, copy_rows, dispatch, store,
};
use pulp::{Simd, WithSimd};

/// Each is timed so many times.
const TURNS: usize = 25;
/// Multiplications and additions of a timing, about.
const WORK: usize = 100_000_000;

/// Multiplies and adds in registers alone.
struct InRegisters(usize);

impl WithSimd for InRegisters {
    /// How many, and a number that depends on all.
    type Output = (usize, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        // More than latency times ports, few enough for 16 registers.
        const SUMS: usize = 12;
        let (a, b) = (
            simd.splat_f32s(black_box(0.5)),
            simd.splat_f32s(black_box(1.0)),
        );
        macro_rules! rounds {
            ($($sum:ident),+) => {{
                $(let mut $sum = simd.splat_f32s(black_box(0.0));)+
                for _ in 0..self.0 {
                    $($sum = simd.mul_add_e_f32s(a, $sum, b);)+
                }
                let mut total = 0.0;
                $(total += simd.reduce_sum_f32s($sum);)+
                total
            }};
        }
        let total = rounds!(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11);
        (self.0 * SUMS * S::F32_LANES, total)
    }
}

/// Multiplications and additions a second.
fn rate(work: impl FnOnce() -> usize) -> f64 {
    let start = Instant::now();
    let done = work();
    done as f64 / start.elapsed().as_secs_f64()
}

fn peak() -> f64 {
    rate(|| black_box(dispatch(InRegisters(WORK / 100))).0)
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i % 7) as f32).collect()
}

/// What all turns came to. A turn compares the work with the peak right before and after:
/// whoever shares the core slows both, though not always alike.
struct Turns {
    rate: f64,
    share: f64,
}

fn turns(mut work: impl FnMut() -> usize) -> Turns {
    let mut before = peak();
    let turns = (0..TURNS).map(|_| {
        let done = rate(&mut work);
        let after = peak();
        let share = done / before.max(after);
        before = after;
        (done, share)
    });
    let (mut rates, mut shares): (Vec<f64>, Vec<f64>) = turns.unzip();
    rates.sort_by(f64::total_cmp);
    shares.sort_by(f64::total_cmp);
    Turns {
        rate: rates[TURNS / 2],
        share: shares[TURNS / 2],
    }
}

fn multiply(rows: usize, k: usize, n: usize) -> Turns {
    let panels = Panels::of_transposed(&numbers(k * n), n, k);
    let (a, mut out) = (numbers(rows * k), numbers(rows * n));
    let mut scratch = Vec::new();
    let times = (WORK / (rows * k * n)).max(1);
    turns(|| {
        for _ in 0..times {
            let rows_of_a = copy_rows(black_box(&a), k);
            panels.multiply(rows_of_a, rows, (&mut out, n), store(), &mut scratch);
        }
        times * rows * k * n
    })
}

fn outer(rows: usize, m: usize, n: usize) -> Turns {
    let (a, b, mut out) = (numbers(rows * m), numbers(rows * n), numbers(m * n));
    let mut scratch = Vec::new();
    let times = (WORK / (rows * m * n)).max(1);
    turns(|| {
        for _ in 0..times {
            let b = copy_rows(black_box(&b), n);
            add_transposed(&mut out, &a, b, (m, n), &mut scratch);
        }
        times * rows * m * n
    })
}

fn show(name: &str, (rows, k, n): (usize, usize, usize), turns: Turns) {
    let (gflops, share) = (2.0 * turns.rate / 1e9, turns.share);
    println!("| {name} | {rows} | {k} | {n} | {gflops:.0} | {share:.2} |");
}

fn main() -> Result<(), InstructionsError> {
    let set = InstructionSet::in_use()?;
    println!("{set}\n| product | rows | k | n | GFLOP/s | of the peak |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    // Rows, inner and outer width: of ViT-B/32, six pictures or texts at a time; of a step
    // at ml-25m's shapes, 96 samples at a time.
    for (name, rows, k, n) in [
        ("pictures: queries, keys, values", 300, 768, 768),
        ("pictures: in", 300, 768, 3072),
        ("pictures: out, patches", 300, 3072, 768),
        ("texts: queries, keys, values", 348, 512, 512),
        ("texts: in", 348, 512, 2048),
        ("texts: out", 348, 2048, 512),
        ("one head of a picture: scores", 50, 64, 50),
        ("one head of a picture: values", 50, 50, 64),
        ("step: a tower", 96, 512, 64),
        ("step: a layer", 96, 128, 64),
        ("step: top", 96, 79, 128),
    ] {
        show(name, (rows, k, n), multiply(rows, k, n));
    }
    for (name, m, n) in [
        ("step: gradient of a tower", 64, 512),
        ("step: gradient of the top", 128, 79),
    ] {
        show(name, (m, 96, n), outer(96, m, n));
    }
    Ok(())
}

use std::fmt;
use std::sync::OnceLock;

use pulp::{Arch, WithSimd};

/// The environment's variable that chooses the instructions.
const VARIABLE: &str = "MMDLRM_SIMD";

/// Vector instructions that loops are compiled for. A process runs all of them with one set,
/// the widest that the processor has.
///
/// For tests and benches another can be chosen: `MMDLRM_SIMD=scalar`, `avx2` or `avx512`
/// (`scalar` or `neon` on ARM). Results differ by rounding.
///
/// ```
/// use mmdlrm_kernels::InstructionSet;
///
/// println!("loops run with {}", InstructionSet::in_use()?);
/// # Ok::<(), mmdlrm_kernels::InstructionsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum InstructionSet {
    /// One number at a time, but for what the compiler makes of it for the least machine.
    Scalar,
    /// 16 registers of 8 floats (x86-64-v3: Haswell, Zen and later).
    Avx2,
    /// 32 registers of 16 floats (x86-64-v4: Skylake-X, Zen 4 and later).
    Avx512,
    /// 32 registers of 4 floats (every 64-bit ARM).
    Neon,
}

/// `MMDLRM_SIMD` asks for what there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstructionsError {
    asked: String,
    had: Vec<InstructionSet>,
}

impl InstructionSet {
    /// What all loops of this process run with.
    ///
    /// # Errors
    /// `MMDLRM_SIMD` names none, or one that this processor does not have.
    pub fn in_use() -> Result<Self, InstructionsError> {
        chosen().as_ref().map(|&(set, _)| set).map_err(Clone::clone)
    }

    /// What this processor has, the widest last.
    pub fn available() -> Vec<Self> {
        all().map(|(set, _)| set).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for InstructionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let had: Vec<_> = self.had.iter().map(|set| set.name()).collect();
        write!(
            f,
            "{VARIABLE} is '{}', and this processor has {}; leave it unset for the widest",
            self.asked,
            had.join(", ")
        )
    }
}

impl std::error::Error for InstructionsError {}

/// Runs `op` with the instructions in use.
///
/// # Panics
/// Where [`InstructionSet::in_use`] is an error.
#[inline]
pub fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    match chosen() {
        Ok((_, arch)) => arch.dispatch(op),
        Err(error) => refuse(error),
    }
}

#[cold]
#[allow(
    clippy::panic,
    reason = "whoever makes a model, an encoder or a data set with context has asked before"
)]
fn refuse(error: &InstructionsError) -> ! {
    panic!("{error}")
}

fn chosen() -> &'static Result<(InstructionSet, Arch), InstructionsError> {
    static CHOSEN: OnceLock<Result<(InstructionSet, Arch), InstructionsError>> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let asked = std::env::var_os(VARIABLE);
        choose(asked.map(|asked| asked.to_string_lossy().into_owned()))
    })
}

fn choose(asked: Option<String>) -> Result<(InstructionSet, Arch), InstructionsError> {
    let found = match &asked {
        None => all().last(),
        Some(asked) => all().find(|(set, _)| set.name() == asked),
    };
    found.ok_or_else(|| InstructionsError {
        asked: asked.unwrap_or_default(),
        had: InstructionSet::available(),
    })
}

/// What this processor has, the widest last.
fn all() -> impl Iterator<Item = (InstructionSet, Arch)> {
    let scalar = Some((InstructionSet::Scalar, Arch::Scalar));
    #[cfg(target_arch = "x86_64")]
    let wider = {
        use pulp::x86::{V3, V4};
        let avx2 = V3::try_new().map(|simd| (InstructionSet::Avx2, Arch::V3(simd)));
        let avx512 = V4::try_new().map(|simd| (InstructionSet::Avx512, Arch::V4(simd)));
        [avx2, avx512]
    };
    #[cfg(target_arch = "aarch64")]
    let wider = {
        use pulp::aarch64::Neon;
        [Neon::try_new().map(|simd| (InstructionSet::Neon, Arch::Neon(simd)))]
    };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let wider = [None];
    std::iter::once(scalar).chain(wider).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_is_taken_where_nothing_is_asked_for() {
        let (set, _) = choose(None).unwrap();
        assert_eq!(Some(&set), InstructionSet::available().last());
        assert_eq!(InstructionSet::available()[0], InstructionSet::Scalar);
    }

    #[test]
    fn each_that_is_there_can_be_asked_for_and_no_other() {
        for set in InstructionSet::available() {
            assert_eq!(choose(Some(set.to_string())).unwrap().0, set);
        }
        for asked in ["", "sse9", "AVX2", "neon512"] {
            let error = choose(Some(asked.to_owned())).unwrap_err().to_string();
            assert!(error.contains(&format!("'{asked}'")), "{error}");
            assert!(error.contains("scalar"), "{error}");
        }
    }
}

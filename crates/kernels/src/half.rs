/// Widens half-precision numbers, given by their bits, to single precision.
///
/// Plain integer steps rather than a conversion instruction: they are compiled
/// for the registers of [`vectorize`](crate::vectorize) around them, where a call
/// for eight numbers would be made for each eight.
#[inline(always)]
pub fn widen_halves(bits: &[u16], out: &mut [f32]) {
    for (out, &bits) in out.iter_mut().zip(bits) {
        *out = widen(bits);
    }
}

/// IEEE 754: 1 bit of sign, 5 of exponent with bias 15, 10 of fraction become 1,
/// 8 with bias 127, and 23.
#[inline(always)]
fn widen(bits: u16) -> f32 {
    const EXPONENT: u32 = 0x1f << 23;
    let bits = u32::from(bits);
    let sign = (bits & 0x8000) << 16;
    let magnitude = (bits & 0x7fff) << 13;
    let exponent = magnitude & EXPONENT;
    // Infinity and NaN keep the highest exponent.
    let offset = if exponent == EXPONENT { 224 } else { 112 };
    let normal = magnitude + (offset << 23);
    // A subnormal is its fraction times 2⁻²⁴: it is put behind a leading one,
    // which is then taken off.
    let subnormal = f32::from_bits(magnitude + (113 << 23)) - f32::from_bits(113 << 23);
    let wide = if exponent == 0 {
        subnormal.to_bits()
    } else {
        normal
    };
    f32::from_bits(sign | wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value by the definition of the format.
    fn defined(bits: u16) -> f64 {
        let fraction = f64::from(bits & 0x3ff);
        let exponent = i32::from(bits >> 10 & 0x1f);
        let magnitude = match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
        };
        if bits >> 15 == 1 {
            -magnitude
        } else {
            magnitude
        }
    }

    #[test]
    fn every_half_is_widened_exactly() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let mut wide = vec![0.0; bits.len()];
        crate::vectorize(
            #[inline(always)]
            || widen_halves(&bits, &mut wide),
        );
        for (&bits, wide) in bits.iter().zip(wide) {
            let expected = defined(bits);
            if expected.is_nan() {
                assert!(wide.is_nan(), "{bits:#06x}");
            } else {
                assert_eq!(f64::from(wide), expected, "{bits:#06x}");
                assert_eq!(wide.is_sign_negative(), bits >> 15 == 1, "{bits:#06x}");
            }
        }
    }
}

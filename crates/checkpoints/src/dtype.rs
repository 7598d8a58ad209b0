use std::fmt;

use half::{bf16, f16};

/// Type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "they are named as everywhere")]
pub enum Dtype {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F8E4M3,
    F8E5M2,
    F16,
    Bf16,
    F32,
    F64,
    Complex64,
    Complex128,
    /// Any other: quantized numbers, say.
    Other,
}

impl Dtype {
    /// Bytes of a number; 0 where that is not known.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::Complex64 => 8,
            Self::Complex128 => 16,
            Self::Other => 0,
        }
    }

    /// Of the numbers that a storage of this class holds.
    pub(crate) fn of_storage(class: &str) -> Self {
        match class {
            "BoolStorage" => Self::Bool,
            "ByteStorage" | "UntypedStorage" => Self::U8,
            "CharStorage" => Self::I8,
            "ShortStorage" => Self::I16,
            "IntStorage" => Self::I32,
            "LongStorage" => Self::I64,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "ComplexFloatStorage" => Self::Complex64,
            "ComplexDoubleStorage" => Self::Complex128,
            _ => Self::Other,
        }
    }

    /// Of the name that PyTorch has for it.
    pub(crate) fn of_name(name: &str) -> Self {
        match name {
            "bool" => Self::Bool,
            "uint8" => Self::U8,
            "uint16" => Self::U16,
            "uint32" => Self::U32,
            "uint64" => Self::U64,
            "int8" => Self::I8,
            "int16" => Self::I16,
            "int32" => Self::I32,
            "int64" => Self::I64,
            "float8_e4m3fn" => Self::F8E4M3,
            "float8_e5m2" => Self::F8E5M2,
            "float16" => Self::F16,
            "bfloat16" => Self::Bf16,
            "float32" => Self::F32,
            "float64" => Self::F64,
            "complex64" => Self::Complex64,
            "complex128" => Self::Complex128,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bool => "bool",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::F8E4M3 => "float8_e4m3fn",
            Self::F8E5M2 => "float8_e5m2",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
            Self::Other => "of another type",
        })
    }
}

/// Types of Rust's that tensors hold.
pub trait Number: Copy + sealed::Sealed {
    /// Which tensors hold it.
    const DTYPE: Dtype;
    /// The numbers that little-endian bytes stand for, appended to `numbers`.
    fn extend(numbers: &mut Vec<Self>, bytes: &[u8]);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! numbers {
    ($($number:ty => $dtype:ident),*) => {$(
        impl sealed::Sealed for $number {}
        impl Number for $number {
            const DTYPE: Dtype = Dtype::$dtype;
            fn extend(numbers: &mut Vec<Self>, bytes: &[u8]) {
                numbers.extend(bytes.as_chunks().0.iter().map(|&bytes| Self::from_le_bytes(bytes)));
            }
        }
    )*};
}

numbers!(u8 => U8, i8 => I8, i16 => I16, i32 => I32, i64 => I64);
numbers!(f16 => F16, bf16 => Bf16, f32 => F32, f64 => F64);

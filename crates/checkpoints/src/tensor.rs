//! A tensor as the pickle describes it, and where its numbers lie.

use std::ops::Range;

use crate::error::on_a_line;
use crate::pickle::{Node, Pickle, Value};
use crate::{Dtype, Problem};

/// Dimensions of a tensor that is read; PyTorch's own limit.
const MOST_DIMENSIONS: usize = 64;
/// Marks of a tensor that are looked through; PyTorch knows two.
const MOST_MARKS: usize = 16;
/// Parameters within parameters.
const DEEPEST_WRAPPER: usize = 8;

/// Type and shape of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Where it lies, or why it cannot be read.
    pub(crate) place: Result<Place, String>,
}

impl TensorInfo {
    /// Type of its numbers.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its dimensions; none where the tensor is of a kind that has no plain shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers it has.
    pub fn count(&self) -> u64 {
        let sizes = self.shape.iter();
        sizes.fold(1, |count, &size| count.saturating_mul(size as u64))
    }

    /// Why it cannot be read, if so: it is sparse, say.
    pub fn problem(&self) -> Option<&str> {
        self.place.as_ref().err().map(String::as_str)
    }

    fn unreadable(what: impl Into<String>) -> Self {
        Self {
            dtype: Dtype::Other,
            shape: Vec::new(),
            place: Err(what.into()),
        }
    }
}

/// Where the numbers of a tensor lie in its file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// Where the first number lies.
    pub start: u64,
    /// Numbers from one step of each dimension to the next.
    pub strides: Vec<u64>,
    /// Numbers from the first to behind the last; 0 where there is none.
    pub span: u64,
}

impl Place {
    /// Whether the numbers lie one after another, the last dimension the fastest.
    pub fn is_contiguous(&self, shape: &[usize]) -> bool {
        let mut expected = 1u64;
        shape
            .iter()
            .zip(&self.strides)
            .rev()
            .all(|(&size, &stride)| {
                let fits = size == 1 || stride == expected;
                expected = expected.saturating_mul(size as u64);
                fits
            })
    }
}

/// Finds where a storage lies: its bytes in the file, if it is there.
pub(crate) type Locate<'a> = dyn Fn(&str) -> Result<Option<Range<u64>>, Problem> + 'a;

/// The tensor that a value is, if it is one.
pub(crate) fn tensor(
    pickle: &Pickle,
    value: Value,
    locate: &Locate,
) -> Result<Option<TensorInfo>, Problem> {
    let Some((function, arguments)) = call(pickle, value) else {
        return Ok(None);
    };
    let is_v3 = match function {
        "_rebuild_tensor_v3" => true,
        "_rebuild_tensor" | "_rebuild_tensor_v2" => false,
        other => return Ok(Some(TensorInfo::unreadable(kind(other)))),
    };
    let Some(&[storage, offset, sizes, strides]) = arguments.first_chunk() else {
        return Err(malformed());
    };
    let (sizes, strides) = (numbers(pickle, sizes)?, numbers(pickle, strides)?);
    if sizes.len() != strides.len() {
        return Err(malformed());
    }
    let offset = number(offset).ok_or_else(malformed)?;
    let storage = Storage::of(pickle, storage)?;
    let dtype = match is_v3 {
        false => storage.dtype,
        // Its storage is one of bytes.
        true => {
            let dtype = arguments.get(6).and_then(|&dtype| pickle.class(dtype));
            dtype.map_or(Dtype::Other, |(_, name)| Dtype::of_name(name))
        }
    };
    let is_marked = arguments.last().is_some_and(|&last| {
        let flag = |key| pickle.get(last, key) == Some(Value::Bool(true));
        pickle.size(last) > 0 && (pickle.size(last) > MOST_MARKS || flag("neg") || flag("conj"))
    });
    let place = match (dtype, storage.location) {
        (_, "meta") => Err("a tensor without numbers, of the device 'meta'".to_owned()),
        (Dtype::Other, _) => Err(format!(
            "a tensor of {} numbers, which are not read",
            on_a_line(storage.class)
        )),
        _ if is_marked => Err(
            "a conjugated or negated view; save it after .resolve_conj().resolve_neg()".to_owned(),
        ),
        _ => place(&storage, dtype, offset, (&sizes, strides), locate)?,
    };
    let shape = sizes.iter().map(|&size| usize::try_from(size));
    let shape = shape.collect::<Result<_, _>>().map_err(|_| malformed())?;
    Ok(Some(TensorInfo {
        dtype,
        shape,
        place,
    }))
}

/// Name of the function that makes a tensor, and its arguments; those of parameters are
/// the tensor's within.
fn call(pickle: &Pickle, mut value: Value) -> Option<(&str, &[Value])> {
    for _ in 0..DEEPEST_WRAPPER {
        let object = pickle.object(value)?;
        let (module, mut name) = pickle.class(object.class)?;
        let mut arguments = pickle.elements(object.arguments)?;
        if !module.starts_with("torch") {
            return None;
        }
        if name == "_rebuild_from_type_v2" {
            let &[function, _, inner, ..] = arguments else {
                return Some((name, arguments));
            };
            name = pickle.class(function)?.1;
            arguments = pickle.elements(inner)?;
        }
        match name {
            "_rebuild_parameter" | "_rebuild_parameter_with_state" | "Parameter" | "Buffer" => {
                value = *arguments.first()?;
            }
            _ if name.starts_with("_rebuild_") || name.ends_with("Tensor") => {
                return Some((name, arguments));
            }
            _ => return None,
        }
    }
    None
}

/// What a function makes that makes no plain tensor.
fn kind(function: &str) -> String {
    let kind = match function {
        "_rebuild_qtensor" => "a quantized tensor; save it after .dequantize()",
        "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor" => {
            "a sparse tensor; save it after .to_dense()"
        }
        "_rebuild_nested_tensor" => "a nested tensor; save its parts each",
        "_rebuild_meta_tensor_no_storage" => "a tensor without numbers, of the device 'meta'",
        "ShardedTensor" | "DTensor" => {
            "a shard of a tensor, the rest of which is in other files; gather it before it is saved"
        }
        other => {
            return format!(
                "a tensor of a kind that is not read ({}); save it as a dense tensor",
                on_a_line(other)
            );
        }
    };
    kind.to_owned()
}

struct Storage<'a> {
    class: &'a str,
    dtype: Dtype,
    key: &'a str,
    location: &'a str,
    is_view: bool,
}

impl<'a> Storage<'a> {
    /// `('storage', class, key, location, numbers)`, and where the older format writes it,
    /// of which other storage it is a part.
    fn of(pickle: &'a Pickle, value: Value) -> Result<Self, Problem> {
        let Some(&Node::Persistent(id)) = pickle.node(value) else {
            return Err(malformed());
        };
        let Some(&[_, class, key, location, _, ref view @ ..]) = pickle.elements(id) else {
            return Err(malformed());
        };
        let (Some((_, class)), Some(key), Some(location)) =
            (pickle.class(class), pickle.str(key), pickle.str(location))
        else {
            return Err(malformed());
        };
        Ok(Self {
            class,
            dtype: Dtype::of_storage(class),
            key,
            location,
            is_view: !matches!(view, [] | [Value::None]),
        })
    }
}

/// Key and size of a number of each storage that a pickle speaks of.
pub(crate) fn storages(pickle: &Pickle) -> impl Iterator<Item = (&str, usize)> {
    let values = (0..pickle.nodes.len()).map(Value::Node);
    values.filter_map(|value| {
        let storage = Storage::of(pickle, value).ok()?;
        let size = match storage.class {
            "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => 1,
            "QInt32Storage" => 4,
            _ => storage.dtype.size(),
        };
        Some((storage.key, size))
    })
}

fn malformed() -> Problem {
    Problem::Damaged("its pickle describes a tensor that cannot be".to_owned())
}

/// A tuple of numbers that are not below 0, one a dimension.
fn numbers(pickle: &Pickle, value: Value) -> Result<Vec<u64>, Problem> {
    let values = pickle.elements(value).ok_or_else(malformed)?;
    if values.len() > MOST_DIMENSIONS {
        return Err(malformed());
    }
    let numbers = values.iter().map(|&value| number(value));
    numbers.collect::<Option<_>>().ok_or_else(malformed)
}

fn number(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// Where a tensor lies, if it can be read; an error where it is not all in the file.
fn place(
    storage: &Storage,
    dtype: Dtype,
    offset: u64,
    (sizes, strides): (&[u64], Vec<u64>),
    locate: &Locate,
) -> Result<Result<Place, String>, Problem> {
    if storage.is_view {
        return Ok(Err(
            "a view of a storage, as PyTorch before 0.4 wrote it".to_owned()
        ));
    }
    let size = dtype.size() as u64;
    let product = sizes
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size));
    let (Some(count), Some(range)) = (product, locate(storage.key)?) else {
        return Err(Problem::Damaged(format!(
            "the numbers of a tensor of shape {sizes:?} are not in it (storage '{}')",
            on_a_line(storage.key)
        )));
    };
    if count == 0 {
        return Ok(Ok(Place {
            start: range.start,
            strides,
            span: 0,
        }));
    }
    let held = (range.end - range.start) / size;
    let mut steps = sizes.iter().zip(&strides);
    let last = steps.try_fold(0u64, |last, (&size, &stride)| {
        (size - 1).checked_mul(stride)?.checked_add(last)
    });
    let end = last.and_then(|last| last.checked_add(1)?.checked_add(offset));
    let Some(end) = end.filter(|&end| end <= held) else {
        return Err(Problem::Damaged(format!(
            "a tensor of shape {sizes:?} reaches beyond the {held} numbers that storage '{}' has",
            on_a_line(storage.key)
        )));
    };
    if count > held {
        return Ok(Err(format!(
            "a tensor of shape {sizes:?} over {held} numbers, some of which it repeats; save it after .contiguous()"
        )));
    }
    Ok(Ok(Place {
        start: range.start + offset * size,
        strides,
        span: end - offset,
    }))
}

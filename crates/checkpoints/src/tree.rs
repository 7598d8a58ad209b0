//! The tensors within what a pickle holds, and which of them are the model.
//!
//! Dictionaries, lists, modules (`torch.save(model)`) and TorchScript's objects are branches,
//! tensors are leaves; whatever else stands beside them is passed over, an optimizer's state
//! among it. A tensor's name is the keys that lead to it, joined by dots.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::Problem;
use crate::error::{counted, on_a_line};
use crate::pickle::{Node, Object, Pickle, Value};
use crate::tensor::{Locate, TensorInfo, tensor};

/// Branches within branches.
const DEEPEST: usize = 64;
/// Values that are looked at: a value that is referred to many times counts as often.
const MOST_VISITS: usize = 1 << 22;
/// Bytes of all names, and of what stands with each; a thousand tensors have 200 kB.
const MOST_NAMES: usize = 1 << 25;
/// Under which models are saved beside other things.
const MODEL_KEYS: [&str; 10] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
];
/// Keys of a file that its description names.
const KEYS_NAMED: usize = 12;

/// All tensors of a pickle.
pub(crate) struct Tree {
    /// With their names, in the file's order.
    pub tensors: Vec<(String, TensorInfo)>,
    pub model: Model,
    /// What the root is, in words.
    pub root: String,
}

/// Which tensors are the model.
#[derive(Debug, Clone)]
pub(crate) enum Model {
    /// Those of these numbers, behind so many bytes of their names.
    One { tensors: Range<usize>, cut: usize },
    /// Keys of the root, and how many tensors each holds.
    Several(Vec<(String, usize)>),
}

/// A branch that holds tensors.
struct Branch {
    /// Bytes of the names of its tensors that lead to it.
    cut: usize,
    tensors: Range<usize>,
    /// Branches directly within, with their keys.
    branches: Vec<(String, Branch)>,
    /// Whether a tensor of more than one number is directly within: single ones are
    /// measures, say, saved beside a model.
    has_leaves: bool,
    /// Whether it is a whole module, whose parts are no models of their own.
    is_module: bool,
}

struct Walk<'a> {
    pickle: &'a Pickle,
    locate: &'a Locate<'a>,
    tensors: Vec<(String, TensorInfo)>,
    name: String,
    visits: usize,
    name_bytes: usize,
}

impl Tree {
    pub fn of(pickle: &Pickle, locate: &Locate) -> Result<Self, Problem> {
        let mut walk = Walk {
            pickle,
            locate,
            tensors: Vec::new(),
            name: String::new(),
            visits: 0,
            name_bytes: 0,
        };
        let root = walk.branch(pickle.root, 0)?;
        let held = describe(pickle, root.as_ref(), &walk.tensors);
        let root = match root {
            Some(root) if !root.tensors.is_empty() => root,
            _ if tensor(pickle, pickle.root, locate)?.is_some() => {
                return Err(Problem::NoTensors(
                    "one tensor, without a name; save a state_dict".to_owned(),
                ));
            }
            _ => return Err(Problem::NoTensors(held)),
        };
        let tensors = walk.tensors;
        let mut names = HashSet::with_capacity(tensors.len());
        let mut again = tensors
            .iter()
            .filter(|(name, _)| !names.insert(name.as_str()));
        if let Some((twice, _)) = again.next() {
            return Err(Problem::Damaged(format!(
                "it has two tensors '{}'",
                on_a_line(twice)
            )));
        }
        Ok(Self {
            model: model(&root),
            root: held,
            tensors,
        })
    }
}

impl Walk<'_> {
    /// A value as a branch, if it can be one, with its tensors noted.
    fn branch(&mut self, value: Value, depth: usize) -> Result<Option<Branch>, Problem> {
        let pickle = self.pickle;
        let object = pickle.object(value);
        let parts = object.map_or(0, |object| module_size(pickle, object));
        self.look_at(pickle.size(value) + parts)?;
        let start = self.tensors.len();
        let cut = self.name.len();
        let mut branch = Branch {
            cut,
            tensors: start..start,
            branches: Vec::new(),
            has_leaves: false,
            is_module: false,
        };
        if let Some(object) = object
            && let Some(parts) = module_parts(pickle, object)
        {
            branch.is_module = true;
            for entries in parts {
                self.entries(&entries, depth, &mut branch)?;
            }
        } else if let Some(entries) = pickle.entries(value) {
            let is_optimizer = pickle.get(value, "param_groups").is_some();
            if !is_optimizer {
                self.entries(&entries, depth, &mut branch)?;
            }
        } else if let Some(elements) = pickle.elements(value) {
            for (number, &element) in elements.iter().enumerate() {
                self.entry(&number.to_string(), element, depth, &mut branch)?;
            }
        } else {
            return Ok(None);
        }
        branch.tensors.end = self.tensors.len();
        Ok(Some(branch))
    }

    fn entries(
        &mut self,
        entries: &[(Value, Value)],
        depth: usize,
        branch: &mut Branch,
    ) -> Result<(), Problem> {
        let key = |key| match key {
            Value::Int(number) => Some((true, number.to_string())),
            _ => Some((false, self.pickle.str(key)?.to_owned())),
        };
        let keyed = entries
            .iter()
            .filter_map(|entry| Some((key(entry.0)?, entry.1)));
        let keyed: Vec<_> = keyed.collect();
        // A later entry replaces an earlier one, at its place.
        let mut last: HashMap<_, Value> = keyed.iter().map(|(key, value)| (key, *value)).collect();
        for (key, _) in &keyed {
            if let Some(value) = last.remove(key) {
                self.entry(&key.1, value, depth, branch)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        key: &str,
        value: Value,
        depth: usize,
        branch: &mut Branch,
    ) -> Result<(), Problem> {
        self.look_at(1)?;
        if !matches!(value, Value::Node(_)) {
            return Ok(());
        }
        let length = self.name.len();
        if length > 0 {
            self.name.push('.');
        }
        self.name.push_str(key);
        if let Some(info) = tensor(self.pickle, value, self.locate)? {
            branch.has_leaves |= info.count() > 1;
            self.leaf(info)?;
        } else if depth >= DEEPEST {
            return Err(Problem::TooLarge {
                what: format!(
                    "'{}' stands within too many other values",
                    on_a_line(&self.name)
                ),
                most: DEEPEST as u64,
            });
        } else if let Some(inner) = self.branch(value, depth + 1)?
            && !inner.tensors.is_empty()
        {
            branch.branches.push((key.to_owned(), inner));
        }
        self.name.truncate(length);
        Ok(())
    }

    /// Notes that so many values are looked at.
    fn look_at(&mut self, values: usize) -> Result<(), Problem> {
        self.visits += values;
        match self.visits > MOST_VISITS {
            false => Ok(()),
            true => Err(Problem::TooLarge {
                what: "its values within values are more than any model has".to_owned(),
                most: MOST_VISITS as u64,
            }),
        }
    }

    fn leaf(&mut self, info: TensorInfo) -> Result<(), Problem> {
        self.name_bytes += self.name.len() + size_of::<(String, TensorInfo)>();
        if self.name_bytes > MOST_NAMES {
            return Err(Problem::TooLarge {
                what: "the names of its tensors have too many bytes".to_owned(),
                most: MOST_NAMES as u64,
            });
        }
        self.tensors.push((self.name.clone(), info));
        Ok(())
    }
}

/// What a module holds: its parameters, those buffers that belong to its state, and other
/// modules. A TorchScript module has them all as attributes.
fn module_parts(pickle: &Pickle, object: &Object) -> Option<Vec<Vec<(Value, Value)>>> {
    let (module, _) = pickle.class(object.class)?;
    let state = object.state;
    if module.starts_with("__torch__") {
        return Some(vec![pickle.entries(state)?.into_owned()]);
    }
    let part = |key| pickle.get(state, key).and_then(|part| pickle.entries(part));
    let (parameters, modules) = (part("_parameters")?, part("_modules")?);
    let passing = pickle.get(state, "_non_persistent_buffers_set");
    let passing = passing
        .and_then(|set| pickle.set_elements(set))
        .unwrap_or_default();
    let passing: HashSet<_> = passing
        .iter()
        .filter_map(|&name| pickle.str(name))
        .collect();
    let mut buffers = part("_buffers").unwrap_or_default().into_owned();
    buffers.retain(|&(name, _)| pickle.str(name).is_none_or(|name| !passing.contains(name)));
    Some(vec![parameters.into_owned(), buffers, modules.into_owned()])
}

/// How much there is to look through in a module.
fn module_size(pickle: &Pickle, object: &Object) -> usize {
    let parts = [
        "_parameters",
        "_buffers",
        "_modules",
        "_non_persistent_buffers_set",
    ];
    let parts = parts
        .iter()
        .filter_map(|part| pickle.get(object.state, part));
    let parts: usize = parts.map(|part| pickle.size(part)).sum();
    pickle.size(object.state) * 8 + parts
}

/// Follows keys that models are saved under, and at the root a key that alone has tensors.
fn model(root: &Branch) -> Model {
    let mut branch = root;
    loop {
        let (known, is_root) = (known(branch), std::ptr::eq(branch, root));
        match known.as_slice() {
            _ if branch.is_module => break,
            [(_, inner)] => branch = inner,
            [] if branch.has_leaves || !is_root => break,
            [] => match branch.branches.as_slice() {
                [] => break,
                [(_, inner)] => branch = inner,
                _ => return several(branch.branches.iter()),
            },
            _ => return several(known.into_iter()),
        }
    }
    Model::One {
        tensors: branch.tensors.clone(),
        cut: if branch.cut == 0 { 0 } else { branch.cut + 1 },
    }
}

fn known(branch: &Branch) -> Vec<&(String, Branch)> {
    let branches = branch.branches.iter();
    branches
        .filter(|(key, _)| MODEL_KEYS.contains(&key.as_str()))
        .collect()
}

fn several<'a>(branches: impl Iterator<Item = &'a (String, Branch)>) -> Model {
    Model::Several(
        branches
            .map(|(key, branch)| (key.clone(), branch.tensors.len()))
            .collect(),
    )
}

/// The error of a pickle that is no checkpoint.
pub(crate) fn no_checkpoint(pickle: &Pickle) -> Problem {
    Problem::OtherFile(format!(
        "a pickle of something else (it holds {})",
        describe(pickle, None, &[])
    ))
}

/// What the root is, in words.
///
/// Keys of tensors are left to the tensors' own description.
fn describe(pickle: &Pickle, branch: Option<&Branch>, tensors: &[(String, TensorInfo)]) -> String {
    let root = pickle.root;
    let object = pickle
        .object(root)
        .and_then(|object| pickle.class(object.class));
    if let Some(entries) = pickle.entries(root) {
        let names: HashSet<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
        let held = |key: &str| {
            let branches = branch.iter().flat_map(|branch| &branch.branches);
            let mut named = branches.filter(|(name, _)| name == key);
            named.next().map_or(0, |(_, branch)| branch.tensors.len())
        };
        let keys = entries.iter().filter_map(|entry| pickle.str(entry.0));
        let keys: Vec<&str> = keys.filter(|key| !names.contains(key)).collect();
        let named = keys.iter().take(KEYS_NAMED);
        let named: Vec<_> = named.map(|&key| (key.to_owned(), held(key))).collect();
        let more = keys.len() - named.len();
        return match (named.as_slice(), more) {
            ([], _) if entries.is_empty() => "an empty dictionary".to_owned(),
            ([], _) => "a dictionary".to_owned(),
            (keys, 0) => format!("a dictionary with the keys {}", counted(keys)),
            (keys, more) => format!(
                "a dictionary with the keys {} and {more} more",
                counted(keys)
            ),
        };
    }
    match (object, pickle.node(root)) {
        (Some((module, name)), _) => on_a_line(&format!("an object of the class {module}.{name}")),
        (_, Some(Node::List(list))) => format!("a list of {} values", list.len()),
        (_, Some(Node::Tuple(list))) => format!("a tuple of {} values", list.len()),
        (_, Some(Node::Set(_))) => "a set".to_owned(),
        (_, Some(Node::Class { .. })) => "a class".to_owned(),
        _ => match root {
            Value::None => "None".to_owned(),
            Value::Bool(_) => "a truth value".to_owned(),
            Value::Int(_) => "a number".to_owned(),
            Value::Text(_) => "a text".to_owned(),
            _ => "a value that is no dictionary".to_owned(),
        },
    }
}

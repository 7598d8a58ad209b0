//! A pickle as values, of which none is ever made.
//!
//! Values that others refer to stand in a list and are spoken of by their number there, so
//! that a value within itself, or one that is referred to a million times, takes no more
//! room than the bytes that say so.

use std::borrow::Cow;
use std::io::BufRead;

use crate::Problem;
use crate::machine::{Machine, Source};

/// A value of a pickle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(Text),
    /// The number that the older format begins with.
    Magic,
    /// Of which no more is known: fractions, numbers beyond 64 bits, long texts.
    Other,
    Node(usize),
}

/// A text that is kept in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Text {
    pub start: u32,
    pub end: u32,
}

/// A value that others may refer to.
#[derive(Debug)]
pub(crate) enum Node {
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Set(Vec<Value>),
    Class {
        module: Text,
        name: Text,
    },
    /// What the pickler wrote elsewhere: the numbers of a tensor.
    Persistent(Value),
    Object(Box<Object>),
}

/// The result of a call that was not made.
#[derive(Debug)]
pub(crate) struct Object {
    /// The class, or the function.
    pub class: Value,
    /// Its arguments: a tuple.
    pub arguments: Value,
    /// What the object would be given afterwards: its attributes.
    pub state: Value,
    /// What it holds as a dictionary does.
    pub entries: Vec<(Value, Value)>,
}

/// What a program came to.
#[derive(Debug)]
pub(crate) struct Pickle {
    pub root: Value,
    pub nodes: Vec<Node>,
    text: Vec<u8>,
}

impl Pickle {
    /// Follows the program that `source` is at, and leaves it behind its end.
    pub fn read<R: BufRead>(source: &mut Source<R>) -> Result<Self, Problem> {
        let mut machine = Machine::new(source);
        let root = machine.run()?;
        let (nodes, text) = machine.into_values();
        Ok(Self { root, nodes, text })
    }

    pub fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(number) => self.nodes.get(number),
            _ => None,
        }
    }

    pub fn object(&self, value: Value) -> Option<&Object> {
        match self.node(value)? {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn str(&self, value: Value) -> Option<&str> {
        let Value::Text(text) = value else {
            return None;
        };
        Some(self.text(text))
    }

    fn text(&self, text: Text) -> &str {
        let bytes = self.text.get(text.start as usize..text.end as usize);
        bytes
            .and_then(|bytes| str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    /// Module and name of a class or function. The older format writes the class of a module
    /// with its source code: `('module', class, file, code)`.
    pub fn class(&self, value: Value) -> Option<(&str, &str)> {
        let names = |node: &Node| match *node {
            Node::Class { module, name } => Some((self.text(module), self.text(name))),
            _ => None,
        };
        match self.node(value)? {
            &Node::Persistent(id) => match *self.elements(id)? {
                [kind, class, ..] if self.str(kind) == Some("module") => names(self.node(class)?),
                _ => None,
            },
            node => names(node),
        }
    }

    /// The elements of a tuple or list.
    pub fn elements(&self, value: Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::List(elements) | Node::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements of a set: in older protocols it is the call `set([…])`.
    pub fn set_elements(&self, value: Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::Set(elements) => Some(elements),
            Node::Object(object) => match *self.elements(object.arguments)? {
                [list] => self.elements(list),
                _ => None,
            },
            _ => None,
        }
    }

    /// The entries of a dictionary, or of an object that is one.
    pub fn entries(&self, value: Value) -> Option<Cow<'_, [(Value, Value)]>> {
        let object = match self.node(value)? {
            Node::Dict(entries) => return Some(Cow::Borrowed(entries)),
            Node::Object(object) => object,
            _ => return None,
        };
        let is_dict = matches!(
            self.class(object.class),
            Some((_, "OrderedDict" | "defaultdict"))
        );
        match self.given_entries(object.arguments) {
            Some(given) if is_dict && object.entries.is_empty() => Some(Cow::Owned(given)),
            _ if is_dict || !object.entries.is_empty() => Some(Cow::Borrowed(&object.entries)),
            _ => None,
        }
    }

    /// Those of a dictionary as Python 2 makes it, `OrderedDict([[key, value], …])`.
    fn given_entries(&self, arguments: Value) -> Option<Vec<(Value, Value)>> {
        let &[list] = self.elements(arguments)? else {
            return None;
        };
        let pair = |&pair: &Value| match *self.elements(pair)? {
            [key, value] => Some((key, value)),
            _ => None,
        };
        self.elements(list)?.iter().map(pair).collect()
    }

    /// What stands under a key; later entries replace earlier ones.
    pub fn get(&self, value: Value, key: &str) -> Option<Value> {
        let entries = self.entries(value)?;
        let mut entries = entries.iter().rev();
        let found = entries.find(|(it, _)| self.str(*it) == Some(key));
        found.map(|entry| entry.1)
    }

    /// How much there is to look through in a value, what it holds at one remove included.
    pub fn size(&self, value: Value) -> usize {
        match self.node(value) {
            Some(Node::List(values) | Node::Tuple(values) | Node::Set(values)) => values.len(),
            Some(Node::Dict(entries)) => entries.len(),
            Some(Node::Object(object)) => {
                let list = self.elements(object.arguments).and_then(<[Value]>::first);
                let list = list.and_then(|&list| self.elements(list));
                object.entries.len() + list.map_or(0, <[Value]>::len)
            }
            _ => 0,
        }
    }
}

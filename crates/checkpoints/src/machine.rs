//! The machine that a pickle is a program for: a stack and a memo.
//!
//! Python's calls whatever function the program names; this one notes the call
//! ([`Node::Object`]) and goes on. What a program can ask for is limited by its length.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use crate::Problem;
use crate::pickle::{Node, Object, Text, Value};

/// Instructions of the longest program that is followed; a model of a thousand tensors has
/// thirty thousand.
const MOST_INSTRUCTIONS: u64 = 1 << 21;
/// Bytes of the longest text that is kept. Names are shorter; the contents of numpy's arrays
/// and the source code beside a model are not asked for.
const LONGEST_TEXT: u64 = 1 << 12;
/// Bytes of all texts that are kept.
const MOST_TEXT: usize = 1 << 26;
/// With which the older format begins.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// The bytes of a program, of which there are no more than `left`.
pub(crate) struct Source<R> {
    input: R,
    left: u64,
}

impl<R: BufRead> Source<R> {
    pub fn new(input: R, left: u64) -> Self {
        Self { input, left }
    }

    /// Bytes that were not read.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub fn skip(&mut self, count: u64) -> Result<(), Problem> {
        self.take(count)?;
        let skipped = std::io::copy(&mut (&mut self.input).take(count), &mut std::io::sink())?;
        match skipped == count {
            true => Ok(()),
            false => Err(cut_off()),
        }
    }

    fn take(&mut self, count: u64) -> Result<(), Problem> {
        self.left = self.left.checked_sub(count).ok_or_else(cut_off)?;
        Ok(())
    }
}

fn cut_off() -> Problem {
    damaged("it ends within its pickle")
}

fn damaged(what: &str) -> Problem {
    Problem::Damaged(what.to_owned())
}

/// Follows one program.
pub(crate) struct Machine<'a, R> {
    source: &'a mut Source<R>,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    nodes: Vec<Node>,
    text: Vec<u8>,
}

impl<'a, R: BufRead> Machine<'a, R> {
    pub fn new(source: &'a mut Source<R>) -> Self {
        Self {
            source,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nodes: Vec::new(),
            text: Vec::new(),
        }
    }

    /// The values that others refer to, and the texts.
    pub fn into_values(self) -> (Vec<Node>, Vec<u8>) {
        (self.nodes, self.text)
    }

    /// What the program comes to; the source is left behind its end.
    pub fn run(&mut self) -> Result<Value, Problem> {
        for _ in 0..MOST_INSTRUCTIONS {
            let [instruction] = self.source.array()?;
            if instruction == b'.' {
                return self.pop();
            }
            self.step(instruction)?;
        }
        Err(Problem::TooLarge {
            what: "its pickle has more instructions than any model needs".to_owned(),
            most: MOST_INSTRUCTIONS,
        })
    }

    /// Instructions are named as Python's `pickletools` does.
    fn step(&mut self, instruction: u8) -> Result<(), Problem> {
        match instruction {
            // PROTO, FRAME: what follows stands for itself.
            0x80 => self.source.skip(1)?,
            0x95 => self.source.skip(8)?,
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a | 0x8b => self.integer(instruction)?,
            b'G' => {
                self.source.skip(8)?;
                self.stack.push(Value::Other);
            }
            // Texts and bytes, of a length of one, four or eight bytes.
            0x8c | b'U' | b'C' => self.sized_text(1)?,
            b'X' | b'T' | b'B' => self.sized_text(4)?,
            0x8d | 0x8e | 0x96 => self.sized_text(8)?,
            // MARK, POP, POP_MARK, DUP.
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.drop_top()?,
            b'1' => self.pop_mark().map(|_| ())?,
            b'2' => self.stack.push(self.top()?),
            b'q' | b'r' | 0x94 => self.remember(instruction)?,
            b'h' | b'j' => self.recall(instruction)?,
            b']' => self.push(Node::List(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            0x8f => self.push(Node::Set(Vec::new())),
            b'l' | b't' | b'd' | 0x91 => self.collection(instruction)?,
            0x85..=0x87 => self.short_tuple(usize::from(instruction - 0x84))?,
            // APPEND, APPENDS, ADDITEMS, SETITEM, SETITEMS.
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' | 0x90 => {
                let values = self.pop_mark()?;
                self.append(values)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let values = self.pop_mark()?;
                self.set(&values)?;
            }
            b'c' => self.class()?,
            0x93 => self.stack_class()?,
            // BINPERSID.
            b'Q' => {
                let value = self.pop()?;
                self.push(Node::Persistent(value));
            }
            b'R' | 0x81 | 0x92 | b'o' => self.call(instruction)?,
            b'b' => self.build()?,
            _ => {
                return Err(Problem::Damaged(format!(
                    "its pickle has the instruction {instruction:#04x}, which PyTorch does not write"
                )));
            }
        }
        Ok(())
    }

    fn push(&mut self, node: Node) {
        self.stack.push(Value::Node(self.nodes.len()));
        self.nodes.push(node);
    }

    /// Whether values stand above the last mark.
    fn has_values(&self) -> bool {
        self.stack.len() > self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value, Problem> {
        match self.has_values() {
            true => self.stack.pop().ok_or_else(underflow),
            false => Err(underflow()),
        }
    }

    fn top(&self) -> Result<Value, Problem> {
        match self.has_values() {
            true => self.stack.last().copied().ok_or_else(underflow),
            false => Err(underflow()),
        }
    }

    /// Python's POP takes a mark off where one is on top.
    fn drop_top(&mut self) -> Result<(), Problem> {
        match self.has_values() {
            true => self.pop().map(|_| ()),
            false => self.marks.pop().map(|_| ()).ok_or_else(underflow),
        }
    }

    /// The values above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Value>, Problem> {
        let mark = self.marks.pop().ok_or_else(underflow)?;
        match mark <= self.stack.len() {
            true => Ok(self.stack.split_off(mark)),
            false => Err(underflow()),
        }
    }

    fn integer(&mut self, instruction: u8) -> Result<(), Problem> {
        let value = match instruction {
            b'K' => Value::Int(i64::from(self.source.array::<1>()?[0])),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.source.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.source.array()?))),
            _ => self.long(instruction)?,
        };
        self.stack.push(value);
        Ok(())
    }

    /// LONG1 and LONG4.
    fn long(&mut self, instruction: u8) -> Result<Value, Problem> {
        let length = match instruction {
            0x8a => u64::from(self.source.array::<1>()?[0]),
            _ => u64::from(u32::from_le_bytes(self.source.array()?)),
        };
        if length > 16 {
            self.source.skip(length)?;
            return Ok(Value::Other);
        }
        let mut bytes = Vec::new();
        for _ in 0..length {
            bytes.extend(self.source.array::<1>()?);
        }
        let is_negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut all = [if is_negative { 0xff } else { 0 }; 16];
        all[..bytes.len()].copy_from_slice(&bytes);
        let number = i128::from_le_bytes(all);
        Ok(match i64::try_from(number) {
            Ok(number) => Value::Int(number),
            Err(_) if number == MAGIC => Value::Magic,
            Err(_) => Value::Other,
        })
    }

    fn sized_text(&mut self, size: u8) -> Result<(), Problem> {
        let length = match size {
            1 => u64::from(self.source.array::<1>()?[0]),
            4 => u64::from(u32::from_le_bytes(self.source.array()?)),
            _ => u64::from_le_bytes(self.source.array()?),
        };
        if length > LONGEST_TEXT {
            self.source.skip(length)?;
            self.stack.push(Value::Other);
            return Ok(());
        }
        self.source.take(length)?;
        let mut bytes = vec![0; length as usize];
        self.source.input.read_exact(&mut bytes)?;
        let text = self.keep(&bytes)?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<Text, Problem> {
        let start = self.text.len();
        let text = String::from_utf8_lossy(bytes);
        if start + text.len() > MOST_TEXT {
            return Err(Problem::TooLarge {
                what: "its pickle has more bytes of text than any model needs".to_owned(),
                most: MOST_TEXT as u64,
            });
        }
        self.text.extend_from_slice(text.as_bytes());
        Ok(Text {
            start: start as u32,
            end: self.text.len() as u32,
        })
    }

    /// BINPUT, LONG_BINPUT and MEMOIZE.
    fn remember(&mut self, instruction: u8) -> Result<(), Problem> {
        let place = match instruction {
            b'q' => u32::from(self.source.array::<1>()?[0]),
            b'r' => u32::from_le_bytes(self.source.array()?),
            _ => self.memo.len() as u32,
        };
        let value = self.top()?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, instruction: u8) -> Result<(), Problem> {
        let place = match instruction {
            b'h' => u32::from(self.source.array::<1>()?[0]),
            _ => u32::from_le_bytes(self.source.array()?),
        };
        let value = self.memo.get(&place).copied();
        let value =
            value.ok_or_else(|| damaged("its pickle refers to a value that is not there"))?;
        self.stack.push(value);
        Ok(())
    }

    /// LIST, TUPLE, DICT and FROZENSET.
    fn collection(&mut self, instruction: u8) -> Result<(), Problem> {
        let values = self.pop_mark()?;
        let node = match instruction {
            b'l' => Node::List(values),
            b't' => Node::Tuple(values),
            b'd' => Node::Dict(pairs(&values)?),
            _ => Node::Set(values),
        };
        self.push(node);
        Ok(())
    }

    fn short_tuple(&mut self, length: usize) -> Result<(), Problem> {
        let mut values = (0..length)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>, _>>()?;
        values.reverse();
        self.push(Node::Tuple(values));
        Ok(())
    }

    fn top_node(&mut self) -> Result<&mut Node, Problem> {
        let node = match self.top()? {
            Value::Node(number) => self.nodes.get_mut(number),
            _ => None,
        };
        node.ok_or_else(|| damaged("its pickle fills a value that holds nothing"))
    }

    fn append(&mut self, mut values: Vec<Value>) -> Result<(), Problem> {
        match self.top_node()? {
            Node::List(list) | Node::Set(list) => list.append(&mut values),
            // It is a list of its own kind, in which no tensor is looked for.
            Node::Object(_) => {}
            _ => return Err(damaged("its pickle appends to what is no list")),
        }
        Ok(())
    }

    fn set(&mut self, values: &[Value]) -> Result<(), Problem> {
        let mut pairs = pairs(values)?;
        match self.top_node()? {
            Node::Dict(entries) => entries.append(&mut pairs),
            Node::Object(object) => object.entries.append(&mut pairs),
            _ => return Err(damaged("its pickle sets entries of what is no dictionary")),
        }
        Ok(())
    }

    /// GLOBAL.
    fn class(&mut self) -> Result<(), Problem> {
        let (module, name) = (self.line()?, self.line()?);
        self.push(Node::Class { module, name });
        Ok(())
    }

    fn line(&mut self) -> Result<Text, Problem> {
        let mut line = Vec::new();
        loop {
            match self.source.array()? {
                [b'\n'] => return self.keep(&line),
                _ if line.len() as u64 >= LONGEST_TEXT => {
                    return Err(damaged("its pickle has a name without an end"));
                }
                [byte] => line.push(byte),
            }
        }
    }

    fn stack_class(&mut self) -> Result<(), Problem> {
        let (Value::Text(name), Value::Text(module)) = (self.pop()?, self.pop()?) else {
            return Err(damaged("its pickle has a class whose name is no text"));
        };
        self.push(Node::Class { module, name });
        Ok(())
    }

    /// REDUCE, NEWOBJ, NEWOBJ_EX and OBJ.
    fn call(&mut self, instruction: u8) -> Result<(), Problem> {
        if instruction == b'o' {
            let mut values = self.pop_mark()?;
            if values.is_empty() {
                return Err(underflow());
            }
            let class = values.remove(0);
            self.push(Node::Tuple(values));
            self.stack.push(class);
            let last = self.stack.len();
            self.stack.swap(last - 2, last - 1);
        }
        if instruction == 0x92 {
            // The arguments with names.
            self.pop()?;
        }
        let (arguments, class) = (self.pop()?, self.pop()?);
        self.push(Node::Object(Box::new(Object {
            class,
            arguments,
            state: Value::None,
            entries: Vec::new(),
        })));
        Ok(())
    }

    fn build(&mut self) -> Result<(), Problem> {
        let state = self.pop()?;
        // Nobody asks for the attributes of anything else.
        if let Node::Object(object) = self.top_node()? {
            object.state = state;
        }
        Ok(())
    }
}

fn underflow() -> Problem {
    damaged("its pickle takes a value where there is none")
}

fn pairs(values: &[Value]) -> Result<Vec<(Value, Value)>, Problem> {
    match values.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(damaged("its pickle has a key without a value")),
    }
}

//! Where everything stands in a YAML source, and the first, cheap look at it: limits, duplicate keys, what is not taken.
//!
//! Runs before any value is built and reads events only, so a hostile source is refused at a cost linear in what was read.
//! Never looks at what the values mean.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use crate::problem::{Position, Problem, Problems, shown};

/// Bytes of one source. The largest flows people write are some 100 KB.
pub const MAX_BYTES: usize = 1 << 20;
/// Nesting of lists and maps: every walk over a value is recursive, and real flows stay under 30.
pub const MAX_DEPTH: usize = 64;
/// Values in one source, aliases written out.
pub const MAX_NODES: usize = 100_000;
/// Uses of aliases in one source.
pub const MAX_ALIASES: usize = 1_000;
/// Bytes of text in one source, aliases written out: what a source may grow to in memory.
pub const MAX_EXPANDED_BYTES: usize = 4 << 20;
/// Digits of an integer: longer ones would lose digits on their way through a 128-bit number.
const MAX_DIGITS: usize = 38;

/// The places of a value and of all within it.
#[derive(Debug)]
pub(crate) struct Outline {
    pub at: Position,
    pub inner: Inner,
}

#[derive(Debug)]
pub(crate) enum Inner {
    /// Whether it is a block scalar (`|`, `>`): its text begins one line below its place.
    Scalar { block: bool },
    List(Vec<Arc<Outline>>),
    Map(IndexMap<Box<str>, Entry>),
}

/// One entry of a map.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key: Position,
    pub value: Arc<Outline>,
}

/// What a value amounts to with its aliases written out.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    height: usize,
}

enum Open {
    List { at: Position, anchor: usize, weight: Weight, items: Vec<Arc<Outline>> },
    Map { at: Position, anchor: usize, weight: Weight, entries: IndexMap<Box<str>, Entry>, key: Option<(Box<str>, Position)> },
}

#[derive(Default)]
struct Scan {
    open: Vec<Open>,
    anchors: HashMap<usize, (Arc<Outline>, Weight)>,
    aliases: usize,
    documents: usize,
    root: Option<Arc<Outline>>,
    /// Nodes and bytes of the whole source so far.
    total: Weight,
}

/// Reads the places. Duplicate keys and the like go to `problems`; what makes going on pointless is the error.
pub(crate) fn scan(source: &str, problems: &mut Problems) -> Result<Option<Arc<Outline>>, Problem> {
    if source.len() > MAX_BYTES {
        let message = format!("the source has {} bytes, more than the {MAX_BYTES} allowed", source.len());
        return Err(Problem::error("yaml.too_large", message).hint("split the flow, or move large texts into namespace files"));
    }
    refuse_control(source)?;
    let mut scan = Scan::default();
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(source);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let at = position(marker.line(), marker.col());
            // saphyr reads brackets ahead and has a limit of its own for them.
            match error.info() {
                "recursion limit exceeded" => too_deep(at),
                info => Problem::error("yaml.syntax", info.to_owned()).at(at),
            }
        })?;
        scan.event(event, span, problems)?;
    }
    Ok(scan.root)
}

fn position(line: usize, column: usize) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    // saphyr counts lines from 1 and columns from 0.
    Position { line: number(line), column: number(column.saturating_add(1)) }
}

impl Scan {
    fn event(&mut self, event: Event<'_>, span: Span, problems: &mut Problems) -> Result<(), Problem> {
        let at = position(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let problem = Problem::error("yaml.documents", "the source holds more than one document");
                    return Err(problem.at(at).hint("save each flow by itself; remove the `---`"));
                }
            }
            Event::Alias(anchor) => self.alias(anchor, at)?,
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_deref(), at, problems);
                self.scalar(&text, style, anchor, at, problems)?;
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at, problems);
                let weight = Weight::default();
                self.enter(Open::List { at, anchor, weight, items: Vec::new() }, at)?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at, problems);
                let (weight, entries) = (Weight::default(), IndexMap::new());
                self.enter(Open::Map { at, anchor, weight, entries, key: None }, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave()?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn enter(&mut self, open: Open, at: Position) -> Result<(), Problem> {
        if self.awaits_key() {
            return Err(key_must_be_text(at));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.open.push(open);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (at, anchor, weight, inner) = match open {
            Open::List { at, anchor, weight, items } => (at, anchor, weight, Inner::List(items)),
            Open::Map { at, anchor, weight, entries, .. } => (at, anchor, weight, Inner::Map(entries)),
        };
        let own = Weight { nodes: 1, bytes: 0, height: 1 };
        self.count(own, at)?;
        let weight = Weight { nodes: weight.nodes + 1, height: weight.height + 1, ..weight };
        self.close(Arc::new(Outline { at, inner }), anchor, weight);
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        at: Position,
        problems: &mut Problems,
    ) -> Result<(), Problem> {
        let weight = Weight { nodes: 1, bytes: text.len(), height: 0 };
        self.count(weight, at)?;
        if let Some(Open::Map { key: key @ None, entries, .. }) = self.open.last_mut() {
            if style == ScalarStyle::Plain && text == "<<" {
                let problem = Problem::error("yaml.merge_key", "merge keys (`<<`) are not supported");
                problems.push(problem.at(at).hint("write the entries out, or use `pluginDefaults`"));
            }
            if let Some(first) = entries.get(text) {
                let message = format!("key `{}` is given twice", shown(text));
                let hint = format!("the first one is in line {}; keep one of them", first.key.line);
                problems.push(Problem::error("yaml.duplicate_key", message).at(at).hint(hint));
            }
            *key = Some((text.into(), at));
            return Ok(());
        }
        if style == ScalarStyle::Plain {
            refuse_number(text, at, problems);
        }
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        self.close(Arc::new(Outline { at, inner: Inner::Scalar { block } }), anchor, weight);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Problem> {
        if self.awaits_key() {
            return Err(key_must_be_text(at));
        }
        self.aliases += 1;
        if self.aliases > MAX_ALIASES {
            let message = format!("the source uses more than {MAX_ALIASES} aliases");
            return Err(Problem::error("yaml.too_many_aliases", message).at(at).hint("write the values out"));
        }
        let Some((outline, weight)) = self.anchors.get(&anchor).map(|(outline, weight)| (outline.clone(), *weight)) else {
            let problem = Problem::error("yaml.alias", "the alias is used inside the value it stands for");
            return Err(problem.at(at).hint("a value cannot contain itself"));
        };
        if self.open.len() + weight.height > MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.count(weight, at)?;
        self.close(outline, 0, weight);
        Ok(())
    }

    fn count(&mut self, weight: Weight, at: Position) -> Result<(), Problem> {
        self.total.nodes += weight.nodes;
        self.total.bytes += weight.bytes;
        let hint = "split the flow; mind that each use of an alias counts in full";
        if self.total.nodes > MAX_NODES {
            let message = format!("the source holds more than {MAX_NODES} values");
            return Err(Problem::error("yaml.too_many_nodes", message).at(at).hint(hint));
        }
        if self.total.bytes > MAX_EXPANDED_BYTES {
            let message = format!("the source amounts to more than {MAX_EXPANDED_BYTES} bytes of text");
            return Err(Problem::error("yaml.expansion", message).at(at).hint(hint));
        }
        Ok(())
    }

    fn close(&mut self, outline: Arc<Outline>, anchor: usize, weight: Weight) {
        if anchor > 0 {
            self.anchors.insert(anchor, (outline.clone(), weight));
        }
        match self.open.last_mut() {
            None => self.root = Some(outline),
            Some(Open::List { items, weight: sum, .. }) => {
                sum.add(weight);
                items.push(outline);
            }
            Some(Open::Map { entries, key, weight: sum, .. }) => {
                sum.add(weight);
                if let Some((name, at)) = key.take() {
                    sum.bytes += name.len();
                    entries.insert(name, Entry { key: at, value: outline });
                }
            }
        }
    }
}

impl Weight {
    fn add(&mut self, other: Weight) {
        self.nodes += other.nodes;
        self.bytes += other.bytes;
        self.height = self.height.max(other.height);
    }
}

fn too_deep(at: Position) -> Problem {
    Problem::error("yaml.too_deep", format!("lists and maps are nested more than {MAX_DEPTH} deep"))
        .at(at)
        .hint("move inner tasks into a subflow")
}

fn key_must_be_text(at: Position) -> Problem {
    Problem::error("yaml.key", "a key must be plain text, not a list, a map or an alias").at(at)
}

/// YAML allows few control characters, and what prints a source must not meet any.
fn refuse_control(source: &str) -> Result<(), Problem> {
    let refused = |c: char| (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let Some((offset, found)) = source.char_indices().find(|(_, c)| refused(*c)) else { return Ok(()) };
    let before = source.get(..offset).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let message = format!("the character U+{:04X} is not allowed", u32::from(found));
    Err(Problem::error("yaml.character", message).at(position(line, column)).hint("write it as an escape in double quotes: `\"\\u0001\"`"))
}

fn refuse_tag(tag: Option<&saphyr_parser::Tag>, at: Position, problems: &mut Problems) {
    if let Some(tag) = tag {
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let message = format!("tags such as `{}` are not supported", shown(&name));
        problems.push(Problem::error("yaml.tag", message).at(at).hint("remove the tag; put a text in quotes"));
    }
}

fn refuse_number(text: &str, at: Position, problems: &mut Problems) {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        let message = format!("`{text}` is no number that can be calculated with");
        problems.push(Problem::error("yaml.number", message).at(at).hint("put it in quotes if it is meant as text"));
    } else if unsigned.len() > MAX_DIGITS && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("the number `{}` has more than {MAX_DIGITS} digits", shown(text));
        problems.push(Problem::error("yaml.number", message).at(at).hint("put it in quotes"));
    }
}

//! What a parsed template is made of. Chains of operators and of attribute accesses are lists, not nested nodes: the
//! depth of the tree is the depth of brackets and tags that people see, and long chains cannot overflow a stack.
use std::sync::Arc;

use crate::filters::Filter;
use crate::functions::Function;
use crate::predicates::Predicate;
use crate::value::Value;

/// A stretch of template.
#[derive(Debug)]
pub(crate) enum Piece {
    Text(Arc<str>),
    Raw {
        content: Arc<str>,
        tag: Arc<str>,
    },
    Print(Node),
    If {
        arms: Vec<(Node, Vec<Piece>)>,
        otherwise: Vec<Piece>,
    },
    For {
        variable: Arc<str>,
        list: Node,
        body: Vec<Piece>,
        otherwise: Vec<Piece>,
    },
    Set {
        variable: Arc<str>,
        value: Node,
    },
    Block {
        name: Arc<str>,
    },
    /// Runs its body and puts the text through filters.
    Filter {
        steps: Vec<Step>,
        body: Vec<Piece>,
        at: usize,
    },
}

#[derive(Debug)]
pub(crate) struct Macro {
    pub params: Vec<(Arc<str>, Option<Node>)>,
    pub body: Vec<Piece>,
}

/// An expression and where it starts.
#[derive(Debug)]
pub(crate) struct Node {
    pub at: usize,
    pub expr: Expr,
}

#[derive(Debug)]
pub(crate) enum Expr {
    Literal(Value),
    /// Text with `#{…}` in it.
    Joined(Vec<Node>),
    Name(Arc<str>),
    /// A value and what is taken out of it, in order.
    Path {
        base: Box<Node>,
        steps: Vec<Access>,
    },
    /// A value and what is done with it, from left to right.
    Chain {
        first: Box<Node>,
        steps: Vec<Step>,
    },
    Call {
        target: Target,
        args: Vec<Arg>,
    },
    Unary {
        operator: Unary,
        operand: Box<Node>,
    },
    Ternary {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

#[derive(Debug)]
pub(crate) struct Access {
    pub at: usize,
    pub key: Key,
}

#[derive(Debug)]
pub(crate) enum Key {
    Name(Arc<str>),
    Computed(Node),
}

#[derive(Debug)]
pub(crate) struct Step {
    pub at: usize,
    pub kind: StepKind,
}

#[derive(Debug)]
pub(crate) enum StepKind {
    Binary { operator: Binary, right: Node },
    Filter { filter: &'static Filter, args: Vec<Arg> },
    Test { test: &'static Predicate, args: Vec<Arg>, negated: bool },
}

#[derive(Debug)]
pub(crate) enum Target {
    Function(&'static Function),
    Macro(Arc<str>),
    Block,
}

/// An argument and the parameter it is for.
#[derive(Debug)]
pub(crate) struct Arg {
    pub param: Param,
    pub value: Node,
}

#[derive(Debug, Clone)]
pub(crate) enum Param {
    Index(usize),
    /// Of a macro, or one that a function does not know and passes on.
    Name(Arc<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Plus,
    Minus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Contains,
    IsIn,
    IsNotIn,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concat,
    Range,
    /// `??`: null or undefined.
    Coalesce,
    /// `???`: undefined only.
    CoalesceUndefined,
}

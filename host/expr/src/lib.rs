//! The expression language: lexer, parser, evaluator, values, filters, functions. No IO.

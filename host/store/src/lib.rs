//! Durable state: the Store trait and its backends.

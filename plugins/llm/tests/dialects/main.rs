//! Every provider's words, without a network: what is sent, what comes back whole or in pieces, and what goes wrong.

mod answers;
mod errors;
mod odd;
mod requests;
mod streams;
mod structured;
mod support;
mod thoughts;
mod transcripts;

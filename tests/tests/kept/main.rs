//! What a task run writes is kept with its good end, in one commit, and nothing of it otherwise: values and files of namespaces.

mod files;
mod guest;
mod objects;
mod templates;
mod values;

//! `storage.FilterItems` and `storage.DeduplicateItems`: an expression for each row.

use std::collections::HashMap;
use std::io::Write as _;

use sluice_sdk::files;
use sluice_sdk::prelude::*;

use crate::rows::{Rows, name};

/// Rows of one call to the host (`sluice:host/template`, render-each).
const AT_ONCE: usize = 1_000;
/// Bytes of such rows: they are held twice while the host works.
const AT_ONCE_BYTES: usize = 2 << 20;

/// What becomes of an item.
#[properties]
#[derive(Clone, Copy, PartialEq)]
pub enum FilterType {
    Include,
    Exclude,
}

/// What becomes of an item whose condition cannot be evaluated.
#[properties]
#[derive(Clone, Copy)]
pub enum ErrorOrNull {
    Fail,
    Include,
    Exclude,
}

#[properties]
pub struct FilterItems {
    /// The file of items: one a row, as JSON or ION.
    from: String,
    /// The condition, in which the fields of an item are variables. False are `false`, `0`, `-0` and nothing.
    #[render(later)]
    filter_condition: String,
    /// What becomes of items for which the condition is true.
    #[default(FilterType::Include)]
    filter_type: FilterType,
    /// What becomes of items for which the condition cannot be evaluated.
    #[default(ErrorOrNull::Fail)]
    error_or_null_behavior: ErrorOrNull,
}

#[outputs]
pub struct Items {
    /// The file of the items that are left.
    uri: String,
    /// How many items there were.
    processed_items_total: u64,
    /// How many were left out.
    dropped_items_total: u64,
}

/// Keep the items of a file for which a condition is true.
///
/// # Large orders
/// ```yaml
/// id: large
/// type: io.kestra.plugin.core.storage.FilterItems
/// from: "{{ outputs.orders.uri }}"
/// filterCondition: "{{ amount > 1000 }}"
/// ```
#[task("io.kestra.plugin.core.storage.FilterItems", aliases = ["io.kestra.core.tasks.storages.FilterItems"])]
pub fn filter(properties: FilterItems, cx: &Context) -> Result<Items, Failure> {
    let mut kept = std::io::BufWriter::new(files::create("items.ion")?);
    let (mut processed, mut dropped) = (0, 0);
    each(&properties.from, &properties.filter_condition, cx, |row, answer| {
        let action = match (answer, properties.error_or_null_behavior) {
            (Ok(text), _) if is_true(&text) => properties.filter_type,
            (Ok(_), _) if properties.filter_type == FilterType::Include => FilterType::Exclude,
            (Ok(_), _) | (Err(_), ErrorOrNull::Include) => FilterType::Include,
            (Err(_), ErrorOrNull::Exclude) => FilterType::Exclude,
            (Err(failure), ErrorOrNull::Fail) => return Err(failure),
        };
        processed += 1;
        match action {
            FilterType::Include => write_row(&mut kept, row)?,
            FilterType::Exclude => dropped += 1,
        }
        Ok(())
    })?;
    finish(kept, processed, dropped)
}

#[properties]
pub struct DeduplicateItems {
    /// The file of items: one a row, as JSON or ION.
    from: String,
    /// What makes two items the same: an expression in which the fields of an item are variables.
    #[render(later)]
    expr: String,
}

#[outputs]
pub struct Distinct {
    /// The file of the items that are left.
    uri: String,
    /// How many different keys there were.
    num_keys: u64,
    /// How many items there were.
    processed_items_total: u64,
    /// How many were left out.
    dropped_items_total: u64,
}

/// Keep the last of the items of a file that are the same.
///
/// # The newest row of each customer
/// ```yaml
/// id: newest
/// type: io.kestra.plugin.core.storage.DeduplicateItems
/// from: "{{ outputs.orders.uri }}"
/// expr: "{{ customer_email }}"
/// ```
#[task("io.kestra.plugin.core.storage.DeduplicateItems", aliases = ["io.kestra.core.tasks.storages.DeduplicateItems"])]
pub fn deduplicate(properties: DeduplicateItems, cx: &Context) -> Result<Distinct, Failure> {
    // The place of the last item of each key.
    let mut last: HashMap<String, u64> = HashMap::new();
    let mut processed = 0;
    each(&properties.from, &properties.expr, cx, |_, answer| {
        last.insert(answer?, processed);
        processed += 1;
        Ok(())
    })?;
    let num_keys = last.len() as u64;
    let mut places: Vec<u64> = last.into_values().collect();
    places.sort_unstable();
    let mut kept = std::io::BufWriter::new(files::create("items.ion")?);
    let mut rows = Rows::open(&properties.from)?;
    let mut places = places.into_iter().peekable();
    let mut place = 0;
    while let Some(row) = rows.next()? {
        if places.next_if_eq(&place).is_some() {
            write_row(&mut kept, row)?;
        }
        place += 1;
    }
    let Items { uri, processed_items_total, dropped_items_total } = finish(kept, processed, processed - num_keys)?;
    Ok(Distinct { uri, num_keys, processed_items_total, dropped_items_total })
}

type Out = std::io::BufWriter<files::Writer>;

fn write_row(out: &mut Out, row: &[u8]) -> Result<(), Failure> {
    out.write_all(row)?;
    out.write_all(b"\n")?;
    Ok(())
}

fn finish(out: Out, processed_items_total: u64, dropped_items_total: u64) -> Result<Items, Failure> {
    let writer = out.into_inner().map_err(|error| Failure::from(error.into_error()))?;
    let uri = writer.finish()?;
    Ok(Items { uri, processed_items_total, dropped_items_total })
}

/// Renders an expression for each row, many rows in one call.
fn each(
    uri: &str,
    template: &str,
    cx: &Context,
    mut take: impl FnMut(&[u8], Result<String, Failure>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut rows = Rows::open(uri)?;
    let mut batch: Vec<String> = Vec::new();
    loop {
        let mut size_bytes = 0;
        let mut ended = false;
        while batch.len() < AT_ONCE && size_bytes < AT_ONCE_BYTES {
            match rows.next_text()? {
                Some(row) => {
                    size_bytes += row.len();
                    batch.push(row.to_owned());
                }
                None => {
                    ended = true;
                    break;
                }
            }
        }
        if !batch.is_empty() {
            let answers = cx.render_each(template, &batch)?;
            for (row, answer) in batch.iter().zip(answers) {
                take(row.as_bytes(), answer)?;
            }
            batch.clear();
        }
        if ended {
            return Ok(());
        }
    }
}

fn is_true(text: &str) -> bool {
    !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "-0" | "false")
}

/// A name for what a task makes of a file.
pub fn made_of(uri: &str, stem: &str) -> String {
    name(stem, crate::rows::extension(uri))
}

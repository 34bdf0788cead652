//! Logs and metrics.

use std::sync::Arc;

use model::ids::{TaskId, TaskRunId};
use model::task::LogLevel;

use super::samples::*;
use crate::query::{LogFilter, LogScope, NamespaceMatch, Within};
use crate::rows::*;
use crate::{Count, Error, MAX_LINES, Page, Query, Store, View};

async fn texts(store: &Arc<dyn Store>, filter: LogFilter) -> Vec<String> {
    let lines = store.all::<LogLine>(View::Newest, Query::Logs(filter), 100_000).await.unwrap();
    lines.iter().map(|line| line.message.to_string()).collect()
}

pub async fn positions_grow_and_resume(store: Arc<dyn Store>) {
    let lines = |from: i64| (from..from + 3).map(|n| line(to("x"), 0, LogLevel::Info, &n.to_string())).collect();
    store.append_logs(lines(0)).await.unwrap();
    store.append_logs(vec![line(to("y"), 0, LogLevel::Info, "other")]).await.unwrap();
    let first =
        store.list::<LogLine>(View::Newest, Query::Logs(LogFilter::of(to("x"), 0)), Page::first(10)).await.unwrap();
    let known = first.items[1].position;
    assert!(first.items.windows(2).all(|pair| pair[0].position < pair[1].position));
    assert!(first.next.is_none());
    let lsn = store.append_logs(lines(3)).await.unwrap();
    store.durable(lsn).await.unwrap();
    assert_eq!(texts(&store, LogFilter::of(to("x"), known)).await, ["2", "3", "4", "5"]);
    assert_eq!(texts(&store, LogFilter::of(to("y"), 0)).await, ["other"]);
    let too_many = (0..=MAX_LINES).map(|_| line(to("x"), 0, LogLevel::Info, "")).collect();
    assert!(matches!(store.append_logs(too_many).await, Err(Error::Limit { .. })));
    store.append_metrics((0..5).map(|n| metric("x", "rows", f64::from(n))).collect()).await.unwrap();
    let all =
        store.all::<Metric>(View::Newest, Query::Metrics { execution: execution_id("x"), after: 0 }, 10).await.unwrap();
    assert_eq!(all.iter().map(|metric| metric.value).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    let after = Query::Metrics { execution: execution_id("x"), after: all[2].position };
    assert_eq!(store.all::<Metric>(View::Newest, after, 10).await.unwrap().len(), 2);
}

pub async fn filters_hold(store: Arc<dyn Store>) {
    let mut lines = Vec::new();
    for (number, level) in [LogLevel::Trace, LogLevel::Info, LogLevel::Warn, LogLevel::Error].into_iter().enumerate() {
        let mut one = line(to("x"), number as i64, level, &format!("Line {number}"));
        one.task = Some(TaskId::trusted(if number < 2 { "early" } else { "late" }));
        one.task_run = Some(TaskRunId::trusted(format!("run{number}")));
        one.attempt = number as u32 % 2 + 1;
        lines.push(one);
    }
    store.append_logs(lines).await.unwrap();
    let all = || LogFilter::of(to("x"), 0);
    let cases: Vec<(LogFilter, &[&str])> = vec![
        (LogFilter { least: LogLevel::Warn, ..all() }, &["Line 2", "Line 3"]),
        (LogFilter { task: Some(TaskId::trusted("early")), ..all() }, &["Line 0", "Line 1"]),
        (LogFilter { task_run: Some(TaskRunId::trusted("run3")), ..all() }, &["Line 3"]),
        (LogFilter { attempt: Some(2), ..all() }, &["Line 1", "Line 3"]),
        (LogFilter { text: Some("LINE 1".into()), ..all() }, &["Line 1"]),
        (LogFilter { at: Within { from: Some(at(1)), until: Some(at(3)) }, ..all() }, &["Line 1", "Line 2"]),
        (LogFilter { least: LogLevel::Info, attempt: Some(1), ..all() }, &["Line 2"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(texts(&store, filter.clone()).await, expected, "{filter:?}");
    }
}

pub async fn across_flows_newest_first(store: Arc<dyn Store>) {
    let lines = ["a", "a.b", "b"].into_iter().enumerate().map(|(number, namespace)| {
        let mut one = line(to(&format!("x{number}")), 2 - (number as i64 % 2), LogLevel::Info, namespace);
        one.flow = Some(flow_key(namespace, "f"));
        one
    });
    store.append_logs(lines.collect()).await.unwrap();
    store.append_logs(vec![line(Target::Service("kv".into()), 9, LogLevel::Info, "service")]).await.unwrap();
    let within = |namespace, flow| LogFilter::within(LogScope::Flows { namespace, flow });
    assert_eq!(texts(&store, within(NamespaceMatch::Any, None)).await, ["service", "b", "a", "a.b"]);
    assert_eq!(texts(&store, within(NamespaceMatch::Tree(place("a")), None)).await, ["a", "a.b"]);
    assert_eq!(texts(&store, within(NamespaceMatch::Any, Some(flow_key("b", "f")))).await, ["b"]);
    let mut early = within(NamespaceMatch::Any, None);
    early.at = Within { from: None, until: Some(at(2)) };
    assert_eq!(texts(&store, early).await, ["a.b"]);
}

pub async fn lines_that_matter_are_found_among_many(store: Arc<dyn Store>) {
    let level = |number: i64| match number % 1_000 {
        7 => LogLevel::Warn,
        999 => LogLevel::Error,
        _ => LogLevel::Info,
    };
    for chunk in 0..12 {
        let numbers = (0..1_000).map(|number| chunk * 1_000 + number);
        let of = format!("x{}", chunk % 2);
        let lines = numbers.map(|number| line(to(&of), number, level(number), &number.to_string()));
        store.append_logs(lines.collect()).await.unwrap();
    }
    let of = |least| LogFilter { least, ..LogFilter::of(to("x1"), 0) };
    assert_eq!(texts(&store, of(LogLevel::Error)).await, ["1999", "3999", "5999", "7999", "9999", "11999"]);
    assert_eq!(texts(&store, of(LogLevel::Warn)).await.len(), 12);
    let scope = LogScope::Flows { namespace: NamespaceMatch::Any, flow: None };
    let all = |least| LogFilter { least, ..LogFilter::within(scope.clone()) };
    assert_eq!(texts(&store, all(LogLevel::Warn)).await[..3], ["11999", "11007", "10999"]);
    let late = LogFilter { at: Within { from: Some(at(11_007)), until: Some(at(11_999)) }, ..all(LogLevel::Warn) };
    assert_eq!(texts(&store, late).await, ["11007"]);
    let count = async |filter, limit| store.count(View::Newest, Query::Logs(filter), limit).await.unwrap();
    assert_eq!(count(all(LogLevel::Error), 10_000).await, Count::Exactly(12));
    assert_eq!(count(all(LogLevel::Error), 5).await, Count::AtLeast(5));
    assert_eq!(count(of(LogLevel::Trace), 10_000).await, Count::Exactly(6_000));
    assert_eq!(count(all(LogLevel::Trace), 10_000).await, Count::AtLeast(10_000));
    // What is removed is in no list any more.
    let first = store.list::<LogLine>(View::Newest, Query::Logs(of(LogLevel::Error)), Page::first(1)).await.unwrap();
    let mut batch = crate::Batch::new();
    batch.delete(Key::Log(to("x1"), first.items[0].position));
    store.commit(batch).await.unwrap();
    assert_eq!(count(of(LogLevel::Error), 10).await, Count::Exactly(5));
}

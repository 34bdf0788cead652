//! Lists of everything but executions and logs, and blobs.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use super::samples::*;
use crate::query::{NamespaceMatch, Within};
use crate::rows::*;
use crate::{Count, Page, Position, Query, Store, View};

async fn names<T: Record>(store: &Arc<dyn Store>, query: Query, name: impl Fn(&T) -> String) -> Vec<String> {
    // Small pages, so that every list is also paged.
    let mut found = Vec::new();
    let mut page = Page::first(2);
    loop {
        let rows = store.list::<T>(View::Newest, query.clone(), page).await.unwrap();
        found.extend(rows.items.iter().map(|row| name(&row.row)));
        match rows.next {
            Some(next) => page = Page::after(next, 2),
            None => return found,
        }
    }
}

pub async fn flows_show_their_newest_revision(store: Arc<dyn Store>) {
    let mut rows: Vec<Row> = Vec::new();
    for revision in 1..=300 {
        rows.push(flow("a", "f", revision).into());
    }
    rows.push(flow("a", "gone", 1).into());
    rows.push(Flow { deleted: true, ..flow("a", "gone", 2) }.into());
    rows.push(flow("b", "f", 1).into());
    store.commit(puts(rows)).await.unwrap();
    let show = |flow: &Flow| format!("{}@{}", flow.key, flow.revision);
    let flows = |deleted| Query::Flows { namespace: NamespaceMatch::Any, deleted };
    assert_eq!(names(&store, flows(false), show).await, ["a.f@300", "b.f@1"]);
    assert_eq!(names(&store, flows(true), show).await, ["a.f@300", "a.gone@2", "b.f@1"]);
    let revisions = names(&store, Query::Revisions(flow_key("a", "f")), |flow: &Flow| flow.revision.to_string()).await;
    assert_eq!(revisions.len(), 300);
    assert_eq!(&revisions[..3], ["300", "299", "298"]);
}

pub async fn namespaces_match_at_dots(store: Arc<dyn Store>) {
    let all = ["a", "a-b", "a.b", "a.b.c", "a.bc", "ab", "b"];
    store.commit(puts(all.iter().map(|namespace| flow(namespace, "f", 1).into()))).await.unwrap();
    store.commit(puts(all.iter().map(|namespace| trigger(namespace, "f", "t", None).into()))).await.unwrap();
    store.commit(puts(all.iter().map(|namespace| document(namespace, "app", "d").into()))).await.unwrap();
    for (namespace, expected) in [
        (NamespaceMatch::Any, &all[..]),
        (NamespaceMatch::Exact(place("a")), &["a"]),
        (NamespaceMatch::Tree(place("a")), &["a", "a.b", "a.b.c", "a.bc"]),
        (NamespaceMatch::Tree(place("a.b")), &["a.b", "a.b.c"]),
        (NamespaceMatch::Tree(place("c")), &[]),
    ] {
        let flows = Query::Flows { namespace: namespace.clone(), deleted: false };
        assert_eq!(names(&store, flows, |row: &Flow| row.key.namespace.to_string()).await, expected, "{namespace:?}");
        let triggers = Query::Triggers { namespace: namespace.clone(), flow: None };
        assert_eq!(names(&store, triggers, |row: &TriggerState| row.flow.namespace.to_string()).await, expected);
        let documents = Query::Documents { kind: "app".into(), namespace };
        assert_eq!(names(&store, documents, |row: &Document| row.key.place.to_string()).await, expected);
    }
}

pub async fn prefixes_do_not_run_over(store: Arc<dyn Store>) {
    let mut batch = puts([
        kv("a", "k", 1).into(),
        kv("a", "k1", 1).into(),
        kv("a", "l", 1).into(),
        kv("ab", "k", 1).into(),
        secret("a", "S").into(),
        secret("a.b", "T").into(),
        setting("plugin/pin/a").into(),
        setting("plugin/pinned").into(),
        node("n1").into(),
        node("n2").into(),
    ]);
    for slot in 0..3 {
        batch.take(unique(UniqueName::Slot(flow_key("a", "f"), slot), &format!("e{slot}")));
    }
    batch.take(unique(UniqueName::Slot(flow_key("a", "ff"), 0), "e0"));
    store.commit(batch).await.unwrap();
    let in_a = |prefix: &str| Query::KvIn { place: place("a"), prefix: prefix.into() };
    assert_eq!(names(&store, in_a(""), |row: &Kv| row.key.to_string()).await, ["k", "k1", "l"]);
    assert_eq!(names(&store, in_a("k"), |row: &Kv| row.key.to_string()).await, ["k", "k1"]);
    assert_eq!(
        names(&store, Query::Secrets(NamespaceMatch::Exact(place("a"))), |row: &Secret| row.name.to_string()).await,
        ["S"]
    );
    let pins = Query::Settings { prefix: "plugin/pin/".into() };
    assert_eq!(names(&store, pins, |row: &Setting| row.name.to_string()).await, ["plugin/pin/a"]);
    assert_eq!(names(&store, Query::Nodes, |row: &Node| row.id.to_string()).await, ["n1", "n2"]);
    let slots = Query::SlotsOf(flow_key("a", "f"));
    assert_eq!(names(&store, slots, |row: &UniqueKey| row.holder.to_string()).await.len(), 3);
    let held = Query::HeldBy(Holder::Execution(execution_id("e0")));
    assert_eq!(names(&store, held, |row: &UniqueKey| row.name.to_string()).await, ["slot/a.f/0", "slot/a.ff/0"]);
}

pub async fn due_includes_its_moment(store: Arc<dyn Store>) {
    let nanos = |nanos| at(10) + jiff::SignedDuration::from_nanos(nanos);
    let mut batch = crate::Batch::new();
    for (number, due) in [(0, nanos(-1)), (1, nanos(0)), (2, nanos(1))] {
        let name = number.to_string();
        batch.put(Timer { due, ..timer(to("x"), &name, 0) });
        batch.put(TriggerState { next: Some(due), ..trigger("a", "f", &name, None) });
        batch.put(Kv { expires: Some(due), ..kv("a", &name, 0) });
        batch.put(Job { due, ..job("x", &name, 0) });
        let key = UniqueName::Idempotency("start".into(), name.into());
        batch.take(UniqueKey { expires: Some(due), ..unique(key, "x") });
    }
    batch.put(trigger("a", "f", "never", None));
    store.commit(batch).await.unwrap();
    for query in [
        Query::TimersDue { until: at(10) },
        Query::TriggersDue { until: at(10) },
        Query::KvExpired { now: at(10) },
        Query::Claimable { queue: "default".into(), now: at(10) },
        Query::UniqueExpired { now: at(10) },
    ] {
        assert_eq!(store.count(View::Newest, query.clone(), 10).await.unwrap(), Count::Exactly(2), "{query:?}");
    }
}

pub async fn audit_is_newest_first(store: Arc<dyn Store>) {
    store.commit(puts((0..10).map(|n| audit(n, &format!("a{n}")).into()))).await.unwrap();
    let within = Within { from: Some(at(2)), until: Some(at(5)) };
    assert_eq!(names(&store, Query::Audit(within), |row: &Audit| row.id.to_string()).await, ["a4", "a3", "a2"]);
    let all = names(&store, Query::Audit(Within::ALWAYS), |row: &Audit| row.id.to_string()).await;
    assert_eq!((all.len(), all[0].as_str()), (10, "a9"));
}

pub async fn positions_survive_as_text(store: Arc<dyn Store>) {
    store.commit(puts((0..5).map(|n| setting(&format!("s{n}")).into()))).await.unwrap();
    let query = Query::Settings { prefix: "".into() };
    let first = store.list::<Setting>(View::Newest, query.clone(), Page::first(3)).await.unwrap();
    let text = first.next.unwrap().to_string();
    let position = Position::from_str(&text).unwrap();
    let rest = store.list::<Setting>(View::Newest, query, Page::after(position, 3)).await.unwrap();
    assert_eq!(rest.items.iter().map(|row| &*row.name).collect::<Vec<_>>(), ["s3", "s4"]);
    for bad in ["0", "zz", "é", &"00".repeat(100_000)] {
        assert!(Position::from_str(bad).is_err());
    }
}

async fn write(store: &Arc<dyn Store>, now: i64, pieces: &[&'static [u8]]) -> BlobInfo {
    let mut writer = store.write_blob(at(now)).await.unwrap();
    for piece in pieces {
        writer.write(Bytes::from_static(piece)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn read(store: &Arc<dyn Store>, id: &BlobId, offset: u64) -> Option<Vec<u8>> {
    let mut reader = store.read_blob(id.clone(), offset).await.unwrap()?;
    let mut content = Vec::new();
    while let Some(piece) = reader.read().await.unwrap() {
        assert!(!piece.is_empty() && piece.len() <= crate::BLOB_PIECE);
        content.extend_from_slice(&piece);
    }
    Some(content)
}

pub async fn blobs_come_back_in_pieces(store: Arc<dyn Store>) {
    let info = write(&store, 0, &[b"hello ", b"", b"world"]).await;
    assert_eq!(info.size_bytes, 11);
    // sha256 of "hello world".
    assert_eq!(&*info.id.0, "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
    assert_eq!(read(&store, &info.id, 0).await.unwrap(), b"hello world");
    assert_eq!(read(&store, &info.id, 6).await.unwrap(), b"world");
    assert_eq!(read(&store, &info.id, 99).await.unwrap(), b"");
    assert!(read(&store, &BlobId("00".repeat(32).into()), 0).await.is_none());
    assert!(read(&store, &BlobId("../../etc/passwd".into()), 0).await.is_none());
    let mut writer = store.write_blob(at(0)).await.unwrap();
    for _ in 0..100 {
        writer.write(Bytes::from(vec![7; 10_000])).await.unwrap();
    }
    let large = writer.finish().await.unwrap();
    assert_eq!(read(&store, &large.id, 1).await.unwrap(), vec![7; 999_999]);
    let empty = write(&store, 0, &[]).await;
    assert_eq!(read(&store, &empty.id, 0).await.unwrap(), b"");
}

pub async fn unnamed_blobs_are_collected(store: Arc<dyn Store>) {
    let named = write(&store, 0, &[b"named"]).await;
    let old = write(&store, 0, &[b"old"]).await;
    let new = write(&store, 100, &[b"new"]).await;
    store.commit(puts([file("main/x", named.clone()).into(), file("main/y", named.clone()).into()])).await.unwrap();
    let dropped = store.write_blob(at(0)).await.unwrap();
    drop(dropped);
    assert_eq!(store.collect_blobs(at(50)).await.unwrap(), 1);
    assert!(read(&store, &old.id, 0).await.is_none());
    assert!(read(&store, &new.id, 0).await.is_some());
    assert!(read(&store, &named.id, 0).await.is_some());
    let files = names(&store, Query::FilesOf(named.id), |row: &File| row.path.to_string()).await;
    assert_eq!(files, ["main/x", "main/y"]);
}

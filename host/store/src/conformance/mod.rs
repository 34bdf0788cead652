//! The suite that every backend passes: what [`crate::Store`] promises, as cases that any store can be put through.
//!
//! A backend's tests call [`conformance_tests!`](crate::conformance_tests) with a function that opens an empty store.
//! The cases know nothing of the backend: a case that needs to is a test of that backend instead.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the whole module is tests")]

mod commits;
mod executions;
pub mod histories;
mod lists;
mod logs;
mod model;
mod races;
pub mod samples;
mod work;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::Store;

/// One case: given an empty store, it passes or panics.
pub type Case = fn(Arc<dyn Store>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! cases {
    ($($module:ident :: $case:ident,)*) => {
        /// Every case, by name.
        pub const CASES: &[(&str, Case)] = &[
            $((concat!(stringify!($module), "::", stringify!($case)), |store| Box::pin($module::$case(store))),)*
        ];
    };
}

cases! {
    commits::commit_is_all_or_nothing,
    commits::versions_change_with_every_write,
    commits::create_refuses_what_exists,
    commits::later_steps_see_earlier_ones,
    commits::batch_over_the_limit_is_refused,
    commits::rows_with_their_own_step_are_not_put,
    commits::durable_commits_are_seen_by_clients,
    commits::durable_of_a_future_commit_is_refused,
    commits::a_row_of_every_kind_comes_back,
    commits::hints_follow_commits,
    executions::appends_are_contiguous,
    executions::second_owner_is_fenced_off,
    executions::lists_by_every_filter,
    executions::only_normal_ones_by_default,
    executions::change_of_state_moves_it_between_lists,
    executions::paging_is_stable_under_writes,
    executions::counts_up_to_a_limit,
    executions::task_runs_keep_their_order,
    executions::clearing_removes_everything_in_steps,
    executions::changes_before_a_snapshot_can_go,
    lists::flows_show_their_newest_revision,
    lists::namespaces_match_at_dots,
    lists::prefixes_do_not_run_over,
    lists::due_includes_its_moment,
    lists::audit_is_newest_first,
    lists::positions_survive_as_text,
    lists::blobs_come_back_in_pieces,
    lists::unnamed_blobs_are_collected,
    work::claims_take_due_jobs_in_order,
    work::expired_lease_is_not_claimed_again,
    work::release_and_claim_raises_the_epoch,
    work::stale_fence_is_refused,
    work::renewal_names_what_is_over,
    work::messages_are_drained_once,
    work::inbox_keeps_the_order_of_sending,
    work::recipients_are_named_once,
    work::timer_put_again_moves,
    work::unique_key_has_one_holder,
    work::slot_is_handed_over_in_one_commit,
    logs::positions_grow_and_resume,
    logs::filters_hold,
    logs::across_flows_newest_first,
    logs::lines_that_matter_are_found_among_many,
    races::every_job_is_claimed_once,
    races::slots_are_never_held_twice,
    races::one_of_many_owners_appends,
}

/// Makes a test of every case: `conformance_tests!(|| async { a new empty store })`. The store is `Arc<dyn Store>`.
#[macro_export]
macro_rules! conformance_tests {
    ($open:expr) => {
        #[test]
        fn every_case() {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            let failed: Vec<&str> = $crate::conformance::CASES
                .iter()
                .filter(|(_, case)| {
                    let run = async move { case(($open)().await).await };
                    runtime.block_on(runtime.spawn(run)).is_err()
                })
                .map(|(name, _)| *name)
                .collect();
            assert!(failed.is_empty(), "failed: {failed:?}");
        }

        #[test]
        fn histories_agree_with_the_model() {
            $crate::conformance::histories::check($open, $crate::conformance::histories::cases());
        }
    };
}

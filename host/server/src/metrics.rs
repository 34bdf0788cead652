//! What runs measured: of one execution, and of the newest executions of a flow. No index goes from a flow to its metrics, so that what is
//! told of a flow is told of so many executions, and says so where there are more.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use model::ids::{ExecutionId, FlowKey};
use store::query::{ExecutionFilter, MAX_PAGE, Within};
use store::rows;
use store::{Page, Query, View};

use crate::error::Error;
use crate::node::Node;

/// Newest executions of a flow that are looked at.
pub(crate) const EXECUTIONS_MAX: usize = 1_000;
/// Metrics looked at for one answer about a flow.
const METRICS_MAX: usize = 100_000;

/// Metrics, and whether there are others that were not looked at.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub metrics: Vec<Arc<rows::Metric>>,
    pub is_part: bool,
}

impl Measured {
    /// Distinct texts of the metrics, sorted.
    pub fn distinct(&self, text: impl Fn(&rows::Metric) -> &str) -> BTreeSet<&str> {
        self.metrics.iter().map(|metric| text(metric)).collect()
    }
}

impl Node {
    /// The first metrics of an execution, in the order they were written.
    pub(crate) async fn metrics(&self, id: &ExecutionId, limit: usize) -> Result<Measured, Error> {
        self.metrics_as(View::Durable, id, limit).await
    }

    /// The same, those that are not durable yet among them: for decisions within.
    pub(crate) async fn newest_metrics(&self, id: &ExecutionId, limit: usize) -> Result<Measured, Error> {
        self.metrics_as(View::Newest, id, limit).await
    }

    async fn metrics_as(&self, view: View, id: &ExecutionId, limit: usize) -> Result<Measured, Error> {
        let query = Query::Metrics { execution: id.clone(), after: 0 };
        let (mut metrics, mut after) = (Vec::new(), None);
        loop {
            let page = Page { size: MAX_PAGE.min(limit - metrics.len()), after };
            let rows = self.store.list::<rows::Metric>(view, query.clone(), page).await?;
            metrics.extend(rows.items.into_iter().map(|found| found.row));
            match rows.next {
                Some(_) if metrics.len() >= limit => return Ok(Measured { metrics, is_part: true }),
                Some(next) => after = Some(next),
                None => return Ok(Measured { metrics, is_part: false }),
            }
        }
    }

    /// What the newest executions of a flow measured within a time.
    pub(crate) async fn metrics_of_flow(
        &self,
        flow: &FlowKey,
        within: Within,
        wanted: impl Fn(&rows::Metric) -> bool,
    ) -> Result<Measured, Error> {
        let created = Within { from: None, until: within.until };
        let filter = ExecutionFilter { flow: Some(flow.clone()), created, ..ExecutionFilter::default() };
        let page = Page::first(EXECUTIONS_MAX.min(MAX_PAGE));
        let executions = self.store.list::<rows::Execution>(View::Durable, Query::Executions(filter), page).await?;
        let oldest: Option<Timestamp> = executions.items.last().map(|row| row.created);
        let mut measured = Measured {
            metrics: Vec::new(),
            // What began before the time that is asked for is looked at as far as it goes, and not missed.
            is_part: executions.next.is_some() && oldest.is_some_and(|oldest| within.holds(oldest)),
        };
        let mut left = METRICS_MAX;
        for execution in &executions.items {
            if execution.record.history.ended().is_some_and(|ended| within.from.is_some_and(|from| ended < from)) {
                continue;
            }
            let of_one = self.metrics(&execution.record.id, left).await?;
            left -= of_one.metrics.len();
            let admitted = of_one.metrics.into_iter().filter(|metric| within.holds(metric.at) && wanted(metric));
            measured.metrics.extend(admitted);
            measured.is_part |= of_one.is_part;
            if left == 0 {
                measured.is_part = true;
                break;
            }
        }
        Ok(measured)
    }
}

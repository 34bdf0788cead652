//! What came of all cases, as a table and as a verdict over the list of known ones.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::{Case, Verdict};

/// The outcomes of one run.
#[derive(Debug)]
pub struct Report {
    outcomes: Vec<(String, String, Verdict)>,
}

impl Report {
    /// Collects the outcomes, in the order of the cases.
    pub fn new(cases: &[Case], verdicts: Vec<Verdict>) -> Self {
        let outcomes =
            cases.iter().zip(verdicts).map(|(case, verdict)| (case.action.clone(), case.id.clone(), verdict));
        Self { outcomes: outcomes.collect() }
    }

    /// Everything that did not pass, for cases that all must.
    pub fn not_passed(&self) -> Vec<String> {
        let wrong = self.outcomes.iter().filter_map(|(_, id, verdict)| match verdict {
            Verdict::Passed => None,
            Verdict::Failed(why) | Verdict::Skipped(why) => Some(format!("`{id}`: {why}")),
        });
        wrong.collect()
    }

    /// Everything that contradicts the list: a failure that is not on it, an entry that passes, an entry of no case.
    pub fn contradictions(&self, known: &BTreeMap<String, String>) -> Vec<String> {
        let mut found = Vec::new();
        for (_, id, verdict) in &self.outcomes {
            match (verdict, known.contains_key(id)) {
                (Verdict::Failed(why), false) => found.push(format!("`{id}` fails: {why}")),
                (Verdict::Passed | Verdict::Skipped(_), true) => {
                    found.push(format!("`{id}` is listed as failing, and does not fail\n  hint: take it off the list"));
                }
                _ => {}
            }
        }
        let cases = |id: &String| self.outcomes.iter().any(|(_, case, _)| case == id);
        found.extend(known.keys().filter(|id| !cases(id)).map(|id| format!("`{id}` is listed, and is no case")));
        found
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        let mut total = [0; 3];
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut failures = String::new();
        for (action, id, verdict) in &self.outcomes {
            let column = match verdict {
                Verdict::Passed => 0,
                Verdict::Failed(why) => {
                    writeln!(failures, "  failed {id}: {why}")?;
                    1
                }
                Verdict::Skipped(why) => {
                    reasons.entry(why).or_default().push(id);
                    2
                }
            };
            for counts in [table.entry(action).or_default(), &mut total] {
                if let Some(count) = counts.get_mut(column) {
                    *count += 1;
                }
            }
        }
        writeln!(f, "{:<52} {:>6} {:>6} {:>7}", "action", "passed", "failed", "skipped")?;
        for (action, [passed, failed, skipped]) in table.iter().chain([(&"all", &total)]) {
            writeln!(f, "{action:<52} {passed:>6} {failed:>6} {skipped:>7}")?;
        }
        for (why, ids) in reasons {
            writeln!(f, "  skipped {}, {why}: {}", ids.len(), ids.join(" "))?;
        }
        f.write_str(&failures)
    }
}

//! The bindings, and a count of the requests to them.

use std::cell::Cell;

use portcullis_core::costs::Costs;
use worker::Env;

/// The bindings of one request, a count of the requests to them, and the time since which what it holds is in force.
pub struct Store {
    pub(super) env: Env,
    costs: Cell<Costs>,
    pub(super) counts_rows: bool,
    pub(super) sessions_not_before: u64,
}

impl Store {
    /// `counts_rows`: whether to read D1's row counts, which takes time. `sessions_not_before`: statements find no session,
    /// sign-in, challenge and pending change from before.
    pub fn new(env: Env, counts_rows: bool, sessions_not_before: u64) -> Self {
        Self { env, costs: Cell::default(), counts_rows, sessions_not_before }
    }

    /// The same bindings with costs of zero, for work after the response.
    pub fn renewed(&self) -> Self {
        Self::new(self.env.clone(), self.counts_rows, self.sessions_not_before)
    }

    /// The requests to the bindings so far.
    pub fn costs(&self) -> Costs {
        self.costs.get()
    }

    pub(super) fn count(&self, add: impl FnOnce(&mut Costs)) {
        let mut costs = self.costs.get();
        add(&mut costs);
        self.costs.set(costs);
    }
}

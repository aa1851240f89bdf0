//! The bindings, and a count of the requests to them.

use std::cell::Cell;

use portcullis_core::costs::Costs;
use worker::Env;

/// The bindings of one request, and a count of the requests to them.
pub struct Store {
    pub(super) env: Env,
    costs: Cell<Costs>,
    pub(super) counts_rows: bool,
}

impl Store {
    /// `counts_rows`: whether to read D1's row counts, which takes time.
    pub fn new(env: Env, counts_rows: bool) -> Self {
        Self { env, costs: Cell::default(), counts_rows }
    }

    /// The same bindings with costs of zero, for work after the response.
    pub fn renewed(&self) -> Self {
        Self::new(self.env.clone(), self.counts_rows)
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

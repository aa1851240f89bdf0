//! The bindings, and the count of what was asked of them.

use std::cell::Cell;

use portcullis_core::costs::Costs;
use worker::Env;

/// The bindings of one request, and a count of what was asked of them.
pub struct Store {
    pub(super) env: Env,
    costs: Cell<Costs>,
    pub(super) counts_rows: bool,
}

impl Store {
    /// The bindings of this request. `counts_rows`: whether to read D1's count of rows, which takes time.
    pub fn new(env: Env, counts_rows: bool) -> Self {
        Self { env, costs: Cell::default(), counts_rows }
    }

    /// The same bindings, for what goes on behind the answer.
    pub fn renewed(&self) -> Self {
        Self::new(self.env.clone(), self.counts_rows)
    }

    /// What has been asked so far.
    pub fn costs(&self) -> Costs {
        self.costs.get()
    }

    pub(super) fn count(&self, add: impl FnOnce(&mut Costs)) {
        let mut costs = self.costs.get();
        add(&mut costs);
        self.costs.set(costs);
    }
}

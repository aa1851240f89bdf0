//! Bodies of forms.

use std::collections::BTreeMap;

use super::invalid;
use crate::error::ApiError;

pub(super) fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body).into_owned() {
        if parameters.insert(name, value).is_some() {
            return Err(invalid("A parameter is repeated."));
        }
    }
    parameters.retain(|_, value| !value.is_empty());
    Ok(parameters)
}

//! How the metrics are read.

use super::addresses;
use super::mail::{is_key, unless_empty};
use super::reader::{Found, Reader};

/// The SQL API of Analytics Engine, which answers questions about the data points.
pub struct MetricsApi {
    /// `METRICS_URL`.
    pub url: String,
    /// `METRICS_TOKEN`.
    pub token: String,
    /// `METRICS_DATASET`: a part of queries.
    pub dataset: String,
}

pub(super) fn read(reader: &mut Reader<impl Fn(&'static str) -> Found>) -> Option<MetricsApi> {
    let url = reader.text("METRICS_URL", "", |text| unless_empty(text, addresses::exact));
    let token = reader.optional("METRICS_TOKEN", is_key, "must consist of visible ASCII characters");
    let dataset = reader.text("METRICS_DATASET", "portcullis", |text| {
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_name { Ok(text.to_owned()) } else { Err("must consist of letters, digits and underscores".to_owned()) }
    });
    // One without the other is no problem: numbers for admins are no reason to serve nobody.
    Some(MetricsApi { url: url??, token: token?, dataset: dataset? })
}

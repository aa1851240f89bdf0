//! The static assets.

use worker::web_sys::ReadableStream;

use super::connection::Store;
use super::error::StoreError;
use crate::platform::assets;

const OPERATION: &str = "read a static asset";

/// A static asset, or the confirmation that the client has its current version.
pub struct Asset {
    /// 200 or 304.
    pub status: u16,
    /// The media type.
    pub content_type: Option<String>,
    /// The version.
    pub etag: Option<String>,
    /// The content, unless the request is `HEAD` or the status 304.
    pub body: Option<ReadableStream>,
}

impl Store {
    /// The file of this path in `web/dist`; `None` if there is none. `method` is `GET` or `HEAD`, and `if_none_match` the header of that
    /// name. One request to the binding.
    pub async fn asset(
        &self,
        path: &str,
        method: &str,
        if_none_match: Option<&str>,
    ) -> Result<Option<Asset>, StoreError> {
        let unavailable = |cause: String| StoreError::Unavailable { operation: OPERATION, cause };
        let response = assets::fetch(&self.env, path, method, if_none_match)
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        // Only an invalid name of a header makes `get` fail.
        let header = |name: &str| response.headers().get(name).ok().flatten();
        match response.status() {
            status @ (200 | 304) => Ok(Some(Asset {
                status,
                content_type: header("Content-Type"),
                etag: header("ETag"),
                body: response.body(),
            })),
            // A redirect leads to another spelling of the path, which is another path here.
            300..=399 | 404 => Ok(None),
            status => Err(unavailable(format!("the status is {status}"))),
        }
    }

    /// The error for a file that every deployment has, and this one lacks.
    pub fn missing_asset(path: &str) -> StoreError {
        StoreError::Unavailable {
            operation: OPERATION,
            cause: format!("there is no {path} in [assets] of wrangler.toml"),
        }
    }
}

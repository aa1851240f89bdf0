//! `GET /openapi.json`: the description of the API for programs.

use super::asset;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    asset::required(context, request, "openapi.json").await
}

//! The description of an endpoint.

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};

use crate::context::EndpointLimit;
use crate::http::{ErrorFormat, Method};
use crate::limits::RateLimited;
use crate::routes::error::ApiError;
use crate::sessions::TokenResponse;
use crate::store::StoreError;
use portcullis_core::account::audit::Cursor;
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::rate_limit::Class;
use portcullis_core::sign_in::{Method as Proof, NextStep};

pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
const MERGE_PATCH: &str = "application/merge-patch+json";

const EXAMPLE_ETAG: &str = "\"6d1f0c2a4b\"";

/// Registers a type and returns a reference to its schema.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A section of the documentation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    SignIn,
    OAuth,
    Account,
    Administration,
    Operations,
    Pages,
}

impl Tag {
    pub(super) const ALL: [Self; 6] =
        [Self::SignIn, Self::OAuth, Self::Account, Self::Administration, Self::Operations, Self::Pages];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "Sign-in",
            Self::OAuth => "OAuth",
            Self::Account => "Account",
            Self::Administration => "Administration",
            Self::Operations => "Operations",
            Self::Pages => "Pages",
        }
    }

    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::SignIn => "Create accounts, and begin, refresh and end sessions.",
            Self::OAuth => {
                "The endpoints of OAuth 2 for client libraries and resource servers. Their errors have the form of \
                 RFC 6749 §5.2."
            }
            Self::Account => "What users do with their own account and sessions.",
            Self::Administration => {
                "What users with the role `admin` see of the service and do with all accounts. Every other user receives 403 \
                 `forbidden`, whether the account exists or not."
            }
            Self::Operations => "For gateways, monitoring and browsers.",
            Self::Pages => "Files for browsers. They are 404 if `PAGES` or `DOCS` disables them.",
        }
    }
}

/// How a request authenticates.
#[derive(Clone, Copy)]
pub(super) enum Credentials {
    None,
    AccessToken,
    Cookie,
    ResourceServer,
}

/// A body of a request or a response: its media type, its schema unless it is not JSON, and an example.
pub(super) struct Content {
    pub media_type: &'static str,
    pub schema: Option<SchemaOf>,
    pub example: Value,
}

/// A response that is not an error.
pub struct Success {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) content: Vec<Content>,
    /// Each header, whether the response always has it, and an example.
    pub(super) headers: Vec<(&'static str, bool, String)>,
}

impl Success {
    /// A response without a body.
    pub fn empty(status: u16, description: &'static str) -> Self {
        Self { status, description, content: Vec::new(), headers: Vec::new() }
    }

    /// A JSON response of the type of its example.
    pub fn json<T: JsonSchema + Serialize>(status: u16, description: &'static str, example: &T) -> Self {
        Self::empty(status, description).or::<T>(JSON, json!(example))
    }

    /// The token response.
    pub fn tokens(status: u16, description: &'static str) -> Self {
        Self::json(status, description, &TokenResponse::example(&User::example())).header("Pragma", "no-cache")
    }

    /// Another media type.
    pub fn or<T: JsonSchema>(mut self, media_type: &'static str, example: Value) -> Self {
        self.content.push(Content { media_type, schema: Some(SchemaGenerator::subschema_for::<T>), example });
        self
    }

    /// An HTML page.
    pub fn or_html(mut self, page: String) -> Self {
        self.content.push(Content { media_type: "text/html", schema: None, example: page.into() });
        self
    }

    /// A file of a media type, or of any, `*/*`.
    pub fn file(description: &'static str, media_type: &'static str) -> Self {
        let content = vec![Content { media_type, schema: None, example: Value::Null }];
        Self { content, ..Self::empty(200, description) }.header("ETag", EXAMPLE_ETAG)
    }

    /// A redirect.
    pub fn redirect(status: u16, description: &'static str, location: &str) -> Self {
        Self::empty(status, description).header("Location", location)
    }

    /// Sets or deletes the cookie in cookie mode.
    pub fn may_set_cookie(mut self) -> Self {
        let token = TokenResponse::EXAMPLE_REFRESH_TOKEN;
        let example = format!("__Host-portcullis={token}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=604800");
        self.headers.push(("Set-Cookie", false, example));
        self
    }

    /// A header that the response always has, besides those of every response.
    fn header(mut self, name: &'static str, example: &str) -> Self {
        self.headers.push((name, true, example.to_owned()));
        self
    }
}

/// The description of an endpoint. The table creates it, and the `describe` function beside the handler completes it.
pub struct Operation {
    /// The pattern of the table.
    pub path: &'static str,
    method: Method,
    pub(super) error_format: ErrorFormat,
    limit: EndpointLimit,
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    /// The alternatives; one of them is sent.
    pub(super) credentials: Vec<Credentials>,
    pub(super) parameters: Vec<Value>,
    pub(super) bodies: Vec<Content>,
    pub(super) successes: Vec<Success>,
    pub(super) errors: Vec<ApiError>,
    answers_anywhere: bool,
}

impl Operation {
    /// The description of a row without any text.
    pub fn new(method: Method, path: &'static str, error_format: ErrorFormat, limit: EndpointLimit) -> Self {
        Self {
            path,
            method,
            error_format,
            limit,
            id: "",
            tag: Tag::Operations,
            summary: "",
            description: "",
            credentials: vec![Credentials::None],
            parameters: Vec::new(),
            bodies: Vec::new(),
            successes: Vec::new(),
            errors: Vec::new(),
            answers_anywhere: false,
        }
    }

    /// Sets the section, the name of the method in generated clients, the summary and the description.
    pub fn named(self, tag: Tag, id: &'static str, summary: &'static str, description: &'static str) -> Self {
        Self { id, tag, summary, description, ..self }
    }

    /// Accepts an access token, which some bodies need.
    pub fn with_optional_access_token(self) -> Self {
        let operation = self.with_access_token();
        Self { credentials: vec![Credentials::None, Credentials::AccessToken], ..operation }
    }

    /// Requires an access token.
    pub fn with_access_token(self) -> Self {
        Self { credentials: vec![Credentials::AccessToken], ..self }
            .fails(ApiError::SeveralCredentials)
            .fails(ApiError::MissingToken)
            .fails(ApiError::InvalidToken)
            .fails(ApiError::ExpiredToken)
            .limits_forged_tokens()
            .uses_storage()
    }

    /// Requires an access token of a user who authenticated recently and may change factors.
    pub fn changes_factors(self) -> Self {
        self.with_access_token().fails(ApiError::StepUpRequired).fails(ApiError::RecoveryDelay)
    }

    /// Requires an access token like [`Self::changes_factors`], or the `mfa_token` of a sign-in that needs a factor.
    pub fn with_enroller(self) -> Self {
        self.changes_factors()
            .fails(ApiError::InvalidMfaToken)
            .fails(ApiError::incomplete_example(NextStep::NeedsVerifiedEmail))
            .fails(ApiError::incomplete_example(NextStep::NeedsSecondFactor { methods: vec![Proof::Totp] }))
            .fails(ApiError::FactorsOff)
    }

    /// Judges codes of authenticator apps and recovery codes.
    pub fn judges_second_factors(self) -> Self {
        self.fails(ApiError::InvalidCode)
            .fails(ApiError::PasskeyRefused)
            .fails(ApiError::TooManyAttempts(32))
            .fails(ApiError::CodesStopped)
            .fails(ApiError::FactorsOff)
    }

    /// Requires an access token of a user with the role `admin`.
    pub fn with_admin_token(self) -> Self {
        self.with_access_token().fails(ApiError::NotAdmin).fails(ApiError::StepUpRequired)
    }

    /// Fails if the proofs are not sufficient for a session.
    pub fn needs_further_proofs(self) -> Self {
        [
            NextStep::NeedsSecondFactor { methods: vec![Proof::Totp, Proof::RecoveryCode] },
            NextStep::NeedsVerifiedEmail,
            NextStep::NeedsEnrolment,
        ]
        .into_iter()
        .fold(self, |operation, step| operation.fails(ApiError::incomplete_example(step)))
    }

    /// Accepts an access token, and does not require it.
    pub fn or_with_access_token(mut self) -> Self {
        self.credentials.push(Credentials::AccessToken);
        self
    }

    /// Accepts the cookie, and does not require it.
    pub fn or_with_cookie(mut self) -> Self {
        self.credentials.push(Credentials::Cookie);
        self
    }

    /// Requires the credentials of a resource server.
    pub fn with_resource_server(self) -> Self {
        Self { credentials: vec![Credentials::ResourceServer], ..self }
            .fails(ApiError::UnauthenticatedClient)
            .limits_forged_tokens()
    }

    /// Limits the rate of forged tokens and wrong secrets.
    pub fn limits_forged_tokens(self) -> Self {
        self.fails(ApiError::RateLimited(RateLimited::example()))
    }

    /// Has the id of a user or session in its path.
    pub fn path_id(self, description: &'static str) -> Self {
        self.parameter("path", "id", description, &json!({"type": "string"}), &json!(Id::example()))
            .fails(ApiError::NotFound)
    }

    /// Accepts a parameter in the query.
    pub fn query(self, name: &'static str, description: &'static str, schema: &Value, example: &Value) -> Self {
        self.parameter("query", name, description, schema, example)
    }

    /// Has the path of a file as the end of its path.
    pub fn path_file(self, description: &'static str, example: &str) -> Self {
        self.parameter("path", "file", description, &json!({"type": "string"}), &json!(example))
    }

    /// Returns a static asset, unless the configuration turns it off.
    pub fn asset(self, file: Success) -> Self {
        let schema = json!({"type": "string"});
        let etag = json!(EXAMPLE_ETAG);
        self.parameter("header", "If-None-Match", "The `ETag` of the file that the client has.", &schema, &etag)
            .succeeds(file)
            .succeeds(Success::empty(304, "The file has not changed.").header("ETag", EXAMPLE_ETAG))
            .fails(ApiError::NotFound)
            .uses_storage()
    }

    /// Returns pages.
    pub fn pages(self) -> Self {
        let limit = json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 50});
        let cursor = json!({"type": "string"});
        let last = Cursor { at: User::example().created_at, id: Id::example().to_string() };
        self.query("limit", "Maximum number of entries of the page.", &limit, &json!(50))
            .query("cursor", "The `next_cursor` of the previous page.", &cursor, &json!(last.encode()))
            .fails(ApiError::InvalidRequest("The limit must be a whole number from 1 to 100.".to_owned()))
    }

    fn parameter(
        mut self,
        place: &'static str,
        name: &'static str,
        description: &'static str,
        schema: &Value,
        example: &Value,
    ) -> Self {
        self.parameters.push(json!({
            "name": name, "in": place, "description": description, "required": place == "path", "schema": schema,
            "example": example,
        }));
        self
    }

    /// Reads a JSON body.
    pub fn json<T: JsonSchema>(self, example: &Value) -> Self {
        let media_types: &[_] = if self.method == Method::Patch { &[JSON, MERGE_PATCH] } else { &[JSON] };
        media_types.iter().fold(self, |operation, media_type| operation.body::<T>(media_type, example.clone()))
    }

    /// Reads a form.
    pub fn form<T: JsonSchema>(self, example: Value) -> Self {
        self.body::<T>(FORM, example)
    }

    fn body<T: JsonSchema>(mut self, media_type: &'static str, example: Value) -> Self {
        self.bodies.push(Content { media_type, schema: Some(SchemaGenerator::subschema_for::<T>), example });
        self
    }

    /// Succeeds with this response.
    pub fn succeeds(mut self, success: Success) -> Self {
        self.successes.push(success);
        self
    }

    /// Fails with this error.
    pub fn fails(mut self, error: ApiError) -> Self {
        self.errors.push(error);
        self
    }

    /// Reads or writes D1 or KV.
    pub fn uses_storage(self) -> Self {
        self.fails(ApiError::Storage(StoreError::Unavailable { operation: "", cause: String::new() }))
    }

    /// Hashes a password.
    pub fn hashes(self) -> Self {
        self.fails(ApiError::TooManyRequests(2)).fails(ApiError::Overloaded(4))
    }

    /// Answers at any address.
    pub fn answers_anywhere(self) -> Self {
        Self { answers_anywhere: true, ..self }
    }

    /// The path as OpenAPI writes it. It has no syntax for a parameter that contains slashes.
    pub(super) fn openapi_path(&self) -> String {
        self.path.replace("{*", "{")
    }

    pub(super) const fn method_name(&self) -> &'static str {
        match self.method {
            Method::Post => "post",
            Method::Patch => "patch",
            Method::Delete => "delete",
            Method::Get | Method::Head | Method::Options | Method::Other => "get",
        }
    }

    /// The class of rate limits in the table.
    pub(super) const fn limit_name(&self) -> Option<&'static str> {
        match self.limit {
            EndpointLimit::None => None,
            EndpointLimit::Credentials => Some(Class::Credentials.name()),
            EndpointLimit::Writes => Some(Class::Writes.name()),
        }
    }

    /// The errors that handlers do not name: those of reading the body, and those of any request.
    pub(super) fn common_errors(&self) -> Vec<ApiError> {
        let mut errors = Vec::new();
        if !self.bodies.is_empty() {
            let media_types: Vec<_> = self.bodies.iter().map(|body| body.media_type).collect();
            let is_form = media_types.contains(&FORM);
            let detail = if is_form { "A parameter is repeated." } else { "The body must be a JSON object." };
            errors.push(ApiError::InvalidRequest(detail.to_owned()));
            errors.push(ApiError::RequestTimeout);
            errors.push(ApiError::BodyTooLarge);
            errors.push(ApiError::UnsupportedMediaType(media_types.join(" or ").leak()));
        }
        if self.limit != EndpointLimit::None {
            errors.push(ApiError::RateLimited(RateLimited::example()));
        }
        if !self.answers_anywhere {
            errors.push(ApiError::WrongHost);
        }
        errors.push(ApiError::Internal(String::new()));
        errors
    }
}

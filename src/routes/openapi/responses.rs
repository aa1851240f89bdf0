//! Bodies, responses and errors of the document, and the schemas of their types.

use std::collections::BTreeSet;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::operation::{Content, FORM, JSON, Success};
use crate::http::{ErrorFormat, OAuthBody, ProblemBody, Reply};
use crate::routes::error::ApiError;
use portcullis_core::id::Id;

const PROBLEM: &str = "application/problem+json";

/// An error as the client receives it.
pub struct Failure {
    pub status: u16,
    media_type: &'static str,
    /// The code in the body.
    code: String,
    /// The code of the problem, which is more specific than that of OAuth.
    kind: String,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Failure {
    pub fn of(error: &ApiError, format: ErrorFormat) -> Self {
        let body = |reply: &Reply| -> Value {
            reply.parts().1.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
        };
        let text = |body: &Value, member| body.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        let reply = error.reply(format, Id::example());
        let kind = text(&body(&error.reply(ErrorFormat::Problem, Id::example())), "code");
        let (status, _, headers) = reply.parts();
        let body = body(&reply);
        let (media_type, member) = match format {
            ErrorFormat::Problem => (PROBLEM, "code"),
            ErrorFormat::OAuth => (JSON, "error"),
        };
        let headers = headers.iter().filter(|(name, _)| *name != "Content-Type").cloned().collect();
        Self { status, media_type, code: text(&body, member), kind, body, headers }
    }

    fn detail(&self) -> &str {
        let detail = self.body.get("detail").or_else(|| self.body.get("error_description"));
        detail.and_then(Value::as_str).unwrap_or_default()
    }
}

/// The headers of every response that the document lists.
pub fn common_headers() -> Value {
    let text = |description: &str, example: &str| json!({"description": description, "required": true, "schema": {"type": "string"}, "example": example});
    json!({
        "X-Request-Id": text("The id of the request, which its log lines also have.", &Id::example().to_string()),
        "Cache-Control": text("`no-store`, except for public documents.", "no-store"),
    })
}

/// A header besides those of every response. `always`: whether each response of the status has it.
fn header(name: &str, always: bool, example: &str) -> Value {
    let text = json!({"type": "string"});
    let (description, schema) = match name {
        "Allow" => ("The methods of the path.", text),
        "ETag" => ("The version of the file.", text),
        "Location" => ("The address to request instead.", text),
        "Pragma" => ("For caches of HTTP/1.0 (RFC 6749 §5.1).", json!({"type": "string", "const": "no-cache"})),
        "RateLimit-Policy" => (
            "The exceeded limit: its class, the number of requests and the period in seconds \
             (draft-ietf-httpapi-ratelimit-headers).",
            text,
        ),
        "Retry-After" => ("Seconds until a retry.", json!({"type": "integer", "minimum": 1})),
        "Set-Cookie" => ("Sets or deletes the cookie of a session in cookie mode.", text),
        "Token-Expired" => ("Present if the access token has expired.", json!({"type": "string", "const": "true"})),
        "WWW-Authenticate" => ("The scheme to authenticate with (RFC 6750 §3).", text),
        _ => ("", text),
    };
    let example = example.parse::<u32>().map_or_else(|_| json!(example), |number| json!(number));
    json!({"description": description, "required": always, "schema": schema, "example": example})
}

/// The names of the error responses that endpoints share, by their codes. Those of OAuth endpoints have the prefix `OAuth`.
const SHARED: &[(&str, &[&str])] = &[
    ("AccessTokenRefused", &["missing_token", "invalid_token", "token_expired"]),
    ("NotAdmin", &["forbidden"]),
    ("WrongPassword", &["wrong_password"]),
    ("NotFound", &["not_found"]),
    ("MethodNotAllowed", &["method_not_allowed"]),
    ("RequestTimeout", &["request_timeout"]),
    ("BodyTooLarge", &["body_too_large"]),
    ("UnsupportedMediaType", &["unsupported_media_type"]),
    ("WrongHost", &["wrong_host"]),
    ("RateLimited", &["rate_limited"]),
    ("TooManyRequests", &["too_many_requests"]),
    ("RateLimitedOrBusy", &["rate_limited", "too_many_requests"]),
    ("InternalError", &["internal_error"]),
    ("Misconfigured", &["misconfigured"]),
    ("Unavailable", &["storage_unavailable", "misconfigured"]),
    ("Busy", &["storage_unavailable", "overloaded", "misconfigured"]),
];

/// The schemas of the types, and the error responses that endpoints share.
pub struct Schemas {
    requests: SchemaGenerator,
    forms: SchemaGenerator,
    responses: SchemaGenerator,
    pub shared: Map<String, Value>,
}

impl Schemas {
    pub fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            forms: settings().for_deserialize().into_generator(),
            responses: settings().for_serialize().into_generator(),
            shared: Map::new(),
        }
    }

    pub fn request(&mut self, body: &Content) -> (String, Value) {
        let generator = if body.media_type == FORM { &mut self.forms } else { &mut self.requests };
        let schema = body.schema.map(|schema| schema(generator));
        (body.media_type.to_owned(), json!({"schema": schema, "example": body.example}))
    }

    pub fn success(&mut self, success: &Success) -> Value {
        let mut headers = listed_headers();
        for (name, always, example) in &success.headers {
            headers.insert((*name).to_owned(), header(name, *always, example));
        }
        let mut response = json!({"description": success.description, "headers": headers});
        let mut content = Map::new();
        for Content { media_type, schema, example } in &success.content {
            let schema = match schema {
                Some(schema) => json!(schema(&mut self.responses)),
                None if *media_type == JSON => json!({"type": "object"}),
                None => json!({"type": "string"}),
            };
            let with_example = json!({"schema": schema, "example": example});
            let without = json!({"schema": schema});
            content.insert((*media_type).to_owned(), if example.is_null() { without } else { with_example });
        }
        if let Some(members) = response.as_object_mut().filter(|_| !content.is_empty()) {
            members.insert("content".to_owned(), content.into());
        }
        response
    }

    /// Returns the response for the errors of one status: a reference to a shared response if one is equal.
    pub fn failure(&mut self, failures: &[Failure]) -> Value {
        let kinds: BTreeSet<_> = failures.iter().map(|failure| failure.kind.as_str()).collect();
        let Some((name, _)) = SHARED.iter().find(|(_, shared)| kinds == shared.iter().copied().collect()) else {
            return self.inline_failure(failures, None);
        };
        let is_oauth = failures.iter().any(|failure| failure.media_type == JSON);
        let name = if is_oauth { format!("OAuth{name}") } else { (*name).to_owned() };
        let response = self.inline_failure(failures, Some(&name));
        if *self.shared.entry(name.as_str()).or_insert_with(|| response.clone()) != response {
            return response;
        }
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// `name` is that of a shared response. Generated clients derive the name of its body type from it.
    fn inline_failure(&mut self, failures: &[Failure], name: Option<&str>) -> Value {
        let mut headers = listed_headers();
        for failure in failures {
            for (name, value) in &failure.headers {
                let always = failures.iter().all(|other| other.headers.iter().any(|(own, _)| own == name));
                headers.entry(*name).or_insert_with(|| header(name, always, value));
            }
        }
        let mut described = Vec::new();
        let mut content = Map::new();
        for media_type in [PROBLEM, JSON] {
            let failures: Vec<_> = failures.iter().filter(|failure| failure.media_type == media_type).collect();
            let Some(first) = failures.first() else { continue };
            let (schema, member, suffix) = match media_type {
                PROBLEM => (self.responses.subschema_for::<ProblemBody>(), "code", "Problem"),
                _ => (self.responses.subschema_for::<OAuthBody>(), "error", "Error"),
            };
            let mut codes: Vec<&str> = Vec::new();
            let mut examples = Map::new();
            for failure in &failures {
                if !codes.contains(&failure.code.as_str()) {
                    codes.push(&failure.code);
                    described.push(format!("`{}`: {}", failure.code, failure.detail()));
                    examples.insert(failure.code.clone(), json!({"value": failure.body}));
                }
            }
            let mut members = Map::new();
            members.insert(member.to_owned(), json!({"enum": codes}));
            if media_type == PROBLEM {
                members.insert("status".to_owned(), json!({"const": first.status}));
            }
            let mut narrowed = json!({"allOf": [schema, {"type": "object", "properties": members}]});
            if let (Some(name), Some(keywords)) = (name, narrowed.as_object_mut()) {
                keywords.insert("title".to_owned(), format!("{name}{suffix}").into());
            }
            content.insert(media_type.to_owned(), json!({"schema": narrowed, "examples": examples}));
        }
        json!({"description": described.join("\n\n"), "headers": headers, "content": content})
    }

    /// The schemas of all types, for `components`.
    pub fn definitions(mut self) -> Value {
        let mut all = self.responses.take_definitions(true);
        all.values_mut().for_each(without_null);
        all.extend(self.requests.take_definitions(true));
        all.values_mut().for_each(close);
        // RFC 6749 §3.2: unknown parameters of a form are ignored.
        all.extend(self.forms.take_definitions(true));
        all.values_mut().for_each(tidy);
        all.into()
    }
}

/// Removes `null` from the types of members that a response omits instead.
fn without_null(schema: &mut Value) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (_, member) in members.iter_mut().filter(|(name, _)| !required.iter().any(|required| *required == ***name)) {
        let types = member.get_mut("type");
        if let Some(types) = types
            && let Some([only, Value::String(null)]) = types.as_array().map(Vec::as_slice)
            && null == "null"
        {
            *types = only.clone();
        }
    }
}

/// The headers of every response that the document lists, as references.
fn listed_headers() -> Map<String, Value> {
    let reference = |name: &str| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    ["X-Request-Id", "Cache-Control"].map(reference).into_iter().collect()
}

/// Allows only the described members, unless the type says otherwise.
fn close(schema: &mut Value) {
    if let Some(members) = schema.as_object_mut().filter(|members| members.contains_key("properties")) {
        members.entry("additionalProperties").or_insert(false.into());
    }
}

/// Adapts a schema to OpenAPI tools: unsigned integers become `int64`, and the names of an enum become one list.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        Value::Object(members) => {
            members.values_mut().for_each(tidy);
            if members.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                members.insert("format".to_owned(), "int64".into());
            }
            if let Some(names) = members.get("oneOf").and_then(Value::as_array).and_then(|variants| names_of(variants))
            {
                let described: Vec<_> = names.iter().map(|(name, text)| format!("- `{name}`: {text}")).collect();
                let own = members.get("description").and_then(Value::as_str).unwrap_or_default();
                let description = format!("{own}\n\n{}", described.join("\n"));
                let names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
                members.remove("oneOf");
                members.insert("type".to_owned(), "string".into());
                members.insert("enum".to_owned(), json!(names));
                members.insert("description".to_owned(), description.into());
            }
        }
        _ => {}
    }
}

/// The names and descriptions of the variants of an enum, if all are names.
fn names_of(variants: &[Value]) -> Option<Vec<(String, String)>> {
    let text = |variant: &Value, member| Some(variant.get(member)?.as_str()?.to_owned());
    variants.iter().map(|variant| Some((text(variant, "const")?, text(variant, "description")?))).collect()
}

//! The API document (`OpenAPI` 3.1), made from the types that answers are made of and the list of providers, so that
//! it can't drift from either. `openapi/gigya-esp-gateway.json` is this document as text; a test keeps it so.

use super::answer::{ProblemBody, SummaryBody};
use super::layers::X_REQUEST_ID;
use super::operations::ReadinessBody;
use crate::esp::{PROVIDERS, ProviderInfo};
use utoipa::ToSchema;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AdditionalProperties, Array, Schema, SchemaType};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, InfoBuilder, LicenseBuilder, Object, ObjectBuilder, OpenApi,
    OpenApiBuilder, PathItem, Paths, PathsBuilder, Ref, RefOr, Required, ServerBuilder, Type,
};

const WEBHOOKS: &str = "webhooks";
const OPERATIONS: &str = "operations";

/// What a webhook can be answered besides 200, as `(status, name, description)`.
const PROBLEMS: &[(&str, &str, &str)] = &[
    ("400", "BadRequest", "Not HTTP, not JSON (or XML where the sender uses it), or not what this sender sends."),
    (
        "401",
        "NotVerified",
        "Signature or token missing, wrong or too old; one body for all. Nothing was called upstream.",
    ),
    ("404", "NotFound", "No such path or no connection of that name."),
    ("405", "MethodNotAllowed", "Another method than `Allow` says."),
    ("408", "BodyTooSlow", "The body took longer than `server.body_timeout`. The connection is closed."),
    ("413", "BodyTooLarge", "The body is larger than `server.max_body_bytes`. The connection is closed."),
    ("415", "UnsupportedMediaType", "Not a media type of this sender, or a `Content-Encoding` other than identity."),
];

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("gigya-esp-gateway")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(concat!(
                    "Keeps SAP Customer Data Cloud (Gigya) and an email service provider in step, webhook by ",
                    "webhook. A 2xx means that every change in the request is done, was found done, or can never ",
                    "be done and is recorded; after anything else, send the request again."
                )))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
                .build(),
        )
        .servers(Some([ServerBuilder::new()
            .url("http://localhost:8080")
            .description(Some("The webhook port, `server.listen`."))
            .build()]))
        .paths(paths())
        .components(Some(components()))
        .tags(Some([
            TagBuilder::new().name(WEBHOOKS).description(Some("What senders call.")).build(),
            TagBuilder::new()
                .name(OPERATIONS)
                .description(Some("On a second port, `server.admin_listen`, which senders must not reach."))
                .build(),
        ]))
        .build()
}

/// The document as JSON, indented, ending in a newline; the same bytes every time.
///
/// # Panics
/// Never: there is nothing in it that JSON can't say.
#[must_use]
pub fn json() -> String {
    let mut text = document().to_pretty_json().expect("the document is text, numbers, lists and maps with text keys");
    text.push('\n');
    text
}

fn paths() -> Paths {
    let providers = PROVIDERS.iter().map(|provider| (provider_path(provider), provider_webhook(provider)));
    let webhooks = std::iter::once(("/webhooks/gigya/{connection}".to_owned(), gigya_webhook())).chain(providers);
    let mut paths = PathsBuilder::new();
    for (path, operation) in webhooks {
        paths = paths.path(path, PathItem::new(HttpMethod::Post, operation));
    }
    for (path, operation) in operations() {
        paths = paths.path(path, PathItem::new(HttpMethod::Get, operation));
    }
    paths.build()
}

fn gigya_webhook() -> Operation {
    webhook("receiveGigyaNotification", "Receive a notification from Gigya")
        .description(Some(
            "Says that accounts changed. What they are now is read from Gigya, and forwarded to the ESPs. \
             Signed in the way that the connection is set to.",
        ))
        .parameter(connection("gigya"))
        .securities(Some(
            ["gigyaJwt", "gigyaHmac"].map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(name, [])),
        ))
        .request_body(Some(json_body(
            "Gigya's notification, version 1.0, 1.1 or 2.0. Other members are ignored.",
            reference("GigyaNotification").into(),
        )))
        .build()
}

fn provider_path(provider: &ProviderInfo) -> String {
    let token = if provider.token_in_path { "/{token}" } else { "" };
    format!("/webhooks/{}/{{connection}}{token}", provider.slug)
}

fn provider_webhook(provider: &ProviderInfo) -> Operation {
    let title: String = provider.title.split_whitespace().collect();
    let mut operation =
        webhook(&format!("receive{title}Callback"), &format!("Receive a callback from {}", provider.title))
            .description(Some("Says that subscribers opted out, opted in, or are gone. Forwarded to Gigya."))
            .parameter(connection(provider.slug))
            .securities(Some::<[SecurityRequirement; 0]>([]));
    if provider.token_in_path {
        let token = ParameterBuilder::from(path_parameter("token")).description(Some(
            "One of the connection's callback tokens, as the sender can't sign. It is never logged.",
        ));
        operation = operation.parameter(token.build());
    }
    let anything: Schema = ObjectBuilder::new()
        .description(Some(provider.callback))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .into();
    operation.request_body(Some(json_body(provider.callback, anything.into()))).build()
}

/// What the webhooks of all senders have in common.
fn webhook(id: &str, summary: &str) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .tag(WEBHOOKS)
        .parameter(
            ParameterBuilder::new()
                .name(X_REQUEST_ID.as_str())
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .schema(Some(text()))
                .description(Some("An id to be logged and sent back: up to 64 of `A-Z a-z 0-9 - _ .`"))
                .build(),
        )
        .response("200", response_reference("Settled"))
        .response("431", Response::new("More than 100 header fields, or more than 64 KiB of them. No body."))
        .response("503", response_reference("TryAgain"));
    for (status, name, _) in PROBLEMS {
        operation = operation.response(*status, response_reference(name));
    }
    operation
}

fn operations() -> [(&'static str, Operation); 3] {
    let port = ServerBuilder::new()
        .url("http://localhost:9090")
        .description(Some("The operations port, `server.admin_listen`."))
        .build();
    let operation = |id: &str, summary: &str, description: &str, answer: ResponseBuilder| {
        OperationBuilder::new()
            .operation_id(Some(id))
            .summary(Some(summary))
            .description(Some(description))
            .tag(OPERATIONS)
            .server(port.clone())
            .securities(Some::<[SecurityRequirement; 0]>([]))
            .response("200", answer.build())
            .response("405", response_reference("MethodNotAllowed"))
    };
    let plain = |description: &str| {
        ResponseBuilder::new().description(description).content("text/plain", Content::new(Some(text())))
    };
    let readiness = |description: &str| {
        ResponseBuilder::new()
            .description(description)
            .content("application/json", Content::new(Some(reference("Readiness"))))
    };
    [
        (
            "/livez",
            operation("live", "Whether the process runs", "For restarting it when it doesn't.", plain("It does."))
                .build(),
        ),
        (
            "/readyz",
            operation(
                "ready",
                "Whether work is welcome",
                "For load balancers. Says no before connections are refused.",
                readiness("It is."),
            )
            .response("503", readiness("It is not; the reasons say why.").build())
            .build(),
        ),
        (
            "/metrics",
            operation("metrics", "How it is doing", "For Prometheus.", plain("Prometheus' text format 0.0.4.")).build(),
        ),
    ]
}

fn components() -> Components {
    let mut schemas = Vec::new();
    SummaryBody::schemas(&mut schemas);
    let mut components = ComponentsBuilder::new()
        .schema_from::<SummaryBody>()
        .schema_from::<ProblemBody>()
        .schema_from::<ReadinessBody>()
        .schemas_from_iter(schemas)
        .schema("GigyaNotification", notification())
        .response("Settled", with_id("Everything is settled.").content("application/json", summary()).build())
        .response(
            "TryAgain",
            with_id(
                "Not all is done: a summary if events were deferred (what was applied stays applied), a problem if \
                 nothing was done. Send the same request again.",
            )
            .header("Retry-After", Header::new(Object::with_type(Type::Integer)))
            .content("application/json", summary())
            .content("application/problem+json", problem())
            .build(),
        );
    for (_, name, description) in PROBLEMS {
        let mut answer = with_id(description).content("application/problem+json", problem());
        answer = match *name {
            "MethodNotAllowed" => answer.header("Allow", Header::default()),
            "NotVerified" => answer.header("WWW-Authenticate", Header::default()),
            _ => answer,
        };
        components = components.response(*name, answer.build());
    }
    components
        .security_scheme(
            "gigyaJwt",
            header_key("X-Gigya-Sig-Jwt", "An RS256 token over the body's hash (`webhook_auth = \"jwt\"`)."),
        )
        .security_scheme(
            "gigyaHmac",
            header_key(
                "X-Gigya-Sig-Hmac-Sha1",
                "Base64 of the body's HMAC-SHA1 under a webhook secret (`webhook_auth = \"hmac-sha1\"`).",
            ),
        )
        .build()
}

fn notification() -> Object {
    let event = ObjectBuilder::new()
        .property("type", described("What happened: `accountUpdated`, `subscriptionUpdated`, `accountDeleted`, ..."))
        .required("type")
        .property("id", described("The event's id, the same in every redelivery."))
        .property("callId", described("The id of the call at Gigya that caused it."))
        .property("apiKey", described("The site that it happened at."))
        .property("timestamp", Object::with_type(SchemaType::AnyValue))
        .property(
            "data",
            ObjectBuilder::new()
                .property("uid", described("The account."))
                .property("newUid", described("The account that it was merged into, or its new UID."))
                .additional_properties(Some(AdditionalProperties::FreeForm(true))),
        );
    ObjectBuilder::new()
        .description(Some("That something happened to accounts; no profile data."))
        .property("events", Array::new(event.build()))
        .required("events")
        .property("nonce", described("Different for each delivery."))
        .property("timestamp", ObjectBuilder::new().schema_type(Type::Integer).description(Some("Unix time.")))
        .build()
}

fn connection(sender: &str) -> Parameter {
    ParameterBuilder::from(path_parameter("connection"))
        .description(Some(format!("The name of a configured connection of this sender ({sender}).")))
        .build()
}

fn path_parameter(name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1))))
        .build()
}

fn json_body(description: &str, schema: RefOr<Schema>) -> RequestBody {
    RequestBodyBuilder::new()
        .description(Some(description))
        .required(Some(Required::True))
        .content("application/json", Content::new(Some(schema)))
        .build()
}

fn with_id(description: &str) -> ResponseBuilder {
    let id = HeaderBuilder::new().schema(Some(text())).description(Some("The request's id, as logged.")).build();
    ResponseBuilder::new().description(description).header("X-Request-Id", id)
}

fn header_key(name: &str, description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
}

fn summary() -> Content {
    Content::new(Some(reference("Summary")))
}

fn problem() -> Content {
    Content::new(Some(reference("Problem")))
}

fn reference(schema: &str) -> Ref {
    Ref::from_schema_name(schema)
}

fn response_reference(name: &str) -> Ref {
    Ref::from_response_name(name)
}

fn text() -> Object {
    Object::with_type(Type::String)
}

fn described(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_repository_is_this_document() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/gigya-esp-gateway.json");
        let file = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            file == json(),
            "openapi/gigya-esp-gateway.json is not what the code says; regenerate it:\n    \
             cargo run -- openapi > openapi/gigya-esp-gateway.json"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: serde_json::Value = serde_json::from_str(&json()).unwrap();
        let text = json();
        let references = text.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap());
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
        assert!(text.contains("\"/webhooks/gigya/{connection}\""));
        assert!(text.contains("\"/webhooks/campaign-monitor/{connection}/{token}\""));
    }
}

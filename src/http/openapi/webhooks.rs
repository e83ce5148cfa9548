//! The paths of the webhook port.

use super::WEBHOOKS;
use super::components::{PROBLEMS, named, scheme_of, text};
use crate::esp::schema::{anything, or_null};
use crate::esp::{PROVIDERS, ProviderInfo, TokenInPath};
use crate::http::layers::X_REQUEST_ID;
use serde_json::json;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{Array, SchemaType};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ContentBuilder, ObjectBuilder, PathItem, Required, Type};

/// All of them.
pub(super) fn paths() -> Vec<(String, PathItem)> {
    let mut paths = vec![("/webhooks/gigya/{connection}".to_owned(), gigya())];
    for provider in PROVIDERS {
        let path = format!("/webhooks/{}/{{connection}}", provider.slug);
        let with_token = format!("{path}/{{token}}");
        match provider.token {
            TokenInPath::Never => paths.push((path, callback(provider, false))),
            TokenInPath::Always => {
                paths.push((with_token, callback(provider, true)));
                paths.push((path, tokenless(provider)));
            }
            TokenInPath::Maybe => {
                paths.push((with_token, callback(provider, true)));
                paths.push((path, callback(provider, false)));
            }
        }
    }
    let as_post =
        |(path, operation): (String, OperationBuilder)| (path, PathItem::new(HttpMethod::Post, operation.build()));
    paths.into_iter().map(as_post).collect()
}

fn gigya() -> OperationBuilder {
    webhook("receiveGigyaNotification", "Receive a notification from Gigya")
        .description(Some(
            "Says that accounts changed. What they are now is read from Gigya, and forwarded to the ESPs. \
             Signed in the way that the connection is set to.",
        ))
        .parameter(connection("gigya"))
        .securities(Some(["gigyaJwt", "gigyaHmac"].map(signed_with)))
        .request_body(Some(body(
            "Gigya's notification, version 1.0, 1.1 or 2.0. Other members are ignored.",
            [("application/json", notification())],
        )))
}

fn callback(provider: &ProviderInfo, has_token: bool) -> OperationBuilder {
    let title: String = provider.title.split_whitespace().collect();
    let with = if has_token && provider.token == TokenInPath::Maybe { "WithToken" } else { "" };
    let id = format!("receive{title}Callback{with}");
    let mut operation = webhook(&id, &format!("Receive a callback from {}", provider.title))
        .description(Some("Says that subscribers opted out, opted in, or are gone. Forwarded to Gigya."))
        .parameter(connection(provider.slug));
    operation = match &provider.signature {
        Some(signature) => {
            let unsigned = signature.may_be_missing.then(SecurityRequirement::default);
            let schemes = std::iter::once(signed_with(&scheme_of(provider.slug))).chain(unsigned);
            operation.securities(Some(schemes))
        }
        None => operation.securities(Some::<[SecurityRequirement; 0]>([])),
    };
    if has_token {
        let token = ParameterBuilder::from(path_parameter("token")).description(Some(
            "One of the connection's callback tokens, as the sender can't sign. It is never logged.",
        ));
        operation = operation.parameter(token.build());
    }
    operation.request_body(Some(body(provider.callback, (provider.bodies)())))
}

/// Where a callback ends up whose URL was registered without its token.
fn tokenless(provider: &ProviderInfo) -> OperationBuilder {
    let title: String = provider.title.split_whitespace().collect();
    let id = format!("refuse{title}CallbackWithoutToken");
    webhook(&id, &format!("Refuse a callback from {} without a token", provider.title))
        .description(Some("The token is missing: 401, whatever it says."))
        .parameter(connection(provider.slug))
        .securities(Some::<[SecurityRequirement; 0]>([]))
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
                .description(Some(
                    "An id to be logged and sent back: up to 64 of `A-Z a-z 0-9 - _ .`; for any other, one is made.",
                ))
                .build(),
        )
        .response("200", named("Settled"))
        .response("431", named("HeadTooLarge"))
        .response("503", named("TryAgain"));
    for (status, name, _) in PROBLEMS {
        operation = operation.response(*status, named(name));
    }
    operation
}

/// What of Gigya's body is read. What it says besides is never refused for its shape.
fn notification() -> Content {
    let event = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property(
            "type",
            described("What happened: `accountUpdated`, `subscriptionUpdated`, `accountDeleted`, ...", Type::String),
        )
        .required("type")
        .property("id", anything("The event's id, the same in every redelivery. Whatever is no text is no id."))
        .property("callId", anything("The id of the call at Gigya that caused it. `callID` is read, too."))
        .property("callID", anything("The same."))
        .property("apiKey", or_null("The site that it happened at. If it is none of the connection's: 401."))
        .property(
            "data",
            ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(
                "The account: `uid`, and `newUid` where it was merged or got another; or `emailAccountToken`. An \
                 event without it is recorded as `malformed`.",
            )),
        );
    let whole = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("That something happened to accounts; no profile data."))
        .property("events", Array::new(event.build()))
        .required("events")
        .property("nonce", or_null("Different for each delivery; with a token, its `jti`."))
        .property(
            "timestamp",
            ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
                .description(Some("Unix time, in seconds. If it is too old or ahead: 401.")),
        );
    let example = json!({
        "events": [{
            "type": "accountUpdated", "id": "5b0e6f0c-0d6e-4f56-9a3e-6d5d6f2b7a11",
            "callId": "e6f891ac17f24810bee6eb533524a152", "apiKey": "4_SimulatedSiteApiKey",
            "data": { "accountType": "full", "uid": "8d7c0f0b6a5e4d3c9b2a1f0e9d8c7b6a" },
        }],
        "nonce": "a3f1c2d4", "timestamp": 1_900_000_000,
    });
    ContentBuilder::new().schema(Some(whole.build())).example(Some(example)).build()
}

fn described(description: &str, kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind).description(Some(description))
}

fn signed_with(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], &str>(scheme, [])
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

fn body(description: &str, bodies: impl IntoIterator<Item = (&'static str, Content)>) -> RequestBody {
    let body = RequestBodyBuilder::new().description(Some(description)).required(Some(Required::True));
    bodies.into_iter().fold(body, |body, (media_type, content)| body.content(media_type, content)).build()
}

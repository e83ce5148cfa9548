//! What the paths share: the bodies of answers, the answers, and how senders are known.

use crate::esp::PROVIDERS;
use crate::http::answer::{ProblemBody, SummaryBody};
use crate::http::operations::ReadinessBody;
use utoipa::ToSchema;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{Components, ComponentsBuilder, Content, Object, ObjectBuilder, Ref, Type};

/// What a webhook can be answered besides 200, as `(status, name, description)`.
pub(super) const PROBLEMS: &[(&str, &str, &str)] = &[
    ("400", "BadRequest", "Not JSON (or XML where the sender uses it), or not what this sender sends."),
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

/// All of it.
pub(super) fn all() -> Components {
    let mut schemas = Vec::new();
    SummaryBody::schemas(&mut schemas);
    let mut components = ComponentsBuilder::new()
        .schema_from::<SummaryBody>()
        .schema_from::<ProblemBody>()
        .schema_from::<ReadinessBody>()
        .schemas_from_iter(schemas)
        .response("Settled", with_id("Everything is settled.").content("application/json", summary()).build())
        .response("TryAgain", try_again())
        .response("HeadTooLarge", Response::new("More than 100 header fields, or more than 64 KiB of them. No body."))
        .response("NotHttp", Response::new("400, to what is no HTTP/1.1. No body; the connection is closed."));
    for (_, name, description) in PROBLEMS {
        let answer = with_id(description).content("application/problem+json", problem());
        let answer = match *name {
            "MethodNotAllowed" => answer.header("Allow", always(text(), "The methods that there are.")),
            "NotVerified" => answer.header("WWW-Authenticate", always(text(), "Always the same.")),
            "UnsupportedMediaType" => answer.header("Accept-Encoding", sometimes("Where the encoding was wrong.")),
            _ => answer,
        };
        components = components.response(*name, answer.build());
    }
    for provider in PROVIDERS {
        if let Some(signature) = &provider.signature {
            components =
                components.security_scheme(scheme_of(provider.slug), header_key(signature.header, signature.how));
        }
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

fn try_again() -> Response {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
    with_id(
        "Not all is done: a summary if events were deferred (what was applied stays applied), a problem if nothing \
         was done. Send the same request again.",
    )
    .header("Retry-After", always(seconds, "Seconds."))
    .content("application/json", summary())
    .content("application/problem+json", problem())
    .build()
}

/// The name of a provider's security scheme: `marketingCloudSignature`.
pub(super) fn scheme_of(slug: &str) -> String {
    let mut words = slug.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    let rest = words.map(|word| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]));
    format!("{first}{}Signature", rest.collect::<String>())
}

fn header_key(name: &str, description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
}

/// A response with the request's id, as every answer has it.
pub(super) fn with_id(description: &str) -> ResponseBuilder {
    let id = always(text(), "The request's id, as logged.");
    ResponseBuilder::new().description(description).header("X-Request-Id", id)
}

/// A header that every such answer has. utoipa doesn't know the member for it.
fn always(schema: Object, description: &str) -> Header {
    let mut header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
    header.extensions = Some(Extensions::from_iter([("required", true)]));
    header
}

fn sometimes(description: &str) -> Header {
    HeaderBuilder::new().schema(Some(text())).description(Some(description)).build()
}

/// A file of the status page, which tells browsers to be strict.
pub(super) fn strict(description: &str, media_type: &str) -> Response {
    with_id(description)
        .header("Content-Security-Policy", always(text(), "Nothing but the page's own files."))
        .header("X-Content-Type-Options", always(text(), "`nosniff`"))
        .header("Referrer-Policy", always(text(), "`no-referrer`"))
        .content(media_type, Content::new(Some(text())))
        .build()
}

fn summary() -> Content {
    Content::new(Some(reference("Summary")))
}

fn problem() -> Content {
    Content::new(Some(reference("Problem")))
}

pub(super) fn reference(schema: &str) -> Ref {
    Ref::from_schema_name(schema)
}

/// One of the responses here.
pub(super) fn named(response: &str) -> Ref {
    Ref::from_response_name(response)
}

pub(super) fn text() -> Object {
    Object::with_type(Type::String)
}

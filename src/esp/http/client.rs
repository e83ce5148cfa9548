//! The calls, and what their answers mean: first by the description's rules, else as every system means them.

use super::document::Document;
use super::fill::{Known, as_text};
use crate::config::http::{Call, Http as Settings, Keep, Meaning, Source};
use crate::esp::Written;
use crate::upstream::{Again, Attempts, Deadline, Fault, Upstream, Verdict};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One described API.
pub struct Client {
    pub upstream: Upstream,
    base: String,
    headers: HeaderMap,
}

/// An answer that was no fault.
pub struct Answer {
    pub meaning: Meaning,
    pub body: Value,
}

/// What is done, and how often it may be tried.
#[derive(Clone, Copy)]
pub struct Doing {
    /// Its name in metrics.
    pub operation: &'static str,
    pub attempts: Attempts,
    pub deadline: Deadline,
    /// What 400, 413 and 422 mean where no rule says it.
    pub refused: Refused,
}

/// Whose fault it is that the ESP refuses what it was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The data's, which always will be: it is recorded, and nothing more can be done.
    TheData,
    /// The description's or the ESP's. To look, and to take somebody out, is to send nothing that could be refused for what it
    /// is; and nobody may be left in for it.
    TheCall,
}

impl Client {
    /// Over this upstream.
    pub fn new(settings: &Settings, upstream: Upstream) -> Self {
        let known = Known { settings: Some(settings), ..Known::default() };
        let mut headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
        known.headers(&settings.headers, &settings.secrets, &mut headers);
        if let Some((user, password)) = &settings.basic_auth {
            let mut pair = String::new();
            for (template, after) in [(user, ":"), (password, "")] {
                for hole in template.holes() {
                    if let Source::Secret(name) = &hole.source {
                        let secret = settings.secrets.get(name);
                        pair.push_str(secret.map_or("", ExposeSecret::expose_secret));
                    }
                }
                let _ = write!(pair, "{}{after}", template.as_literal().unwrap_or_default());
            }
            let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)))
                .expect("base64 is a header value");
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let base = settings.base_url.as_str().trim_end_matches('/').to_owned();
        Self { upstream, base, headers }
    }

    /// Makes the calls of one operation, in order, until one of them says that there is no point in the others.
    pub async fn write(&self, calls: &[Call], known: &Known<'_>, doing: Doing) -> Result<Option<Written>, Fault> {
        let mut kept = BTreeMap::new();
        let mut is_done = false;
        for call in calls {
            let known = Known { kept: Some(&kept), ..*known };
            // A call that names what it is about by what the last answer lacked would be about nobody, or about everybody.
            if known.lacks_kept(call) {
                return Err(Fault::Unavailable { cause: "answer_not_understood" });
            }
            let Some(request) = self.request(call, &known, doing)? else { return Ok(None) };
            let Answer { meaning, body } = self.send(call, request, &known, doing, false).await?;
            let keeping: Vec<_> = call
                .keep
                .iter()
                .filter_map(|(name, keep)| Some((name.clone(), kept_of(keep, &body, &known)?)))
                .collect();
            kept.extend(keeping);
            match meaning {
                Meaning::Held => return Ok(Some(Written::Held)),
                Meaning::Moved => return Ok(Some(Written::Moved)),
                Meaning::NothingToDo => {
                    let written = if is_done { Written::Done } else { Written::NothingToDo };
                    return Ok(Some(written));
                }
                // Looking does nothing to anybody.
                _ => is_done |= call.method != http::Method::GET,
            }
        }
        Ok(Some(if is_done { Written::Done } else { Written::NothingToDo }))
    }

    /// Reads; none if there is nobody.
    pub async fn read(&self, call: &Call, known: &Known<'_>, doing: Doing) -> Result<Option<Value>, Fault> {
        let Some(request) = self.request(call, known, doing)? else { return Ok(None) };
        self.read_by(request, call, known, doing).await
    }

    /// A call as a request; none if there is nobody that it could be about.
    fn request(&self, call: &Call, known: &Known<'_>, doing: Doing) -> Result<Option<Request<Bytes>>, Fault> {
        known.request(&self.base, call, &self.headers).map_err(|error| {
            let (upstream, operation) = (self.upstream.name(), doing.operation);
            tracing::error!(upstream, operation, %error, "the description's call can't be made");
            Fault::Configuration { code: 0 }
        })
    }

    /// Reads what is at a URL that another answer gave. Not if it is somebody else's.
    pub async fn read_at(
        &self,
        url: &str,
        call: &Call,
        known: &Known<'_>,
        doing: Doing,
    ) -> Result<Option<Value>, Fault> {
        let is_ours = url::Url::parse(url)
            .is_ok_and(|url| url::Url::parse(&self.base).is_ok_and(|own| own.origin() == url.origin()));
        let request = known.request_to(url, call, &self.headers).ok().filter(|_| is_ours);
        let request = request.ok_or(Fault::Unavailable { cause: "next_page_elsewhere" })?;
        self.read_by(request, call, known, doing).await
    }

    async fn read_by(
        &self,
        request: Request<Bytes>,
        call: &Call,
        known: &Known<'_>,
        doing: Doing,
    ) -> Result<Option<Value>, Fault> {
        let Answer { meaning, body } = self.send(call, request, known, doing, true).await?;
        match meaning {
            Meaning::Done => Ok(Some(body)),
            _ => Ok(None),
        }
    }

    async fn send(
        &self,
        call: &Call,
        request: Request<Bytes>,
        known: &Known<'_>,
        doing: Doing,
        is_read: bool,
    ) -> Result<Answer, Fault> {
        let Doing { operation, attempts, deadline, .. } = doing;
        let judge = |response: &Response<Bytes>| self.judge(call, known, doing, response, is_read);
        self.upstream.call(operation, attempts, deadline, || request.clone(), judge).await
    }

    fn judge(
        &self,
        call: &Call,
        known: &Known<'_>,
        doing: Doing,
        response: &Response<Bytes>,
        is_read: bool,
    ) -> Verdict<Answer> {
        let operation = doing.operation;
        let status = response.status();
        let code = i64::from(status.as_u16());
        let body = serde_json::from_slice::<Value>(response.body()).ok();
        let is_json = body.is_some();
        let body = body.unwrap_or(Value::Null);
        let document = Document { value: &body, known };
        let rule = call.answers.iter().find(|rule| {
            let is_about = rule.statuses.is_empty() || rule.statuses.contains(&status.as_u16());
            is_about && document.says(&rule.conditions)
        });
        let meaning = rule.map(|rule| rule.means);
        if meaning.is_none()
            && let Some(verdict) = Verdict::of_status(response)
        {
            return verdict;
        }
        let meaning = meaning.unwrap_or(match status {
            status if status.is_success() => Meaning::Done,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
                if doing.refused == Refused::TheData =>
            {
                Meaning::Rejected
            }
            _ => Meaning::Configuration,
        });
        match meaning {
            // What can't be read might be an opt-out.
            Meaning::Done if is_read && !is_json => {
                Verdict::Fail(Fault::Unavailable { cause: "answer_not_understood" })
            }
            Meaning::Done | Meaning::NothingToDo | Meaning::Held | Meaning::Moved => {
                Verdict::Answer(Answer { meaning, body })
            }
            Meaning::Busy => Verdict::Again(Again::Busy { code }),
            Meaning::Failing => Verdict::Again(Again::Failing { code }),
            Meaning::Rejected => {
                tracing::warn!(upstream = self.upstream.name(), operation, code, "the ESP refused the data");
                Verdict::Fail(Fault::Refused { code })
            }
            Meaning::Configuration => {
                tracing::error!(upstream = self.upstream.name(), operation, code, "the ESP refused the call");
                Verdict::Fail(Fault::Configuration { code })
            }
        }
    }
}

fn kept_of(keep: &Keep, body: &Value, known: &Known<'_>) -> Option<Value> {
    let document = Document { value: body, known };
    let value = document.at(&keep.pointer).filter(|_| document.says(&keep.when))?;
    let without = keep.without.as_ref().and_then(|template| known.text(template));
    Some(match (value, without) {
        (Value::Array(items), Some(without)) => {
            let others = items.iter().filter(|item| as_text(item).as_ref() != Some(&without));
            others.cloned().collect::<Vec<_>>().into()
        }
        (value, _) => value.clone(),
    })
}

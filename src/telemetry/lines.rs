//! How a log line looks: its own fields, those of the spans around it (a request's id), and the ids of the trace that it
//! belongs to, all side by side.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use std::fmt;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// One JSON object a line; for fields formatted as JSON objects.
pub struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut members = String::new();
        ctx.field_format().format_fields(Writer::new(&mut members), event)?;
        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        write!(line, "\",\"level\":\"{}\"", event.metadata().level())?;
        append(&mut line, &members)?;
        write!(line, ",\"target\":\"{}\"", event.metadata().target())?;
        each_span(ctx, |members| append(&mut line, members))?;
        if let Some((trace, span)) = trace() {
            write!(line, ",\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"")?;
        }
        line.write_str("}\n")
    }
}

/// Adds an object's members to one that has some.
fn append(line: &mut Writer<'_>, object: &str) -> fmt::Result {
    let members = object.trim().trim_start_matches('{').strip_suffix('}').unwrap_or_default();
    if members.is_empty() { Ok(()) } else { write!(line, ",{members}") }
}

/// A line for people, in colours unless `NO_COLOR` is set.
pub struct TextLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        SystemTime.format_time(&mut line)?;
        let level = event.metadata().level();
        if line.has_ansi_escapes() {
            write!(line, " \x1b[{}m{level:>5}\x1b[0m ", colour(*level))?;
        } else {
            write!(line, " {level:>5} ")?;
        }
        ctx.field_format().format_fields(line.by_ref(), event)?;
        each_span(ctx, |fields| if fields.is_empty() { Ok(()) } else { write!(line, " {fields}") })?;
        if let Some((trace, span)) = trace() {
            write!(line, " trace_id={trace} span_id={span}")?;
        }
        line.write_char('\n')
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "34",
        Level::TRACE => "35",
    }
}

/// The fields of each span around a line, as they were formatted when it was made.
fn each_span<S, N>(ctx: &FmtContext<'_, S, N>, mut tell: impl FnMut(&str) -> fmt::Result) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    for span in ctx.event_scope().into_iter().flatten() {
        if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
            tell(fields.fields.as_str())?;
        }
    }
    Ok(())
}

/// The ids of the trace and the span in which this is called; none while tracing is off.
fn trace() -> Option<(opentelemetry::TraceId, opentelemetry::SpanId)> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| (ids.trace_id(), ids.span_id()))
    })
}

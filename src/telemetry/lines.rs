//! How a log line looks: its own fields, those of the spans around it (a request's id), and the ids of the trace that it
//! belongs to, all side by side.

use crate::json::how_much_is_plain;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// One JSON object a line; for fields formatted as [`Members`].
pub struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        line.write_str("\",\"level\":\"")?;
        line.write_str(event.metadata().level().as_str())?;
        line.write_char('"')?;
        ctx.field_format().format_fields(line.by_ref(), event)?;
        line.write_str(",\"target\":\"")?;
        line.write_str(event.metadata().target())?;
        line.write_char('"')?;
        each_span(ctx, |members| line.write_str(members))?;
        if let Some((trace, span)) = trace() {
            write!(line, ",\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"")?;
        }
        line.write_str("}\n")
    }
}

/// Fields as members of a JSON object that has some already: `,"name":value` each, written as they come.
pub struct Members;

impl<'w> FormatFields<'w> for Members {
    fn format_fields<R: RecordFields>(&self, line: Writer<'w>, fields: R) -> fmt::Result {
        let mut members = Written { line, result: Ok(()) };
        fields.record(&mut members);
        members.result
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

struct Written<'w> {
    line: Writer<'w>,
    result: fmt::Result,
}

impl Written<'_> {
    /// Writes a member's name, and then its value.
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let line = &mut self.line;
        // A field's name is a word of this program's, or of a library's.
        let name = |line: &mut Writer<'_>| {
            line.write_str(",\"")?;
            line.write_str(field.name())?;
            line.write_str("\":")
        };
        self.result = self.result.and_then(|()| name(line)).and_then(|()| value(line));
    }

    fn text(&mut self, field: &Field, text: impl FnOnce(&mut Escaped<'_, '_>) -> fmt::Result) {
        self.member(field, |line| {
            line.write_char('"')?;
            text(&mut Escaped(line))?;
            line.write_char('"')
        });
    }
}

impl Visit for Written<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |line| write!(line, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |line| write!(line, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |line| write!(line, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON knows no infinity, nor what is no number.
        self.member(field, |line| if value.is_finite() { write!(line, "{value:?}") } else { line.write_str("null") });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, |text| text.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, |text| write!(text, "{value:?}"));
    }
}

/// Takes text and writes it as the inside of a JSON string.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        loop {
            let plain = how_much_is_plain(rest.as_bytes());
            self.0.write_str(&rest[..plain])?;
            let Some(odd) = rest.as_bytes().get(plain) else { return Ok(()) };
            match *odd {
                byte @ (b'"' | b'\\') => write!(self.0, "\\{}", char::from(byte))?,
                b'\n' => self.0.write_str("\\n")?,
                byte => write!(self.0, "\\u{byte:04x}")?,
            }
            rest = &rest[plain + 1..];
        }
    }
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

#[cfg(test)]
mod tests {
    use crate::config::Telemetry;
    use crate::telemetry::install::tests::heard;
    use serde_json::Value;

    fn told(tell: impl FnOnce()) -> String {
        heard(&Telemetry::default(), |_| tell())
    }

    #[test]
    fn whatever_is_told_a_line_is_one_json_object_that_says_it() {
        let odd: String = (0..0x180).filter_map(char::from_u32).chain("\u{2028}\u{1F600}".chars()).collect();
        let line = told(|| {
            let span = tracing::info_span!("request", endpoint = odd.as_str(), later = tracing::field::Empty);
            let _here = span.enter();
            span.record("later", "a \"word\"");
            let (yes, below, most, half, none, shown) =
                (true, i64::MIN, u64::MAX, 1.5, f64::NAN, tracing::field::display(&odd));
            let absent: Option<&str> = None;
            tracing::warn!(yes, below, most, half, none, shown, debugged = ?odd, absent, "it says {odd}");
        });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        for (member, value) in [
            ("level", Value::from("WARN")),
            ("target", module_path!().into()),
            ("yes", true.into()),
            ("below", i64::MIN.into()),
            ("most", u64::MAX.into()),
            ("half", 1.5.into()),
            ("none", Value::Null),
            ("shown", odd.as_str().into()),
            ("debugged", format!("{odd:?}").into()),
            ("message", format!("it says {odd}").into()),
            ("endpoint", odd.as_str().into()),
            ("later", "a \"word\"".into()),
        ] {
            assert_eq!(line[member], value, "{member}");
        }
        assert!(line.get("absent").is_none());
    }

    #[test]
    fn a_line_without_fields_is_json_too() {
        let line = told(|| tracing::warn!(target: "here", {}, ""));
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&line["target"], &line["message"]), (&"here".into(), &"".into()));
    }
}

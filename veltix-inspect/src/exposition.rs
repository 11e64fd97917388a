//! [`expose`]: metrics as text, in the two formats that Prometheus reads.

use std::fmt::Write as _;

use veltix_tokio::metrics::{Distribution, Family, Value};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exposition {
    /// The text format 0.0.4 of Prometheus.
    Text,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Exposition {
    /// Returns the format for the `Accept` header of a request. Text is the default.
    #[must_use]
    pub fn of_accept(accept: &str) -> Self {
        let wants = accept.split(',').any(|one| {
            let (kind, parameters) = one.split_once(';').unwrap_or((one, ""));
            let refused = parameters.split(';').any(|it| matches!(it.trim(), "q=0" | "q=0.0"));
            kind.trim().eq_ignore_ascii_case("application/openmetrics-text") && !refused
        });
        if wants { Self::OpenMetrics } else { Self::Text }
    }

    /// Returns the `Content-Type` of the text.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A number that no family has: one of the process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plain {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) is_counter: bool,
    pub(crate) number: f64,
}

/// Returns families as text. The constant labels are added to each series.
#[must_use]
pub fn expose<'a>(
    families: impl IntoIterator<Item = &'a Family>,
    constant: &[(String, String)],
    format: Exposition,
) -> String {
    expose_all(families, &[], constant, format)
}

/// Returns families and the numbers of the process as text.
pub(crate) fn expose_all<'a>(
    families: impl IntoIterator<Item = &'a Family>,
    process: &[Plain],
    constant: &[(String, String)],
    format: Exposition,
) -> String {
    let mut text = Text { out: String::new(), constant, format };
    families.into_iter().for_each(|family| text.family(family));
    process.iter().for_each(|plain| text.plain(plain));
    if format == Exposition::OpenMetrics {
        text.out.push_str("# EOF\n");
    }
    text.out
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

struct Text<'a> {
    out: String,
    constant: &'a [(String, String)],
    format: Exposition,
}

/// Writes to a string, which never fails.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {
        let _ = write!($out, $($text)*);
    };
}

impl Text<'_> {
    fn family(&mut self, family: &Family) {
        let Some(first) = family.series().first() else { return };
        let kind = match first.value() {
            Value::Counter(_) => COUNTER,
            Value::Histogram(_) => "histogram",
            _ => GAUGE,
        };
        let name = family.name();
        self.head(name, family.help(), kind);
        for series in family.series() {
            let labels: Vec<_> = series.labels().collect();
            match series.value() {
                Value::Counter(count) => {
                    self.name(name, &labels, None);
                    put!(self.out, " {count}\n");
                }
                Value::Histogram(values) => self.histogram(name, &labels, values),
                Value::Gauge(number) => {
                    self.name(name, &labels, None);
                    self.number(*number);
                }
                _ => {}
            }
        }
    }

    fn plain(&mut self, plain: &Plain) {
        self.head(plain.name, plain.help, if plain.is_counter { COUNTER } else { GAUGE });
        self.name(plain.name, &[], None);
        self.number(plain.number);
    }

    /// Writes the lines before the series of a family.
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // OpenMetrics names a counter without the ending of its series.
        let base = match self.format {
            Exposition::OpenMetrics if kind == COUNTER => {
                name.strip_suffix("_total").unwrap_or(name)
            }
            _ => name,
        };
        put!(self.out, "# HELP {base} ");
        self.escaped(help, self.format == Exposition::OpenMetrics);
        put!(self.out, "\n# TYPE {base} {kind}\n");
        if self.format == Exposition::OpenMetrics
            && let Some(unit) = unit_of(base)
        {
            put!(self.out, "# UNIT {base} {unit}\n");
        }
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], values: &Distribution) {
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        let bounds = values.buckets().bounds().map(Some).chain([None]);
        for (bound, count) in bounds.zip(values.counts()) {
            below += count;
            let bound = match bound {
                // Both formats read it; OpenMetrics asks for the point.
                Some(bound) if bound.fract() == 0.0 => format!("{bound:.1}"),
                Some(bound) => bound.to_string(),
                None => "+Inf".to_owned(),
            };
            self.name(&bucket, labels, Some(&bound));
            put!(self.out, " {below}\n");
        }
        self.name(&format!("{name}_sum"), labels, None);
        self.number(values.sum());
        self.name(&format!("{name}_count"), labels, None);
        put!(self.out, " {below}\n");
    }

    /// Writes the name of a series with its labels.
    fn name(&mut self, name: &str, labels: &[(&str, &str)], bound: Option<&str>) {
        self.out.push_str(name);
        let constant = self.constant.iter().map(|(name, value)| (&**name, &**value));
        let all = constant.chain(labels.iter().copied()).chain(bound.map(|bound| ("le", bound)));
        let mut open = '{';
        for (name, value) in all {
            put!(self.out, "{open}{name}=\"");
            self.escaped(value, true);
            self.out.push('"');
            open = ',';
        }
        if open == ',' {
            self.out.push('}');
        }
    }

    fn number(&mut self, number: f64) {
        put!(self.out, " {number}\n");
    }

    /// Writes a text with the escapes of both formats. Quotes are escaped within quotes alone.
    fn escaped(&mut self, text: &str, quotes: bool) {
        for c in text.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '"' if quotes => self.out.push_str("\\\""),
                c => self.out.push(c),
            }
        }
    }
}

/// Returns the unit at the end of a name.
fn unit_of(name: &str) -> Option<&str> {
    let (_, last) = name.rsplit_once('_')?;
    matches!(last, "seconds" | "bytes" | "ratio").then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_accepted() {
        for (accept, format) in [
            ("", Exposition::Text),
            ("*/*", Exposition::Text),
            ("text/plain;version=0.0.4", Exposition::Text),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
                Exposition::OpenMetrics,
            ),
            ("text/plain, Application/OpenMetrics-Text", Exposition::OpenMetrics),
            ("application/openmetrics-text;q=0", Exposition::Text),
        ] {
            assert_eq!(Exposition::of_accept(accept), format, "{accept}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        let constant = [("server".to_owned(), "a\\b\"c\nd".to_owned())];
        let mut text = Text { out: String::new(), constant: &constant, format: Exposition::Text };
        text.name("veltix_peers", &[("kind", "rust")], None);
        assert_eq!(text.out, r#"veltix_peers{server="a\\b\"c\nd",kind="rust"}"#);
    }
}

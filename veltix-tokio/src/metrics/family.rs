//! [`Metrics`]: a snapshot, as families of series.

use std::borrow::Cow;

use super::Distribution;

/// The counts of a server until one moment. Created by [`Hub::metrics`](crate::Hub::metrics).
///
/// It is made for exporters, which show each [`Family`]; [`get`](Self::get) finds one number for a test or a
/// decision of the application.
///
/// Counters only grow, also when peers leave. Each series exists from the start, with 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    families: Vec<Family>,
}

/// The series of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    series: Vec<Series>,
}

/// One number, or one histogram, of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    labels: Vec<(&'static str, Cow<'static, str>)>,
    value: Value,
}

/// The value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number that only grows.
    Counter(u64),
    /// A number that rises and falls.
    Gauge(f64),
    /// Values in buckets, whose counts only grow.
    Histogram(Distribution),
}

impl Metrics {
    /// Returns the families, in a fixed order.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Returns the value of the series of a family that has all of these labels. Labels that are not named may
    /// have any value; the first such series counts.
    ///
    /// ```
    /// use veltix::metrics::Value;
    ///
    /// # fn f(hub: veltix::Hub) {
    /// let metrics = hub.metrics();
    /// if let Some(Value::Counter(ended)) =
    ///     metrics.get("veltix_connections_closed_total", &[("reason", "slow_consumer")])
    /// {
    ///     println!("{ended} peers were too slow");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<Value> {
        let family = self.families.iter().find(|family| family.name == name)?;
        let has = |series: &&Series| labels.iter().all(|(name, value)| series.has(name, value));
        family.series.iter().find(has).map(|series| series.value)
    }
}

impl Family {
    /// Returns the name: `veltix_` and the words of the metric, with the unit and, for a counter, `_total`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the meaning, as one sentence.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }

    /// Returns the series, which all have one kind of value.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }
}

impl Series {
    /// Returns the names and the values of the labels.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = (&'static str, &str)> {
        self.labels.iter().map(|(name, value)| (*name, &**value))
    }

    /// Returns the value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.labels.iter().any(|label| label.0 == name && label.1 == value)
    }
}

/// The families of a snapshot that is being made.
#[derive(Debug, Default)]
pub(crate) struct Families(Vec<Family>);

impl Families {
    /// Adds a counter of one series.
    pub(crate) fn counter(&mut self, name: &'static str, help: &'static str, count: u64) {
        self.family(name, help)
            .series
            .push(Series { labels: Vec::new(), value: Value::Counter(count) });
    }

    /// Adds a gauge of one series.
    pub(crate) fn gauge(&mut self, name: &'static str, help: &'static str, number: f64) {
        self.family(name, help)
            .series
            .push(Series { labels: Vec::new(), value: Value::Gauge(number) });
    }

    /// Adds a histogram of one series.
    pub(crate) fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        values: Distribution,
    ) {
        let value = Value::Histogram(values);
        self.family(name, help).series.push(Series { labels: Vec::new(), value });
    }

    /// Adds a counter with a series for each value of a label.
    pub(crate) fn counters(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        counts: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        let series = |(value, count): (&'static str, u64)| Series {
            labels: vec![(label, value.into())],
            value: Value::Counter(count),
        };
        self.family(name, help).series.extend(counts.into_iter().map(series));
    }

    /// Adds a counter with a series for each pair of values of two labels.
    pub(crate) fn counter_pairs(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; 2],
        counts: impl IntoIterator<Item = ([&'static str; 2], u64)>,
    ) {
        let series = |(values, count): ([&'static str; 2], u64)| Series {
            labels: labels.into_iter().zip(values.map(Cow::Borrowed)).collect(),
            value: Value::Counter(count),
        };
        self.family(name, help).series.extend(counts.into_iter().map(series));
    }

    /// Adds a gauge with these labels and the value 1.
    pub(crate) fn info(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Vec<(&'static str, Cow<'static, str>)>,
    ) {
        self.family(name, help).series.push(Series { labels, value: Value::Gauge(1.0) });
    }

    pub(crate) fn finish(self) -> Metrics {
        Metrics { families: self.0 }
    }

    fn family(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.0.push(Family { name, help, series: Vec::new() });
        self.0.last_mut().unwrap_or_else(|| unreachable!("it was added"))
    }
}

//! What quipu is to reach, held against a run.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use quipu_bench::measures::Better;
use serde::Deserialize;

use super::losses::rivals;
use crate::results::{OfMeasure, Results};
use crate::table::shown;

#[derive(Deserialize)]
pub(crate) struct Targets {
    target: Vec<Target>,
}

/// So many times what another has, or a figure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    workload: String,
    measure: String,
    /// Whose figure it is; the first engine's when not given.
    engine: Option<String>,
    /// Whose figure is the yardstick: an engine, or `rivals` for the best of them.
    of: Option<String>,
    /// Rivals that do not count, since they do something else.
    #[serde(default)]
    without: Vec<String>,
    /// The yardstick's workload, when it is another.
    at: Option<String>,
    #[serde(default = "one")]
    factor: f64,
    bar: Option<f64>,
}

fn one() -> f64 {
    1.0
}

impl Targets {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(toml::from_str(&text)?)
    }
}

impl Target {
    /// The bar, and in words what it is; none where the run has no yardstick.
    fn bar(&self, results: &Results) -> Option<(f64, String)> {
        if let Some(bar) = self.bar {
            return Some((bar, String::new()));
        }
        let at = self.at.as_ref().unwrap_or(&self.workload);
        let measure = measure(results, at, &self.measure)?;
        let of = self.of.as_deref()?;
        let best = match of {
            "rivals" => {
                let rivals = rivals(results).filter(|name| !self.without.iter().any(|w| w == name));
                let figures = rivals.map(|name| (name, measure.median(name)));
                let figures = figures.filter(|figure| figure.1.is_finite());
                let order = |a: &(&str, f64), b: &(&str, f64)| match measure.better {
                    Better::Higher => a.1.total_cmp(&b.1),
                    Better::Lower => b.1.total_cmp(&a.1),
                };
                figures.max_by(order)?
            }
            name => (name, measure.median(name)),
        };
        let place = self
            .at
            .as_ref()
            .map_or(String::new(), |at| format!(" at {at}"));
        let words = format!(" ({} x {}{place})", self.factor, best.0);
        best.1.is_finite().then_some((self.factor * best.1, words))
    }

    fn line(&self, results: &Results) -> String {
        let own = results.engines.first().map(|engine| engine.0.as_str());
        let engine = self.engine.as_deref().or(own).unwrap_or_default();
        let start = format!("| {} | {} | {engine} |", self.workload, self.measure);
        let found = measure(results, &self.workload, &self.measure);
        let figure = found.map(|found| (found.better, found.median(engine)));
        let Some((better, figure)) = figure.filter(|figure| figure.1.is_finite()) else {
            return format!("{start} not measured in this run | | |");
        };
        let Some((bar, words)) = self.bar(results) else {
            return format!("{start} {} | no yardstick in this run | |", shown(figure));
        };
        let (sign, reached) = match better {
            Better::Higher => ("at least", figure >= bar),
            Better::Lower => ("at most", figure <= bar),
        };
        let reached = if reached { "yes" } else { "**no**" };
        format!(
            "{start} {} | {sign} {}{words} | {reached} |",
            shown(figure),
            shown(bar)
        )
    }
}

fn measure<'a>(results: &'a Results, workload: &str, name: &str) -> Option<&'a OfMeasure> {
    let mut workloads = results.workloads.iter();
    let workload = workloads.find(|of| of.name == workload)?;
    workload.measures.iter().find(|of| of.measure == name)
}

pub(crate) fn section(results: &Results, targets: &Targets) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "| workload | measure | engine | figure | bar | reached |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for target in &targets.target {
        writeln!(text, "{}", target.line(results))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::OfWorkload;

    fn results() -> Results {
        let of = |measure: &str, better, values: &[(&str, f64)]| OfMeasure {
            measure: measure.to_owned(),
            better,
            values: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), vec![*value]))
                .collect(),
        };
        let rates = [
            ("quipu", 10.0),
            ("floor", 20.0),
            ("heed", 9.0),
            ("redb", 5.0),
        ];
        let times = [("quipu", 3.0), ("heed", 2.0), ("redb", 4.0)];
        let workload = OfWorkload {
            name: "w".to_owned(),
            what: String::new(),
            arguments: String::new(),
            rounds: 1,
            measures: vec![
                of("get/s", Better::Higher, &rates),
                of("get us", Better::Lower, &times),
            ],
            series: Default::default(),
        };
        let names = ["quipu", "floor", "heed", "redb"];
        Results {
            engines: names.map(|name| (name.to_owned(), String::new())).into(),
            workloads: vec![workload],
            ..Results::default()
        }
    }

    fn line(text: &str) -> String {
        let targets: Targets =
            toml::from_str(&format!("[[target]]\nworkload = 'w'\n{text}")).unwrap();
        targets.target[0].line(&results())
    }

    #[test]
    fn a_bar_is_of_the_best_rival_that_counts() {
        let of = "measure = 'get/s'\nof = 'rivals'\nfactor = 1.2";
        assert!(line(of).contains("at least 10.80 (1.2 x heed) | **no**"));
        let without = line(&format!("{of}\nwithout = ['heed']"));
        assert!(without.contains("at least 6.00 (1.2 x redb) | yes"));
        assert!(
            line("measure = 'get us'\nof = 'rivals'").contains("at most 2.00 (1 x heed) | **no**")
        );
    }

    #[test]
    fn a_bar_is_a_figure_or_an_engine() {
        assert!(line("measure = 'get us'\nbar = 3.0").contains("at most 3.00 | yes"));
        assert!(
            line("measure = 'get/s'\nof = 'floor'").contains("at least 20.00 (1 x floor) | **no**")
        );
        assert!(line("measure = 'put/s'\nbar = 3.0").contains("not measured"));
        assert!(line("measure = 'get us'\nof = 'floor'").contains("no yardstick"));
    }
}

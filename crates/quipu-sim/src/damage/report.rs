//! Outcomes of many cases, counted, and as tables in Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use super::case::Case;
use super::explained::explained;
use super::outcome::{Fault, Outcome};
use super::shape::Shape;

/// Examples that are kept of one fault of one kind of damage.
const EXAMPLES: usize = 3;

/// What is counted of the cases of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Cases in all.
    pub cases: u64,
    /// Cases in which an item was lost.
    pub with_loss: u64,
    /// Items lost.
    pub lost: u64,
    /// Items of which bytes were gone.
    pub least: u64,
    /// Items lost of which every byte was there.
    pub beyond: u64,
    /// Cases with a value that was never put there.
    pub wrong: u64,
    /// Cases in which the archive could not be opened.
    pub refused: u64,
    /// Cases with a fault of any kind.
    pub faulty: u64,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.with_loss += other.with_loss;
        self.lost += other.lost;
        self.least += other.least;
        self.beyond += other.beyond;
        self.wrong += other.wrong;
        self.refused += other.refused;
        self.faulty += other.faulty;
    }

    fn of(outcome: &Outcome) -> Self {
        let any = |faults: &[Fault]| u64::from(faults.iter().any(|&fault| outcome.has(fault)));
        Self {
            cases: 1,
            with_loss: u64::from(outcome.lost > 0),
            lost: outcome.lost,
            least: outcome.least,
            beyond: outcome.beyond,
            wrong: any(&[Fault::Wrong, Fault::Former]),
            refused: any(&[Fault::Refused, Fault::RefusedReadOnly]),
            faulty: u64::from(!outcome.faults.is_empty()),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = [
            self.cases,
            self.with_loss,
            self.lost,
            self.least,
            self.beyond,
            self.wrong,
            self.refused,
            self.faulty,
        ];
        let cells = numbers.map(grouped);
        write!(f, "{} |", cells.join(" | "))
    }
}

/// A number with commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How often a fault came up, and the first examples.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// In how many cases.
    pub cases: u64,
    /// (shape and case, details).
    pub examples: Vec<(String, String)>,
}

/// Outcomes of many cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By kind of damage and part of a file.
    pub rows: BTreeMap<(&'static str, String), Row>,
    /// By shape.
    pub shapes: BTreeMap<String, Row>,
    /// By fault, kind of damage and part.
    pub faults: BTreeMap<(Fault, &'static str, String), Count>,
    /// What looks like a fault and is none: fault, kind of damage, part, why.
    pub explained: BTreeSet<(Fault, &'static str, String, &'static str)>,
}

impl Report {
    /// Counts one case.
    pub fn add(&mut self, shape: &Shape, case: &Case, outcome: &Outcome) {
        let mut row = Row::of(outcome);
        let mut outcome = outcome.clone();
        let (kind, part) = (case.kind(), case.part(shape));
        outcome.faults.retain(|(fault, _)| {
            let reason = explained(shape, case, *fault);
            reason.is_none_or(|reason| {
                self.explained.insert((*fault, kind, part.clone(), reason));
                false
            })
        });
        // What is explained still counts among the wrong values.
        row.faulty = u64::from(!outcome.faults.is_empty());
        self.rows.entry((kind, part.clone())).or_default().add(&row);
        self.shapes.entry(shape.name.clone()).or_default().add(&row);
        let mut seen = Vec::new();
        for (fault, text) in &outcome.faults {
            if seen.contains(fault) {
                continue;
            }
            seen.push(*fault);
            let count = self.faults.entry((*fault, kind, part.clone())).or_default();
            count.add(format!("{}:{case}", shape.name), text.clone());
        }
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: Self) {
        for (key, row) in other.rows {
            self.rows.entry(key).or_default().add(&row);
        }
        for (key, row) in other.shapes {
            self.shapes.entry(key).or_default().add(&row);
        }
        self.explained.extend(other.explained);
        for (key, found) in other.faults {
            let count = self.faults.entry(key).or_default();
            count.cases += found.cases;
            count.examples.extend(found.examples);
            count.examples.truncate(EXAMPLES);
        }
    }

    /// All cases together.
    pub fn total(&self) -> Row {
        let mut total = Row::default();
        self.rows.values().for_each(|row| total.add(row));
        total
    }

    /// The outcomes as tables.
    pub fn markdown(&self) -> String {
        let numbers = "cases | with a loss | items lost | least possible | beyond it | wrong values \
                       | refused opens | with a fault |";
        let line = "---:|".repeat(8);
        let mut out = format!("| damage | of | {numbers}\n|---|---|{line}\n");
        for ((kind, part), row) in &self.rows {
            let _ = writeln!(out, "| {kind} | {part} | {row}");
        }
        let _ = writeln!(out, "| all | | {}", self.total());
        let _ = write!(out, "\n| archive | {numbers}\n|---|{line}\n");
        for (shape, row) in &self.shapes {
            let _ = writeln!(out, "| {shape} | {row}");
        }
        let _ = write!(
            out,
            "\n| damage | of | answer | why it is right |\n|---|---|---|---|\n"
        );
        for (fault, kind, part, reason) in &self.explained {
            let _ = writeln!(out, "| {kind} | {part} | {fault} | {reason} |");
        }
        out
    }

    /// What was not right, with examples; empty where nothing was.
    pub fn faults(&self) -> String {
        let mut out = String::new();
        for ((fault, kind, part), count) in &self.faults {
            let _ = writeln!(out, "{fault}: {kind}, {part}: {} cases", count.cases);
            for (case, text) in &count.examples {
                let shown: String = text.chars().take(300).collect();
                let _ = writeln!(out, "    {case}  {shown}");
            }
        }
        out
    }
}

impl Count {
    fn add(&mut self, case: String, text: String) {
        self.cases += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push((case, text));
        }
    }
}

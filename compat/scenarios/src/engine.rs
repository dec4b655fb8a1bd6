//! An archive that scenarios are carried out with.

use crate::model::Expected;
use crate::question::{Answer, Question, Want, questions};
use crate::scenario::{Item, Scenario, hex};
use anyhow::{Context as _, Result, bail};
use std::path::Path;

/// An archive of one make and version.
pub trait Engine {
    /// Make and version, for messages.
    fn name(&self) -> String;

    /// Opens the archive in `dir`, which may be empty or hold what any engine wrote, carries out
    /// the operations, syncs and closes it. A put below the floor is no error.
    fn write(&self, dir: &Path, scenario: &Scenario) -> Result<()>;

    /// Opens the archive in `dir`, answers each question in turn, and closes it.
    fn ask(&self, dir: &Path, scenario: &Scenario, questions: &[Question]) -> Result<Vec<Answer>>;

    /// Opens the archive in `dir` and compares all that it holds with what it should.
    fn check(&self, dir: &Path, scenario: &Scenario, expected: &Expected) -> Result<()> {
        self.check_also(dir, scenario, expected, Vec::new())
    }

    /// As `check`, with some more questions.
    fn check_also(
        &self,
        dir: &Path,
        scenario: &Scenario,
        expected: &Expected,
        more: Vec<(Question, Want)>,
    ) -> Result<()> {
        let mut asked = questions(scenario, expected);
        asked.extend(more);
        let (questions, wants): (Vec<Question>, Vec<Want>) = asked.into_iter().unzip();
        let context = || format!("{}: {} reads", scenario.name, self.name());
        let answers = self.ask(dir, scenario, &questions).with_context(context)?;
        if answers.len() != questions.len() {
            bail!(
                "{}: {} answers to {}",
                context(),
                answers.len(),
                questions.len()
            );
        }
        for ((question, want), found) in questions.iter().zip(&wants).zip(&answers) {
            compare(question, want, found).with_context(context)?;
        }
        Ok(())
    }
}

fn compare(question: &Question, want: &Want, found: &Answer) -> Result<()> {
    if *found == Answer::Unsupported || want.contains(found) {
        return Ok(());
    }
    let question = match question {
        Question::GetKey(key) | Question::HasKey(key) => format!("key {}", hex(key)),
        Question::HasAt(index, key) => format!("index {index} with key {}", hex(key)),
        other => format!("{other:?}"),
    };
    if let ([Answer::Items(want)], Answer::Items(found)) = (want.as_slice(), found) {
        bail!("{question}: {}", first_difference(want, found));
    }
    bail!("{question}: expected {want:?}, found {found:?}");
}

fn first_difference(want: &[Item], found: &[Item]) -> String {
    let differs = want
        .iter()
        .zip(found)
        .position(|(want, found)| want != found);
    let at = differs.unwrap_or(want.len().min(found.len()));
    format!(
        "expected {:?} in place {at}, found {:?}",
        want.get(at),
        found.get(at)
    )
}
